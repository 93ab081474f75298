"""What was tried so far, read from the audit log: it is durable, shared by all processes and never rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import Error as DatabaseError

from vault.exceptions import AuditUnavailable
from vault.models import AuditEvent


@dataclass(frozen=True, slots=True)
class Attempt:
    """One intent, and what became of it: its outcome, or "intent" for as long as that is open."""

    operation_id: str
    time: datetime
    outcome: str


def attempts(operation: str, subject: str, *, since: datetime) -> list[Attempt]:
    """Every attempt that began after `since`, the oldest first. Raises `AuditUnavailable`.

    Whoever records an intent and asks then, sees all attempts whose intents were recorded before: of any number at
    once, the last one sees them all.
    """
    found: dict[str, Attempt] = {}
    # One statement: an outcome is never seen without its intent.
    events = AuditEvent.objects.filter(subject=subject, operation=operation, time__gt=since).order_by("pk")
    try:
        rows = list(events.values_list("operation_id", "time", "outcome"))
    except DatabaseError:
        raise AuditUnavailable from None
    for operation_id, time, outcome in rows:
        if outcome == AuditEvent.Outcome.INTENT:
            found[operation_id] = Attempt(operation_id, time, outcome)
        elif operation_id in found:
            found[operation_id] = Attempt(operation_id, found[operation_id].time, outcome)
    return list(found.values())


def was_recorded(operation: str, subject: str, *, since: datetime) -> bool:
    """True if there is such an event about `subject` after `since`. Raises `AuditUnavailable`."""
    try:
        return AuditEvent.objects.filter(subject=subject, operation=operation, time__gt=since).exists()
    except DatabaseError:
        raise AuditUnavailable from None
