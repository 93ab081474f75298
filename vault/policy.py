"""Who may do what with cards. One answer for pages, admin, API and commands.

Deny by default: nothing is allowed that was not granted to the user or to a group of theirs. Being a superuser is no
grant (PCI DSS 7.2, 7.3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, cast

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, Permission
from django.db import Error as DatabaseError
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from vault import alarms
from vault.audit import audited, current_origin
from vault.conf import VaultConfig, vault_config
from vault.exceptions import AccessDenied, AuditUnavailable, DetokenizationDenied, Refusal
from vault.models import AuditEvent, RevealRequest
from vault.purposes import TEXT_LENGTH, Purpose, PurposeRule
from vault.redaction import contains_pan

Actor = AbstractBaseUser | AnonymousUser


class Right(StrEnum):
    """What can be granted; the value is the codename of the permission in the app `vault`."""

    VIEW_CARDS = "view_card"
    TOKENIZE = "tokenize_pan"
    DETOKENIZE = "detokenize_pan"
    UNATTENDED = "detokenize_unattended"
    SEARCH = "search_pan"
    ERASE = "erase_card"
    HOLD = "hold_card"
    APPROVE = "approve_reveal"
    VIEW_REVEALS = "view_revealrequest"
    VIEW_AUDIT = "view_auditevent"
    VIEW_CERTIFICATES = "view_erasurecertificate"
    MANAGE_KEYS = "manage_keys"
    VIEW_KEYS = "view_key"
    VIEW_INCIDENTS = "view_incident"
    WORK_INCIDENTS = "work_incident"
    REQUEST_EXPORT = "request_export"
    APPROVE_EXPORT = "approve_export"
    VIEW_EXPORTS = "view_exportrequest"


#: Operations in the audit log that the rules below count, and how they name a lock and its end.
DETOKENIZE: Final = "detokenize"
SEARCH: Final = "search"
LOCK: Final = "reader.lock"
UNLOCK: Final = "reader.unlock"
_DONE: Final = AuditEvent.Outcome.DONE
_HOUR: Final = timedelta(hours=1)
_LOCKED: Final = "Somebody read too many cards within an hour and is locked out of reading."


def is_granted(actor: Actor | None, right: Right) -> bool:
    """True if an active actor has the right, by themselves or through a group."""
    if actor is None or actor.pk is None or not actor.is_active:
        return False
    return grants(right).filter(Q(user=actor.pk) | Q(group__user=actor.pk)).exists()


def is_granted_sight(actor: Actor | None) -> bool:
    """True if an active actor was granted to see what is known of cards: by itself, or with the right to store them."""
    if actor is None or actor.pk is None or not actor.is_active:
        return False
    seeing = Permission.objects.filter(
        content_type__app_label="vault", codename__in=["view_card", Right.TOKENIZE.value]
    )
    return seeing.filter(Q(user=actor.pk) | Q(group__user=actor.pk)).exists()


def holders(right: Right) -> QuerySet[Any]:
    """Everybody for whom `is_granted` is true, by name."""
    users = get_user_model()
    granted = Q(user_permissions__in=grants(right)) | Q(groups__permissions__in=grants(right))
    found = users._default_manager.filter(granted, is_active=True)  # noqa: SLF001 - documented API
    return found.distinct().order_by(users.USERNAME_FIELD)


def rights_of(actor: Actor | None) -> frozenset[Right]:
    """Every right that an active actor has, by themselves or through a group."""
    if actor is None or actor.pk is None or not actor.is_active:
        return frozenset()
    rows = Permission.objects.filter(
        Q(user=actor.pk) | Q(group__user=actor.pk),
        content_type__app_label="vault",
        codename__in=[right.value for right in Right],
    )
    return frozenset(Right(codename) for codename in rows.values_list("codename", flat=True))


def grants(right: Right) -> QuerySet[Permission]:
    """The permission row of a right."""
    return Permission.objects.filter(content_type__app_label="vault", codename=right.value)


def authorize(actor: Actor | None, right: Right) -> AbstractBaseUser:
    """Give the actor back if they have the right; else raise `AccessDenied`. For reading see `authorize_reading`."""
    if not is_granted(actor, right):
        raise AccessDenied(Refusal.NO_RIGHT)
    return cast("AbstractBaseUser", actor)


def authorize_search(actor: Actor | None) -> None:
    """Return if the actor may find cards by their number now; else raise `AccessDenied`.

    Call it after the intent was recorded: the budget counts what stands in the audit log.
    """
    searcher = authorize(actor, Right.SEARCH)
    _refuse_locked(searcher)
    _spend(searcher, SEARCH, vault_config().SEARCH_BUDGET)


def authorize_reading(
    actor: Actor | None, *, purpose: Purpose, tokens: Sequence[str], reveal: RevealRequest | None
) -> None:
    """Return if the actor may read these cards for this purpose now; else raise `DetokenizationDenied`.

    In this order: the right, the rules of the purpose, for staff the approved request, the lock and the budget. Call it
    after the intent was recorded: the budget counts what stands in the audit log.
    """
    try:
        reader = authorize(actor, Right.DETOKENIZE)
        config = vault_config()
        if refusal := purpose_refusal(reader, purpose, config):
            raise DetokenizationDenied(refusal)
        if needs_approval(reader, config) and not _use_up(reveal, reader, purpose, tokens):
            raise DetokenizationDenied(Refusal.APPROVAL)
        _refuse_locked(reader)
        _spend(reader, DETOKENIZE, read_budget(reader, config))
    except AccessDenied as denial:
        raise DetokenizationDenied(denial.reason) from None


def purpose_refusal(actor: Actor, purpose: Purpose, config: VaultConfig) -> Refusal | None:
    """Why this actor may not name this purpose, from where they are and at this hour; None if they may."""
    rule = config.rule(purpose.name)
    if rule is None:
        return Refusal.PURPOSE
    if (rule.text and not purpose.text) or len(purpose.text) > TEXT_LENGTH or contains_pan(purpose.text):
        return Refusal.PURPOSE_TEXT
    if not _is_for(rule, actor):
        return Refusal.GROUP
    if not rule.is_met_from(current_origin().source):
        return Refusal.NETWORK
    return None if rule.is_met_at(timezone.localtime()) else Refusal.HOURS


def _is_for(rule: PurposeRule, actor: Actor) -> bool:
    return not rule.groups or Group.objects.filter(user=actor.pk, name__in=rule.groups).exists()


def nameable(actor: Actor, config: VaultConfig) -> list[PurposeRule]:
    """The rules of the purposes that this actor may name, wherever they are and at whatever hour."""
    rules = [rule for name in config.PURPOSES if (rule := config.rule(name))]
    return [rule for rule in rules if _is_for(rule, actor)]


def needs_approval(actor: Actor, config: VaultConfig) -> bool:
    """False for a service account with the right to read unattended, and for everybody if approval is switched off.

    Staff need it whatever they were granted; and whoever is no longer staff has not become a service account by that.
    """
    if not config.REVEAL_APPROVAL:
        return False
    return bool(getattr(actor, "is_staff", False)) or not is_granted(actor, Right.UNATTENDED)


def _use_up(reveal: RevealRequest | None, actor: Actor, purpose: Purpose, tokens: Sequence[str]) -> bool:
    """True if the request is this actor's, for this card and purpose, and is being shown; after that it is used up."""
    if reveal is None or len(tokens) != 1:
        return False
    claimed = RevealRequest.objects.filter(
        pk=reveal.pk,
        requester=actor.pk,
        card_id=tokens[0],
        purpose=purpose.name,
        reason=purpose.text,
        state=RevealRequest.State.OPENING,
    )
    return bool(claimed.update(state=RevealRequest.State.SHOWN))


# --- Budget and lock: counted in the audit log, which is durable, shared by all processes and never rolled back ----


def read_budget(actor: Actor, config: VaultConfig) -> int:
    """How many cards this actor may read within an hour: the largest budget of their groups, or the general one."""
    budgets = dict(config.GROUP_BUDGETS)
    mine = Group.objects.filter(user=actor.pk, name__in=budgets).values_list("name", flat=True) if budgets else []
    return max((budgets[name] for name in mine), default=config.READ_BUDGET)


def is_locked(actor_id: str) -> bool:
    """True if the actor was locked out of reading and nobody has unlocked them since. Raises `AuditUnavailable`."""
    try:
        last = _locks([actor_id]).last()
    except DatabaseError:
        raise AuditUnavailable from None
    return last is not None and last.operation == LOCK


def _locks(actor_ids: Sequence[str]) -> QuerySet[AuditEvent]:
    """Locks of these actors and their ends, the oldest first. An attempt to unlock that was refused is neither."""
    events = AuditEvent.objects.filter(subject__in=actor_ids, operation__in=[LOCK, UNLOCK], outcome=_DONE)
    return events.order_by("time", "pk")


@dataclass(frozen=True, slots=True)
class LockedReader:
    """Somebody who is locked out of reading, since when, and the row of the audit log that says so."""

    user: AbstractBaseUser
    since: datetime
    event: int


def locked_readers() -> list[LockedReader]:
    """Who is locked out of reading, the one who waits longest first. Raises `AuditUnavailable`.

    Looked for among those with a right to read or to search: for anybody else a lock means nothing, and the audit log
    has an index that begins with whom an event is about.
    """
    granted = Permission.objects.filter(
        content_type__app_label="vault", codename__in=[Right.DETOKENIZE.value, Right.SEARCH.value]
    )
    people = get_user_model().objects.filter(Q(user_permissions__in=granted) | Q(groups__permissions__in=granted))
    readers = {str(user.pk): user for user in people.distinct()}
    try:
        last = {event.subject: event for event in _locks(list(readers))}
    except DatabaseError:
        raise AuditUnavailable from None
    locked = [
        LockedReader(readers[event.subject], event.time, event.pk) for event in last.values() if event.operation == LOCK
    ]
    return sorted(locked, key=lambda reader: reader.since)


def unlock(actor_id: str, *, by: Actor | None) -> None:
    """Let somebody read again. Raises `AccessDenied` without the right to approve, or for oneself."""
    with audited(UNLOCK, actor=by, subject=actor_id):
        approver = authorize(by, Right.APPROVE)
        if str(approver.pk) == actor_id:
            raise AccessDenied(Refusal.SAME_PERSON)


def _refuse_locked(actor: Actor) -> None:
    if is_locked(str(actor.pk)):
        raise AccessDenied(Refusal.LOCKED)


def spent(actor_id: str, operation: str) -> int:
    """The cards of this actor within the last hour, those that are on their way included, refused ones not."""
    recent = AuditEvent.objects.of(actor_id).filter(operation=operation, time__gt=timezone.now() - _HOUR)
    denied = recent.filter(outcome=AuditEvent.Outcome.DENIED).values("operation_id")
    counted = recent.filter(outcome=AuditEvent.Outcome.INTENT).exclude(operation_id__in=denied)
    try:
        return counted.aggregate(cards=Sum("cards"))["cards"] or 0
    except DatabaseError:
        raise AuditUnavailable from None


def _spend(actor: Actor, operation: str, budget: int) -> None:
    # Two at once may both be counted by both; then both are refused. The other way round is not possible.
    if spent(str(actor.pk), operation) > budget:
        alarms.sound(LOCK, _LOCKED, subject=str(actor.pk), budget=budget, counted=operation)
        raise AccessDenied(Refusal.BUDGET)
