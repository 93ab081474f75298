"""Requests to see a card number in the admin: a queue, the way of each, and the number, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from vault import policy, reveals
from vault.admin.forms import DecisionForm
from vault.admin.lists import RefusePANSearchMixin, ViewOnlyMixin, whole_number
from vault.admin.pages import WITHOUT_SIDEBAR, page
from vault.exceptions import VaultError
from vault.models import RevealRequest
from vault.pan import PAN, Brand
from vault.policy import Right

_State: Final = RevealRequest.State
#: For how many seconds a number is on the screen (PCI DSS 3.4.2); static/vault/shown.js has the same.
SHOWN_SECONDS: Final = 30
# How people read card numbers; whatever is not here, and what is left over, in fours.
_GROUPS: Final = {(Brand.AMEX, 15): (4, 6, 5), (Brand.DINERS, 14): (4, 6, 4)}

_DONE: Final = {
    reveals.Act.APPROVE: _("Approved."),
    reveals.Act.REFUSE: _("Refused."),
    reveals.Act.REVIEW: _("The review is recorded."),
}


class StateFilter(SimpleListFilter):
    """By what can happen to a request next, which is not only its state: time runs out."""

    title = _("state")
    parameter_name = "state"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        # Whoever decides comes for what is to be decided. Whoever asked comes for what was, and sees all.
        is_plain = not request.GET and policy.is_granted(request.user, Right.APPROVE)
        self._default = "open" if is_plain else "all"

    def value(self) -> str:
        return super().value() or self._default

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Django's own without its "All": that is one of the choices here, as the list may begin with another."""
        yield from list(super().choices(changelist))[1:]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("open", _("To decide or review")),
            ("all", _("All")),
            ("waiting", _("Waiting for approval")),
            ("review", _("Break-glass to review")),
            *((state.value, state.label) for state in (_State.APPROVED, _State.SHOWN, _State.REFUSED)),
            ("expired", _("Expired")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[RevealRequest]) -> QuerySet[RevealRequest]:
        wanted = {
            "open": reveals.undecided() | reveals.unreviewed(),
            "waiting": reveals.undecided(),
            "review": reveals.unreviewed(),
            "approved": Q(state=_State.APPROVED, expires_at__gt=timezone.now()),
            # A number that is being shown, or was when its process died, cannot be shown again.
            "shown": Q(state__in=[_State.SHOWN, _State.OPENING]),
            "refused": Q(state=_State.REFUSED),
            "expired": Q(state__in=[_State.PENDING, _State.APPROVED], expires_at__lte=timezone.now()),
        }
        return queryset.filter(wanted.get(self.value(), Q()))


@admin.register(RevealRequest)
class RevealRequestAdmin(ViewOnlyMixin, RefusePANSearchMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("card", "state_now", "purpose", "ticket", "requested", "until", "decided")
    list_filter = (StateFilter, "is_break_glass", "purpose", "created_at")
    list_select_related = ("card", "requester", "decider")
    search_fields = ("=ticket", "=requester__username", "=card__token", "=card__last4")
    search_help_text = _("Ticket, requester, token or last four digits")
    show_full_result_count = False
    list_per_page = 100
    actions = None

    class Media:
        css = {"all": ["vault/admin.css"]}

    @admin.display(description=_("state"))
    def state_now(self, asked: RevealRequest) -> str:
        state = str(_("Expired") if _is_over(asked) else asked.get_state_display())
        mark = _("break-glass")
        return f"{state} · {mark}" if asked.is_break_glass else state

    @admin.display(description=_("requested"), ordering="created_at")
    def requested(self, asked: RevealRequest) -> str:
        return f"{asked.requester}, {date_format(localtime(asked.created_at), 'DATETIME_FORMAT')}"

    @admin.display(description=_("expires"), ordering="expires_at")
    def until(self, asked: RevealRequest) -> datetime:
        return asked.expires_at

    @admin.display(description=_("decided"), ordering="decided_at")
    def decided(self, asked: RevealRequest) -> str:
        return str(asked.decider or "-")

    # Django's own check lets every superuser in.
    def has_view_permission(self, request: HttpRequest, obj: RevealRequest | None = None) -> bool:
        rights = policy.rights_of(request.user)
        return bool(rights & {Right.DETOKENIZE, Right.APPROVE, Right.VIEW_REVEALS})

    def get_queryset(self, request: HttpRequest) -> QuerySet[RevealRequest]:
        return reveals.visible_to(request.user)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        acts = {"approve": self.approve_view, "refuse": self.refuse_view, "review": self.review_view}
        own = [
            path("locked/", wrap(self.locked_view), name="vault_revealrequest_locked"),
            path("locked/unlock/", wrap(self.unlock_view), name="vault_revealrequest_unlock"),
            path("<int:pk>/show/", wrap(self.show_view), name="vault_revealrequest_show"),
            *(path(f"<int:pk>/{act}/", wrap(view), name=f"vault_revealrequest_{act}") for act, view in acts.items()),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        own = {"title": _("Reveal requests"), "may_unlock": policy.is_granted(request.user, Right.APPROVE)}
        return super().changelist_view(request, {**own, **(extra_context or {})})

    @method_decorator(require_safe)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What was asked, how it went on, and what can be done now."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if (pk := whole_number(object_id)) is None:
            raise Http404
        return self._detail(request, self._visible(request, pk))

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """There is none but the audit log's."""
        raise Http404

    # --- Deciding --------------------------------------------------------------------------------------------------

    @method_decorator(require_POST)
    def approve_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._decide(
            request, pk, reveals.Act.APPROVE, reveals.approve, DecisionForm(request.POST, needs_note=False)
        )

    @method_decorator(require_POST)
    def refuse_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._decide(request, pk, reveals.Act.REFUSE, reveals.refuse, DecisionForm(request.POST))

    @method_decorator(require_POST)
    def review_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._decide(request, pk, reveals.Act.REVIEW, reveals.review, DecisionForm(request.POST))

    def _decide(
        self, request: HttpRequest, pk: int, act: reveals.Act, decide: Callable[..., None], form: DecisionForm
    ) -> HttpResponse:
        asked = self._visible(request, pk)
        if not form.is_valid():
            return self._detail(request, asked, form=form)
        try:
            decide(asked, actor=request.user, note=form.cleaned_data["note"])
        except VaultError as error:
            return self._detail(request, asked, form=form, refused=error)
        messages.success(request, _DONE[act])
        return HttpResponseRedirect(_address(asked))

    # --- Showing ---------------------------------------------------------------------------------------------------

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    @sensitive_variables()
    def show_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The number, once, in the answer to a POST. A GET leads to the request: it is the way back from a sign-in."""
        asked = self._visible(request, pk)
        if request.method != "POST":
            return HttpResponseRedirect(_address(asked))
        try:
            detour = reveals.confirm_identity(asked, request)
            if detour is not None:
                return detour
            pan = reveals.show(asked, actor=request.user)
        except VaultError as error:
            return self._detail(request, asked, refused=error)
        answer = page(
            self,
            request,
            "admin/vault/revealrequest/shown.html",
            title=_("Card number"),
            asked=asked,
            card=asked.card,
            number=_as_people_read_it(pan),
            seconds=SHOWN_SECONDS,
            **WITHOUT_SIDEBAR,
        )
        answer["Cache-Control"] = "no-store"
        # Without JavaScript the browser leaves the page by itself.
        answer["Refresh"] = f"{SHOWN_SECONDS}; url={_address(asked)}"
        return answer

    # --- Those who read too much -----------------------------------------------------------------------------------

    @method_decorator(require_safe)
    def locked_view(self, request: HttpRequest) -> HttpResponse:
        return self._locked(request)

    @method_decorator(require_POST)
    def unlock_view(self, request: HttpRequest) -> HttpResponse:
        if not policy.is_granted(request.user, Right.APPROVE):
            raise PermissionDenied
        actor_id = request.POST.get("reader", "")
        if actor_id not in {str(reader.user.pk) for reader in policy.locked_readers()}:
            messages.warning(request, _("This person is not locked out."))
            return HttpResponseRedirect(reverse("admin:vault_revealrequest_locked"))
        try:
            policy.unlock(actor_id, by=request.user)
        except VaultError as error:
            return self._locked(request, refused=error)
        messages.success(
            request, _("Unlocked. Reading is possible again once the last hour's cards are within the budget.")
        )
        return HttpResponseRedirect(reverse("admin:vault_revealrequest_locked"))

    def _locked(self, request: HttpRequest, *, refused: VaultError | None = None) -> HttpResponse:
        if not policy.is_granted(request.user, Right.APPROVE):
            raise PermissionDenied
        template, readers = "admin/vault/revealrequest/locked.html", policy.locked_readers()
        return page(self, request, template, title=_("Locked readers"), refused=refused, readers=readers)

    # --- The page of one request -----------------------------------------------------------------------------------

    def _visible(self, request: HttpRequest, pk: int) -> RevealRequest:
        return get_object_or_404(self.get_queryset(request).select_related("card", "requester", "decider"), pk=pk)

    def _detail(
        self,
        request: HttpRequest,
        asked: RevealRequest,
        *,
        refused: VaultError | None = None,
        form: DecisionForm | None = None,
    ) -> HttpResponse:
        acts = reveals.acts(asked, actor=request.user)
        return page(
            self,
            request,
            "admin/vault/revealrequest/detail.html",
            title=_("Reveal request"),
            refused=refused,
            subtitle=str(asked.card),
            asked=asked,
            state=_("Expired") if _is_over(asked) else asked.get_state_display(),
            acts={act.value for act in acts},
            form=form or DecisionForm(needs_note=reveals.Act.APPROVE not in acts),
        )


def _address(asked: RevealRequest) -> str:
    return reverse("admin:vault_revealrequest_change", args=[asked.pk])


def _is_over(asked: RevealRequest) -> bool:
    return asked.state in {_State.PENDING, _State.APPROVED} and asked.has_expired()


@sensitive_variables()
def _as_people_read_it(pan: PAN) -> str:
    digits = pan.expose()
    sizes = _GROUPS.get((pan.brand, len(digits)), (4,) * (len(digits) // 4))
    ends = [sum(sizes[:count]) for count in range(len(sizes) + 1)]
    return " ".join(filter(None, [*(digits[start:end] for start, end in pairwise(ends)), digits[ends[-1] :]]))
