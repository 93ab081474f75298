"""How long a card is kept, in the admin: erase it for good, put it under legal hold, release it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from vault import erasure, policy, services
from vault.admin.forms import ReasonForm
from vault.admin.pages import page
from vault.audit import record
from vault.exceptions import CardErased, Refusal, VaultError
from vault.models import Card
from vault.policy import Right


class Act(NamedTuple):
    """Something that is done to a card, for a reason."""

    name: str
    right: Right
    do: Callable[..., Any]
    title: Any
    button: Any
    done: Any
    help_text: Any


ERASE: Final = Act(
    "erase",
    Right.ERASE,
    services.erase,
    _("Erase this card"),
    _("Erase the card…"),
    _("The card is erased. Its certificate says so."),
    _("In a few words. They stand in the certificate and in the audit log."),
)
HOLD: Final = Act(
    "hold",
    Right.HOLD,
    erasure.hold,
    _("Legal hold"),
    _("Put under legal hold"),
    _("The card is under legal hold. Nobody can erase it until it is released."),
    _("Which order or case asks for it. Until it is released nobody can erase the card."),
)
RELEASE: Final = Act(
    "release",
    Right.HOLD,
    erasure.release,
    _("Release from legal hold"),
    _("Release"),
    _("The legal hold is over."),
    _("In a few words. They stay in the audit log."),
)


def acts(card: Card, rights: frozenset[Right]) -> list[Act]:
    """What somebody with these rights can do to a card as it is now."""
    if card.is_erased:
        # What a crash cut off can be sent again.
        possible = [] if hasattr(card, "certificate") else [ERASE]
    else:
        possible = [RELEASE] if card.hold else [HOLD, ERASE]
    return [act for act in possible if act.right in rights]


class KeepingMixin(ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    """The part of the card's page that is about keeping it."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        views = {"erase": self.erase_view, "hold": self.hold_view, "release": self.release_view}
        own = [path(f"<str:token>/{act}/", wrap(view), name=f"vault_card_{act}") for act, view in views.items()]
        return [*own, *super().get_urls()]

    def keeping_forms(self, request: HttpRequest, card: Card | None) -> list[tuple[Act, ReasonForm]]:
        """A form for each thing that this person can do to this card."""
        offered = acts(card, policy.rights_of(request.user)) if card else []
        return [(act, ReasonForm(act=act.name, help_text=act.help_text)) for act in offered]

    def certificate_link(self, card: Card) -> str:
        """The certificate, with a link for those who may see it."""
        certificate = getattr(card, "certificate", None)
        if certificate is None:
            return "-"
        address = reverse("admin:vault_erasurecertificate_change", args=[quote(certificate.pk)])
        return format_html('<a href="{}">{}</a>', address, certificate)

    @method_decorator(require_POST)
    def erase_view(self, request: HttpRequest, token: str) -> HttpResponse:
        """Say first what goes, and do it once that was confirmed."""
        card, form = self._about(request, token, ERASE)
        if form.is_valid() and not request.POST.get("confirmed") and not card.is_erased and not card.hold:
            template, title = "admin/vault/card/erase.html", _("Erase this card for good?")
            return page(self, request, template, title=title, card=card, form=form)
        return self._do(request, card, form, ERASE)

    @method_decorator(require_POST)
    def hold_view(self, request: HttpRequest, token: str) -> HttpResponse:
        return self._do(request, *self._about(request, token, HOLD), HOLD)

    @method_decorator(require_POST)
    def release_view(self, request: HttpRequest, token: str) -> HttpResponse:
        return self._do(request, *self._about(request, token, RELEASE), RELEASE)

    def _about(self, request: HttpRequest, token: str, act: Act) -> tuple[Card, ReasonForm]:
        """Raise `PermissionDenied` first: who has no right learns nothing of the card, and the attempt is recorded."""
        if not policy.is_granted(request.user, act.right):
            record(act.name, actor=request.user, subject=token, outcome="denied", refusal=Refusal.NO_RIGHT.value)
            raise PermissionDenied
        card = get_object_or_404(Card, token=token)
        return card, ReasonForm(request.POST, act=act.name, help_text=act.help_text)

    def _do(self, request: HttpRequest, card: Card, form: ReasonForm, act: Act) -> HttpResponse:
        refused: VaultError | None = None
        if card.is_erased and act is not ERASE:
            refused = CardErased()
        elif form.is_valid():
            try:
                act.do(card.token, actor=request.user, reason=form.cleaned_data["reason"])
            except VaultError as error:
                refused = error
            else:
                messages.success(request, act.done)
                return HttpResponseRedirect(reverse("admin:vault_card_change", args=[quote(card.token)]))
        template = "admin/vault/card/keeping.html"
        return page(self, request, template, title=act.title, refused=refused, card=card, act=act, form=form)
