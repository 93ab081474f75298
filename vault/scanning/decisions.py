"""Working off an incident: somebody with the right looks, decides and says why; each decision is in the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.db import DatabaseError, transaction
from django.db.models import F
from django.utils import timezone

from vault import policy
from vault.audit import audited
from vault.exceptions import AccessDenied, Refusal, ScanInterrupted
from vault.models import Incident, Stray
from vault.policy import Actor, Right
from vault.purposes import TEXT_LENGTH
from vault.redaction import contains_pan
from vault.scanning.columns import column_of

_State: Final = Incident.State
_BATCH: Final = 100


class Act(StrEnum):
    """What somebody can do with an incident."""

    CONFIRM = "confirm"
    FALSE_ALARM = "false_alarm"
    CLEAN = "clean"
    REOPEN = "reopen"
    CHECK = "check"


# From which states each leads where.
_WAYS: Final = {
    Act.CONFIRM: ((_State.OPEN,), _State.CONFIRMED),
    Act.FALSE_ALARM: ((_State.OPEN, _State.CONFIRMED), _State.FALSE_ALARM),
    Act.CLEAN: ((_State.OPEN, _State.CONFIRMED), _State.CLEANED),
    Act.REOPEN: ((_State.FALSE_ALARM, _State.CLEANED), _State.OPEN),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """What a fresh look at the places of an incident showed; `unknown` cannot be looked at from here."""

    there: int
    gone: int
    unknown: int


def acts(incident: Incident, *, actor: Actor | None) -> frozenset[Act]:
    """What this actor can do with the incident now."""
    if not policy.is_granted(actor, Right.WORK_INCIDENTS):
        return frozenset()
    return frozenset({Act.CHECK, *(act for act, (states, _) in _WAYS.items() if incident.state in states)})


def decide(incident: Incident, act: Act, *, actor: Actor | None, note: str) -> None:
    """Take an incident to its next state, with a note for whoever asks later.

    Raises `AccessDenied` with the reason: no right, no note or a card number in it, decided otherwise meanwhile, or a
    number that is still there when it is said to be cleaned up. Raises `AuditUnavailable`.
    """
    states, state = _WAYS[act]
    with audited(f"incident.{act.value}", actor=actor, **_about(incident)) as outcome, transaction.atomic():
        policy.authorize(actor, Right.WORK_INCIDENTS)
        _require_text(note)
        # The lock comes first: what a scan files is filed before, and looked at, or after, and opens it again.
        now = Incident.objects.select_for_update().get(pk=incident.pk)
        if now.state not in states:
            raise AccessDenied(Refusal.INCIDENT_STATE)
        if act is Act.CLEAN and _look(now).there:
            raise AccessDenied(Refusal.STILL_THERE)
        Incident.objects.filter(pk=now.pk).update(
            state=state, note=note, decided_by=actor, decided_at=timezone.now(), found_when_decided=F("found")
        )
        outcome["reason"] = note


def check(incident: Incident, *, actor: Actor | None) -> Checked:
    """Look at the places again and remember which are clean. Raises `AccessDenied`, `AuditUnavailable`."""
    with audited("incident.check", actor=actor, **_about(incident)) as outcome:
        policy.authorize(actor, Right.WORK_INCIDENTS)
        checked = _look(incident)
        outcome.update(there=checked.there, gone=checked.gone, unknown=checked.unknown)
    return checked


def _look(incident: Incident) -> Checked:
    total = incident.strays.count()
    keyed = list(incident.strays.exclude(key=None))
    column = column_of(incident.source) if keyed else None
    if keyed and column is None:
        # Without the column there is nothing left in it.
        incident.strays.update(gone_at=timezone.now())
        return Checked(0, total, 0)
    gone: list[Stray] = []
    for start in range(0, len(keyed) if column else 0, _BATCH):
        assert column is not None  # noqa: S101 - for the type checker
        batch = keyed[start : start + _BATCH]
        try:
            # In a transaction of its own: one that failed could not be written in.
            with transaction.atomic(using=column[0].alias):
                there = column[0].holds_pan(column[1], [stray.key or [] for stray in batch])
        except DatabaseError:
            raise ScanInterrupted from None
        gone += [stray for stray in batch if tuple(stray.key or ()) not in there]
    incident.strays.filter(pk__in=[stray.pk for stray in gone]).update(gone_at=timezone.now())
    incident.strays.filter(pk__in={stray.pk for stray in keyed} - {stray.pk for stray in gone}).update(gone_at=None)
    return Checked(len(keyed) - len(gone), len(gone), total - len(keyed))


def _about(incident: Incident) -> dict[str, Any]:
    return {"subject": f"incident:{incident.pk}", "where": incident.source}


def _require_text(note: str) -> None:
    if not note.strip() or len(note) > TEXT_LENGTH or contains_pan(note):
        raise AccessDenied(Refusal.NOTE)
