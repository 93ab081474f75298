"""Cards in the admin: found by token and last four, shown masked, changed by nobody.

Whoever may read numbers asks here to see one; whoever may search by number has a page of its own for it. What is done
about keeping a card is in `vault.admin.keeping`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from vault import policy, reveals, services
from vault.admin.dates import DatesMixin
from vault.admin.filters import ExpiryFilter, KeepingFilter
from vault.admin.forms import CardSearchForm, RevealForm
from vault.admin.histories import history_page
from vault.admin.keeping import KeepingMixin
from vault.admin.lists import RefusePANSearchMixin, ViewOnlyMixin
from vault.admin.lives import audit_address, life_of
from vault.admin.pages import WITHOUT_SIDEBAR, page
from vault.admin.sheets import CSVMixin
from vault.admin.uses import uses_of
from vault.audit import record
from vault.conf import vault_config
from vault.exceptions import Refusal, VaultError
from vault.models import Card, RevealRequest
from vault.policy import Right

_NOT_FOUND = _("No card with this number is on file.")
_ASKED = _("Your request waits for somebody to approve it.")
_APPROVED = _("You can see the number now, once.")


@admin.register(Card)
class CardAdmin(ViewOnlyMixin, RefusePANSearchMixin, KeepingMixin, CSVMixin, DatesMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("masked_number", "brand", "token", "expires", "status", "created_at")
    list_filter = ("status", ExpiryFilter, KeepingFilter, "brand", "created_at")
    date_hierarchy = "created_at"
    search_fields = ("=token", "=last4")
    search_help_text = _("Token or last four digits")
    show_full_result_count = False
    list_per_page = 100
    fieldsets = (
        (None, {"fields": ("masked_number", "brand", "bin", "token", "expires", "status", "created_at")}),
        (_("Keeping it"), {"fields": ("used_at", "retain_until", "retention", "hold")}),
    )
    # The index on the time has the token after it; in another direction MariaDB would sort the table.
    ordering = ("-created_at", "-token")
    csv_newest_by = "created_at"
    csv_columns = {
        "token": lambda card: card.token,
        "brand": lambda card: card.brand,
        "last4": lambda card: card.last4,
        "expires": lambda card: f"{card.expires:%Y-%m}" if card.expires else "",
        "status": lambda card: card.status,
        "created_at": lambda card: card.created_at.isoformat(timespec="seconds"),
    }

    @admin.display(description=_("number"), ordering="last4")
    def masked_number(self, card: Card) -> str:
        return card.masked

    @admin.display(description=_("certificate"))
    def certificate(self, card: Card) -> str:
        return self.certificate_link(card)

    def get_fieldsets(self, request: HttpRequest, obj: Card | None = None) -> Any:
        if obj is None or not obj.is_erased:
            return self.fieldsets
        erased = ["erased_at"]
        if policy.is_granted(request.user, Right.VIEW_CERTIFICATES):
            erased.append("certificate")
        return (*self.fieldsets, (_("Erased"), {"fields": erased}))

    def get_readonly_fields(self, request: HttpRequest, obj: Card | None = None) -> Any:
        return [name for _, options in self.get_fieldsets(request, obj) for name in options["fields"]]

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("search/", wrap(self.search_view), name="vault_card_search"),
            path("<str:token>/reveal/", wrap(self.reveal_view), name="vault_card_reveal"),
            path("<str:token>/break-glass/", wrap(self.break_glass_view), name="vault_card_break_glass"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may_search = policy.is_granted(request.user, Right.SEARCH)
        return super().changelist_view(request, {**(extra_context or {}), "may_search": may_search})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        offered: dict[str, Any] = {}
        if request.method == "GET":
            card = self.get_object(request, unquote(object_id))
            offered = {"keeping_forms": self.keeping_forms(request, card)}
            if card is not None and self.has_view_permission(request, card):
                offered["uses"] = uses_of(card, request, self.admin_site)
        if request.method == "GET" and policy.is_granted(request.user, Right.DETOKENIZE):
            offered |= {"reveal_form": RevealForm(actor=request.user), "has_break_glass": vault_config().BREAK_GLASS}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **offered})

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """What became of the card, as far as this person may know."""
        card = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, card):
            raise PermissionDenied
        if card is None:
            raise Http404
        address = audit_address(card, request.user)
        return history_page(self, request, card, life_of(card, request.user), audit_address=address)

    # --- Finding a card by its number ------------------------------------------------------------------------------

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    @method_decorator(sensitive_post_parameters("number"))
    @sensitive_variables()
    def search_view(self, request: HttpRequest) -> HttpResponse:
        """The page where a number is typed. It stands in the body of the request and nowhere else."""
        is_sent = request.method == "POST"
        form = CardSearchForm(request.POST if is_sent else None)
        refused: VaultError | None = None
        sentence: Any = ""
        if is_sent and form.is_valid():
            try:
                card = services.search(form.cleaned_data["number"], actor=request.user)
            except VaultError as error:
                refused = error
            else:
                if card is not None:
                    return HttpResponseRedirect(_address(card))
                sentence = _NOT_FOUND
        # Whoever sent a number without the right has been refused, and recorded, by then.
        elif not policy.is_granted(request.user, Right.SEARCH):
            raise PermissionDenied
        template, title = "admin/vault/card/search.html", _("Find by card number")
        return page(self, request, template, title=title, refused=refused, form=form, found=sentence, **WITHOUT_SIDEBAR)

    # --- Asking to see a number ------------------------------------------------------------------------------------

    @method_decorator(require_POST)
    def reveal_view(self, request: HttpRequest, token: str) -> HttpResponse:
        """Ask for another person's approval."""
        card, form = self._asked_for(request, token, "reveal.request")
        return self._ask(request, card, form, reveals.request)

    @method_decorator(require_POST)
    def break_glass_view(self, request: HttpRequest, token: str) -> HttpResponse:
        """Say first what it sets off, and do it once that was confirmed."""
        card, form = self._asked_for(request, token, "reveal.break_glass")
        if form.is_valid() and not request.POST.get("confirmed") and vault_config().BREAK_GLASS:
            template, title = "admin/vault/card/break_glass.html", _("Break-glass: see the number without approval")
            return page(self, request, template, title=title, card=card, form=form)
        return self._ask(request, card, form, reveals.break_glass)

    def _asked_for(self, request: HttpRequest, token: str, operation: str) -> tuple[Card, RevealForm]:
        """Raise `PermissionDenied` first: who has no right learns nothing of the card, and the attempt is recorded."""
        if not policy.is_granted(request.user, Right.DETOKENIZE):
            record(operation, actor=request.user, subject=token, outcome="denied", refusal=Refusal.NO_RIGHT.value)
            raise PermissionDenied
        return get_object_or_404(Card, token=token), RevealForm(request.POST, actor=request.user)

    def _ask(
        self, request: HttpRequest, card: Card, form: RevealForm, ask: Callable[..., RevealRequest]
    ) -> HttpResponse:
        refused: VaultError | None = None
        if form.is_valid():
            try:
                made = ask(card, actor=request.user, **form.asked())
            except VaultError as error:
                refused = error
            else:
                messages.success(request, _ASKED if made.state == RevealRequest.State.PENDING else _APPROVED)
                return HttpResponseRedirect(reverse("admin:vault_revealrequest_change", args=[made.pk]))
        return page(
            self,
            request,
            "admin/vault/card/reveal.html",
            title=_("Ask to see the number"),
            refused=refused,
            card=card,
            reveal_form=form,
            has_break_glass=vault_config().BREAK_GLASS,
        )


def _address(card: Card) -> str:
    """Quoted as the admin does it: of a token that begins with tok1_25 it would make another one."""
    return reverse("admin:vault_card_change", args=[quote(card.token)])
