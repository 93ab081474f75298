"""One person sees one card number once: asked for, decided by another, shown, and never again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.module_loading import import_string

from vault import alarms, policy, services
from vault.audit import audited, record
from vault.conf import vault_config
from vault.exceptions import AccessDenied, CardErased, DetokenizationDenied, Refusal, VaultError
from vault.models import Card, RevealRequest
from vault.pan import PAN
from vault.policy import Actor, Right
from vault.purposes import TEXT_LENGTH, Purpose
from vault.redaction import contains_pan

_State: Final = RevealRequest.State
TICKET_LENGTH: Final = 64
# What can still be seen, or come to be.
_UNUSED: Final = (_State.PENDING, _State.APPROVED)
# Between being asked for by its requester and having been seen.
_IN_HAND: Final = (_State.OPENING, _State.SHOWN)
# In an emergency somebody looks now, not tomorrow.
_BREAK_GLASS_VALID: Final = timedelta(minutes=15)


class Act(StrEnum):
    """What somebody can do with a request."""

    APPROVE = "approve"
    REFUSE = "refuse"
    REVIEW = "review"
    SHOW = "show"


_ASKED: Final = "Somebody asks to see a card number. Approve or refuse it in the admin."
_BROKEN: Final = "Somebody uses break-glass to see a card number. Review it in the admin."


def request(card: Card, *, actor: Actor | None, purpose: Purpose, ticket: str) -> RevealRequest:
    """Ask to see a card. Where approval is switched off, the request is approved at once.

    Those who may approve are told by mail. Raises `DetokenizationDenied` with the reason if the actor could not use it,
    `AccessDenied` for a ticket that is none, `CardErased`, `AuditUnavailable`.
    """
    config = vault_config()
    state = _State.PENDING if config.REVEAL_APPROVAL else _State.APPROVED
    made = _create(
        card,
        actor=actor,
        purpose=purpose,
        ticket=ticket,
        operation="reveal.request",
        state=state,
        expires_at=timezone.now() + timedelta(seconds=config.REVEAL_VALID),
    )
    if made.state == _State.PENDING:
        _tell_approvers(made, _ASKED)
    return made


def break_glass(card: Card, *, actor: Actor | None, purpose: Purpose, ticket: str) -> RevealRequest:
    """Skip the approval: an alarm event and a mail to all who could have approved come first. See `request`.

    What was seen is to be reviewed by one of them afterwards.
    """
    if not vault_config().BREAK_GLASS:
        with audited("reveal.break_glass", actor=actor, token=card.token):
            raise AccessDenied(Refusal.BREAK_GLASS)
    # The alarm is recorded before the request is committed: there is none without its alarm.
    with transaction.atomic():
        made = _create(
            card,
            actor=actor,
            purpose=purpose,
            ticket=ticket,
            operation="reveal.break_glass",
            state=_State.APPROVED,
            is_break_glass=True,
            expires_at=timezone.now() + _BREAK_GLASS_VALID,
        )
        alarm = alarms.write("reveal.alarm", _BROKEN, actor=actor, **_about(made))
    alarms.tell(vault_config().ALARM_EMAILS, _BROKEN, alarm)
    _tell_approvers(made, _BROKEN)
    return made


def approve(asked: RevealRequest, *, actor: Actor | None, note: str = "") -> None:
    """Let the requester see the card once. Raises `AccessDenied` with the reason, `AuditUnavailable`."""
    _decide(asked, _State.APPROVED, actor=actor, note=note)


def refuse(asked: RevealRequest, *, actor: Actor | None, note: str) -> None:
    """Say no, and why: the requester reads the note. What was approved, or needed no approval, can be taken back.

    Raises `AccessDenied` with the reason, `AuditUnavailable`.
    """
    _decide(asked, _State.REFUSED, actor=actor, note=note)


def review(asked: RevealRequest, *, actor: Actor | None, note: str) -> None:
    """Say afterwards, when nothing more can be seen, what was found about a use of break-glass.

    Raises `AccessDenied`, `AuditUnavailable`.
    """
    with transaction.atomic(), audited("reveal.review", actor=actor, **_about(asked)):
        policy.authorize(actor, Right.APPROVE)
        _refuse_oneself(asked, actor)
        _require_text(note)
        waiting = RevealRequest.objects.filter(_over(), pk=asked.pk, is_break_glass=True, decider=None)
        if not waiting.update(decider=actor, decided_at=timezone.now(), decision=note):
            raise AccessDenied(Refusal.STATE)
    asked.refresh_from_db()


def show(asked: RevealRequest, *, actor: Actor | None) -> PAN:
    """The number, to the requester, once, however many ask at the same time.

    The request is used up before the card is opened, and committed, so that nothing that happens later brings it back.
    If the vault refuses or does not answer, no digits came out and it can be used again.

    Raises `DetokenizationDenied` or `AccessDenied` with the reason, and what `services.detokenize` raises. Must not be
    called within a transaction.
    """
    purpose = Purpose(asked.purpose, asked.reason)
    with audited("reveal.show", actor=actor, **_about(asked)):
        _claim(asked, actor)
        try:
            pan = services.detokenize(asked.card_id, actor=actor, purpose=purpose, reveal=asked)
        except VaultError:
            # Used up by policy or not yet: no digits came out.
            RevealRequest.objects.filter(pk=asked.pk, state__in=_IN_HAND).update(state=_State.APPROVED)
            asked.refresh_from_db()
            raise
        RevealRequest.objects.filter(pk=asked.pk).update(state=_State.SHOWN, shown_at=timezone.now())
        asked.refresh_from_db()
    return pan


def confirm_identity(asked: RevealRequest, request: HttpRequest) -> HttpResponse | None:
    """Return None if whoever sits there has just shown who they are, else the response that asks for it.

    The project answers, with the function that settings.VAULT["CONFIRM_IDENTITY"] names. Raises `AccessDenied` if it
    names none: then nobody sees a number.
    """
    name = vault_config().CONFIRM_IDENTITY
    if not name:
        with audited("reveal.show", actor=request.user, **_about(asked)):
            raise AccessDenied(Refusal.FRESH_SIGN_IN)
    answer: HttpResponse | None = import_string(name)(request)
    return answer


def visible_to(actor: Actor | None) -> QuerySet[RevealRequest]:
    """The requests that an actor may know of: all for those who decide or audit, their own for those who ask."""
    rights = policy.rights_of(actor)
    if rights & {Right.APPROVE, Right.VIEW_REVEALS}:
        return RevealRequest.objects.all()
    if actor is not None and Right.DETOKENIZE in rights:
        return RevealRequest.objects.filter(requester=actor.pk)
    return RevealRequest.objects.none()


def acts(asked: RevealRequest, *, actor: Actor | None) -> frozenset[Act]:
    """What can be offered to this actor now. Whether they may is decided again, and recorded, when they do it."""
    rights = policy.rights_of(actor)
    is_own = actor is not None and asked.requester_id == actor.pk
    is_open = not asked.has_expired()
    found: set[Act] = set()
    if Right.APPROVE in rights and not is_own:
        if asked.state == _State.PENDING and is_open:
            found.add(Act.APPROVE)
        if asked.state in _UNUSED and is_open:
            found.add(Act.REFUSE)
        elif asked.is_break_glass and asked.decider_id is None:
            found.add(Act.REVIEW)
    if Right.DETOKENIZE in rights and is_own and asked.state == _State.APPROVED and is_open:
        found.add(Act.SHOW)
    return frozenset(found)


def _over() -> Q:
    """Requests of which nothing more can be seen."""
    return ~Q(state__in=_UNUSED) | Q(expires_at__lte=timezone.now())


def undecided() -> Q:
    """Requests that wait for a decision."""
    return Q(state=_State.PENDING, expires_at__gt=timezone.now())


def unreviewed() -> Q:
    """Uses of break-glass that wait for a review."""
    return Q(is_break_glass=True, decider=None)


def waiting() -> int:
    """How many requests wait for a decision, and uses of break-glass for a review."""
    return RevealRequest.objects.filter(undecided() | unreviewed()).count()


def _create(
    card: Card, *, actor: Actor | None, purpose: Purpose, ticket: str, operation: str, **fields: Any
) -> RevealRequest:
    asked_for = {"token": card.token, "purpose": purpose.name, "reason": purpose.text}
    with transaction.atomic(), audited(operation, actor=actor, **asked_for) as outcome:
        requester = policy.authorize(actor, Right.DETOKENIZE)
        if refusal := policy.purpose_refusal(requester, purpose, vault_config()):
            raise DetokenizationDenied(refusal)
        # For people a few words are always asked for, whatever the rule for programs says.
        _require_text(purpose.text)
        if not ticket.strip() or len(ticket) > TICKET_LENGTH or contains_pan(ticket):
            raise AccessDenied(Refusal.TICKET)
        if card.status == Card.Status.ERASED:
            raise CardErased
        open_one = RevealRequest.objects.filter(
            card=card, requester=requester.pk, state__in=_UNUSED, expires_at__gt=timezone.now(), is_break_glass=False
        )
        if not fields.get("is_break_glass") and open_one.exists():
            raise AccessDenied(Refusal.OPEN_REQUEST)
        made = RevealRequest.objects.create(
            card=card,
            requester_id=requester.pk,
            purpose=purpose.name,
            reason=purpose.text,
            ticket=ticket.strip(),
            **fields,
        )
        outcome |= {"subject": _name(made), "ticket": made.ticket}
    return made


def _decide(asked: RevealRequest, state: RevealRequest.State, *, actor: Actor | None, note: str) -> None:
    # The event is written before the decision is committed: there is none without its event.
    with transaction.atomic(), audited(f"reveal.{state.value}", actor=actor, **_about(asked)):
        policy.authorize(actor, Right.APPROVE)
        _refuse_oneself(asked, actor)
        if state == _State.REFUSED or note:
            _require_text(note)
        _require_in_time(asked)
        before = _UNUSED if state == _State.REFUSED else (_State.PENDING,)
        if not _move(asked, before, state, decider=actor, decided_at=timezone.now(), decision=note):
            raise AccessDenied(Refusal.STATE)


def _claim(asked: RevealRequest, actor: Actor | None) -> None:
    policy.authorize(actor, Right.DETOKENIZE)
    asked.refresh_from_db()
    if actor is None or asked.requester_id != actor.pk:
        raise AccessDenied(Refusal.OTHER_PERSON)
    _require_in_time(asked)
    # Approved by nobody while approval was switched off, and used when it is on again.
    if vault_config().REVEAL_APPROVAL and asked.decider_id is None and not asked.is_break_glass:
        raise AccessDenied(Refusal.APPROVAL)
    with transaction.atomic(durable=True):
        if not _move(asked, (_State.APPROVED,), _State.OPENING):
            raise AccessDenied(Refusal.STATE)


def _move(
    asked: RevealRequest, before: Collection[RevealRequest.State], after: RevealRequest.State, **fields: Any
) -> bool:
    """Change the state if it is what it should be; of several at once, one succeeds."""
    changed = RevealRequest.objects.filter(pk=asked.pk, state__in=before).update(state=after, **fields)
    asked.refresh_from_db()
    return bool(changed)


def _require_in_time(asked: RevealRequest) -> None:
    if asked.has_expired():
        raise AccessDenied(Refusal.EXPIRED)


def _refuse_oneself(asked: RevealRequest, actor: Actor | None) -> None:
    if actor is None or asked.requester_id == actor.pk:
        raise AccessDenied(Refusal.SAME_PERSON)


def _require_text(text: str) -> None:
    if not text.strip() or len(text) > TEXT_LENGTH or contains_pan(text):
        raise AccessDenied(Refusal.PURPOSE_TEXT)


def _about(asked: RevealRequest) -> dict[str, Any]:
    return {
        "token": asked.card_id,
        "purpose": asked.purpose,
        "reason": asked.reason,
        "subject": _name(asked),
        "ticket": asked.ticket,
    }


def _name(asked: RevealRequest) -> str:
    return f"reveal:{asked.pk}"


def _tell_approvers(asked: RevealRequest, sentence: str) -> None:
    event = record("reveal.told", actor=asked.requester, **_about(asked))
    others = policy.holders(Right.APPROVE).exclude(pk=asked.requester_id)
    alarms.tell(sorted({person.email for person in others if person.email}), sentence, event)
