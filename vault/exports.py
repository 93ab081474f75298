"""Cards for somebody else, such as the next provider: asked for by one person, approved by two others, opened once.

What leaves is sealed to the recipient's key; see `vault.envelopes`. The run itself is in `vault.exportruns`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.module_loading import import_string

from vault import alarms, opening, policy
from vault.audit import audited, record
from vault.conf import vault_config
from vault.envelopes import RecipientKey
from vault.exceptions import AccessDenied, DetokenizationDenied, Refusal, TokenNotFound
from vault.models import Card, ExportApproval, ExportedCard, ExportRequest
from vault.pan import PAN
from vault.policy import Actor, Right
from vault.purposes import TEXT_LENGTH, Purpose
from vault.redaction import contains_pan
from vault.tokens import Token

_State: Final = ExportRequest.State
_Decision: Final = ExportApproval.Decision
TICKET_LENGTH: Final = 64
RECIPIENT_LENGTH: Final = 100
#: How many people have to agree, beside the one who asks.
APPROVALS: Final = 2
# To be decided and run in.
_VALID: Final = timedelta(days=7)
_OPEN: Final = (_State.PENDING, _State.APPROVED, _State.RUNNING)
_RUNNABLE: Final = (_State.APPROVED, _State.RUNNING)
_ROWS: Final = 1_000

_ASKED: Final = "Somebody asks to export cards. Compare the key's thumbprint with the recipient, then decide."
_APPROVED: Final = "An export of cards was approved and can be run now."


class Act(StrEnum):
    """What somebody can do with a request."""

    APPROVE = "approve"
    REFUSE = "refuse"


def request(
    *,
    actor: Actor | None,
    recipient: str,
    key: RecipientKey,
    purpose: Purpose,
    ticket: str,
    tokens: Sequence[Token] | None = None,
) -> ExportRequest:
    """Ask to export the cards under `tokens`, or all that are on file now. Those who may approve are told by mail.

    Raises `AccessDenied` with the reason, `DetokenizationDenied` for the purpose, `AuditUnavailable`.
    """
    about = {"purpose": purpose.name, "reason": purpose.text, "recipient": recipient, "thumbprint": key.thumbprint}
    with transaction.atomic(), audited("export.request", actor=actor, **about) as outcome:
        requester = policy.authorize(actor, Right.REQUEST_EXPORT)
        if refusal := policy.purpose_refusal(requester, purpose, vault_config()):
            raise DetokenizationDenied(refusal)
        _require_text(purpose.text, TEXT_LENGTH, Refusal.PURPOSE_TEXT)
        _require_text(ticket, TICKET_LENGTH, Refusal.TICKET)
        _require_text(recipient, RECIPIENT_LENGTH, Refusal.RECIPIENT)
        made = ExportRequest.objects.create(
            requester_id=requester.pk,
            recipient=recipient.strip(),
            public_key=key.text,
            key_thumbprint=key.thumbprint,
            purpose=purpose.name,
            reason=purpose.text,
            ticket=ticket.strip(),
            selection=ExportRequest.Selection.ALL if tokens is None else ExportRequest.Selection.TOKENS,
            expires_at=timezone.now() + _VALID,
        )
        if tokens is not None:
            _choose(made, tokens)
        count = selected(made).count()
        if not count:
            raise AccessDenied(Refusal.SELECTION)
        made.counts = {"cards": count}
        made.save(update_fields=["counts"])
        outcome |= {"subject": name_of(made), "ticket": made.ticket, "cards": count}
        told = record("export.told", actor=actor, **about_of(made))
    others = policy.holders(Right.APPROVE_EXPORT).exclude(pk=made.requester_id)
    alarms.tell(sorted({person.email for person in others if person.email}), _ASKED, told)
    return made


def approve(asked: ExportRequest, *, actor: Actor | None, note: str = "") -> None:
    """Agree to an export. The second person who does makes it possible, and an alarm says so.

    Raises `AccessDenied` with the reason, `AuditUnavailable`.
    """
    alarm = None
    _expire(asked)
    # The event is written before the decision is committed: there is none without its event.
    with transaction.atomic(), audited("export.approve", actor=actor, **about_of(asked)) as outcome:
        _decide(asked, _Decision.APPROVED, actor=actor, note=note)
        given = asked.approvals.count()
        outcome["approvals"] = given
        if given >= APPROVALS:
            ExportRequest.objects.filter(pk=asked.pk).update(state=_State.APPROVED)
            alarm = alarms.write("export.approved", _APPROVED, actor=actor, **about_of(asked))
    asked.refresh_from_db()
    if alarm is not None:
        alarms.tell(vault_config().ALARM_EMAILS, _APPROVED, alarm)


def refuse(asked: ExportRequest, *, actor: Actor | None, note: str) -> None:
    """Say no, and why. One refusal ends the request. Raises `AccessDenied` with the reason, `AuditUnavailable`."""
    _expire(asked)
    with transaction.atomic(), audited("export.refuse", actor=actor, **about_of(asked)):
        _decide(asked, _Decision.REFUSED, actor=actor, note=note)
        ExportRequest.objects.filter(pk=asked.pk).update(state=_State.REFUSED)
    asked.refresh_from_db()


def authorize_run(asked: ExportRequest) -> None:
    """Return if the request may be run now: approved by two others who may still approve, in time, and not used up.

    Raises `AccessDenied` with the reason.
    """
    _expire(asked)
    asked.refresh_from_db()
    if asked.state == _State.EXPIRED:
        raise AccessDenied(Refusal.EXPIRED)
    if asked.state == _State.PENDING:
        raise AccessDenied(Refusal.TWO_APPROVALS)
    if asked.state not in _RUNNABLE:
        raise AccessDenied(Refusal.STATE)
    # The state is one word in a table. What was decided, by whom, is asked again.
    decisions = list(asked.approvals.select_related("approver"))
    agreed = {
        each.approver_id
        for each in decisions
        if each.decision == _Decision.APPROVED
        and each.approver_id != asked.requester_id
        and policy.is_granted(each.approver, Right.APPROVE_EXPORT)
    }
    if len(agreed) < APPROVALS or any(each.decision == _Decision.REFUSED for each in decisions):
        raise AccessDenied(Refusal.TWO_APPROVALS)


def open_cards(asked: ExportRequest, tokens: Sequence[Token]) -> list[PAN]:
    """The numbers of cards that are in the request, in the order given: all of them or none.

    Raises `AccessDenied` with the reason, `TokenNotFound`, `CardErased`, `RecordTampered` for an item that is not the
    one last written, `AuditUnavailable`, `VaultSealed`, `VaultUnavailable`.
    """
    names = [token.text for token in tokens]
    about = about_of(asked) | {"cards": len(names)} | ({"token": names[0]} if len(names) == 1 else {"tokens": names})
    with audited("export", **about):
        authorize_run(asked)
        if selected(asked).filter(token__in=names).count() != len(set(names)):
            raise TokenNotFound
        return opening.open_cards(tokens)


def selected(asked: ExportRequest) -> QuerySet[Card]:
    """The cards that the request is for, in the order of their tokens; those that were erased since included."""
    if asked.selection == ExportRequest.Selection.TOKENS:
        return Card.objects.filter(exports__request=asked).order_by("token")
    on_file = Q(status=Card.Status.ACTIVE) | Q(erased_at__gt=asked.created_at)
    return Card.objects.filter(on_file, created_at__lte=asked.created_at).order_by("token")


def confirm_identity(asked: ExportRequest, request: HttpRequest) -> HttpResponse | None:
    """Return None if whoever sits there has just shown who they are, else the response that asks for it.

    Raises `AccessDenied` if the project names no function for it: then nobody approves.
    """
    name = vault_config().CONFIRM_IDENTITY
    if not name:
        with audited("export.approve", actor=request.user, **about_of(asked)):
            raise AccessDenied(Refusal.FRESH_SIGN_IN)
    answer: HttpResponse | None = import_string(name)(request)
    return answer


def visible_to(actor: Actor | None) -> QuerySet[ExportRequest]:
    """The requests that an actor may know of: all for those who decide or look on, their own for those who ask."""
    rights = policy.rights_of(actor)
    if rights & {Right.APPROVE_EXPORT, Right.VIEW_EXPORTS}:
        return ExportRequest.objects.all()
    if actor is not None and Right.REQUEST_EXPORT in rights:
        return ExportRequest.objects.filter(requester=actor.pk)
    return ExportRequest.objects.none()


def acts(asked: ExportRequest, *, actor: Actor | None) -> frozenset[Act]:
    """What can be offered to this actor now. Whether they may is decided again, and recorded, when they do it."""
    if actor is None or asked.requester_id == actor.pk or not policy.is_granted(actor, Right.APPROVE_EXPORT):
        return frozenset()
    is_open = asked.state == _State.PENDING and not asked.has_expired()
    if not is_open or asked.approvals.filter(approver=actor.pk).exists():
        return frozenset()
    return frozenset(Act)


def name_of(asked: ExportRequest) -> str:
    """What the audit log calls the request."""
    return f"export:{asked.pk}"


def about_of(asked: ExportRequest) -> dict[str, Any]:
    """What every event about the request says."""
    return {
        "subject": name_of(asked),
        "purpose": asked.purpose,
        "reason": asked.reason,
        "ticket": asked.ticket,
        "recipient": asked.recipient,
        "thumbprint": asked.key_thumbprint,
    }


def _choose(made: ExportRequest, tokens: Sequence[Token]) -> None:
    names = sorted({token.text for token in tokens})
    on_file: set[str] = set()
    for start in range(0, len(names), _ROWS):
        found = Card.objects.filter(token__in=names[start : start + _ROWS], status=Card.Status.ACTIVE)
        on_file.update(found.values_list("token", flat=True))
    if not on_file.issuperset(names):
        raise AccessDenied(Refusal.SELECTION)
    rows = [ExportedCard(request=made, card_id=name) for name in names]
    ExportedCard.objects.bulk_create(rows, batch_size=_ROWS)


def _decide(asked: ExportRequest, decision: ExportApproval.Decision, *, actor: Actor | None, note: str) -> None:
    # The lock comes first: of two who decide at once, the second sees what the first did.
    locked = ExportRequest.objects.select_for_update().get(pk=asked.pk)
    approver = policy.authorize(actor, Right.APPROVE_EXPORT)
    if approver.pk == locked.requester_id or locked.approvals.filter(approver=approver.pk).exists():
        raise AccessDenied(Refusal.SAME_PERSON)
    if decision == _Decision.REFUSED or note:
        _require_text(note, TEXT_LENGTH, Refusal.PURPOSE_TEXT)
    if locked.state == _State.EXPIRED:
        raise AccessDenied(Refusal.EXPIRED)
    if locked.state != _State.PENDING:
        raise AccessDenied(Refusal.STATE)
    locked.approvals.create(approver_id=approver.pk, decision=decision, note=note.strip())


def _expire(asked: ExportRequest) -> None:
    """Outside the transaction that refuses because of it."""
    overdue = ExportRequest.objects.filter(pk=asked.pk, state__in=_OPEN, expires_at__lte=timezone.now())
    overdue.update(state=_State.EXPIRED)


def _require_text(text: str, length: int, refusal: Refusal) -> None:
    if not text.strip() or len(text) > length or contains_pan(text):
        raise AccessDenied(refusal)
