"""The life of a card: stored, asked for, handed over, erased, as far as somebody may know of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.translation import gettext as _

from vault import exports, policy, reveals
from vault.admin.histories import Entry
from vault.models import Card, ExportRequest, RevealRequest
from vault.policy import Right
from vault.redaction import redact


def life_of(card: Card, actor: Any) -> Iterator[Entry]:
    """What SQL says of it. Who held, released or erased a card stands in the audit log alone."""
    yield Entry(card.created_at, "", _("The card was stored."))
    asked = reveals.visible_to(actor).filter(card=card)
    for request in asked.select_related("requester", "decider"):
        yield from _reveal(request)
    handed = exports.visible_to(actor).filter(chosen__card=card)
    for export in handed.select_related("requester"):
        yield from _export(export)
    if card.erased_at:
        certificate, address = getattr(card, "certificate", None), ""
        if certificate is not None and policy.is_granted(actor, Right.VIEW_CERTIFICATES):
            address = reverse("admin:vault_erasurecertificate_change", args=[quote(certificate.pk)])
        yield Entry(card.erased_at, "", _("The card was erased."), address)


def audit_address(card: Card, actor: Any) -> str:
    """Its events in the audit log, for those who may read that."""
    if not policy.is_granted(actor, Right.VIEW_AUDIT):
        return ""
    return reverse("admin:vault_auditevent_changelist") + f"?q={card.token}"


def _reveal(request: RevealRequest) -> Iterator[Entry]:
    address, who = reverse("admin:vault_revealrequest_change", args=[request.pk]), request.requester.get_username()
    asked = _("Used break-glass to see the number (%(ticket)s).") if request.is_break_glass else None
    asked = asked or _("Asked to see the number (%(ticket)s).")
    yield Entry(request.created_at, who, asked % {"ticket": redact(request.ticket)}, address)
    if request.decided_at and request.decider:
        decided = _("Approved that.")
        if request.is_break_glass:
            decided = _("Reviewed that.")
        elif request.state == RevealRequest.State.REFUSED:
            decided = _("Refused that.")
        yield Entry(request.decided_at, request.decider.get_username(), decided, address)
    if request.shown_at:
        yield Entry(request.shown_at, who, _("Saw the number."), address)


def _export(request: ExportRequest) -> Iterator[Entry]:
    address, who = reverse("admin:vault_exportrequest_change", args=[request.pk]), request.requester.get_username()
    about = {"recipient": redact(request.recipient)}
    asked = _("Asked to hand the card to %(recipient)s.") % about
    yield Entry(request.created_at, who, asked, address)
    if request.finished_at:
        yield Entry(request.finished_at, "", _("It was handed to %(recipient)s, sealed.") % about, address)
