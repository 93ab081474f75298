"""Whether the audit log held together when somebody looked last, and how much of it no seal vouches for. SQL alone.

What is noted here is for people, so that a break stays in sight. It proves nothing: whoever can change the log may be
able to change the note. `vault_audit verify` proves it anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import Error as DatabaseError
from django.db.models import QuerySet
from django.utils import timezone

from vault.audit.verification import SEALED, Verification
from vault.exceptions import AuditUnavailable
from vault.models import AuditEvent, Run

#: The operations of a stored `Run`: all of the log against its seals, and the newest events among themselves.
WHOLE: Final = "audit.verify"
NEWEST: Final = "audit.verify-newest"
#: Among so many of the newest events the last seal is looked for, and so many without one are counted.
LOOKED_AT: Final = 5_000


@dataclass(frozen=True, slots=True)
class Standing:
    """How the log stands.

    :param sealed_at: when the last seal was made; None if the newest events name none
    :param unsealed: events since then, `LOOKED_AT` at most
    :param whole: the last verification of all of it
    :param newest: the last one of its newest events
    :param broken: the last one that found a break, unless all of it was found to hold since
    """

    sealed_at: datetime | None
    unsealed: int
    whole: Run | None
    newest: Run | None
    broken: Run | None


def standing() -> Standing:
    """A handful of queries, however long the log is. Raises `AuditUnavailable`."""
    try:
        recent = AuditEvent.objects.order_by("-pk").values_list("pk", flat=True)
        last = recent.first() or 0
        near = AuditEvent.objects.filter(pk__gt=last - LOOKED_AT)
        seal = near.filter(operation=SEALED, outcome=AuditEvent.Outcome.DONE).order_by("-pk").first()
        # Those of other processes that were written while it was made are not in it, and it says up to where it is.
        end = _end_of(seal) if seal else 0
        # No COUNT: it would read the whole log where none of it is sealed.
        unsealed = len(recent.filter(pk__gt=end).exclude(pk=seal.pk if seal else 0)[:LOOKED_AT])
    except DatabaseError:
        raise AuditUnavailable from None
    whole, newest = _runs(WHOLE).first(), _runs(NEWEST).first()
    held = _runs(WHOLE).filter(state=Run.State.DONE).first()
    broken = Run.objects.filter(operation__in=[WHOLE, NEWEST], state=Run.State.FAILED, pk__gt=held.pk if held else 0)
    return Standing(seal.time if seal else None, unsealed, whole, newest, broken.order_by("-pk").first())


def _end_of(seal: AuditEvent) -> int:
    """The last row that a seal vouches for. Whoever edited the seal is not to keep auditors from their list."""
    said = seal.details.get("until_row") if isinstance(seal.details, dict) else None
    return said if isinstance(said, int) else seal.pk


def note(operation: str, started_at: datetime, found: Verification | str) -> Run:
    """Keep what a verification found, or why it could not be made."""
    counts: dict[str, int] = {}
    first: dict[str, object] = {}
    if isinstance(found, str):
        first = {"row": None, "problem": found}
    else:
        counts = {"events": found.events, "chains": found.chains, "seals": found.seals, "breaks": len(found.breaks)}
        first = {"row": found.breaks[0].row, "problem": found.breaks[0].problem} if found.breaks else {}
    return Run.objects.create(
        operation=operation,
        state=Run.State.FAILED if first else Run.State.DONE,
        started_at=started_at,
        finished_at=timezone.now(),
        counts=counts,
        position=first,
    )


def _runs(operation: str) -> QuerySet[Run]:
    return Run.objects.filter(operation=operation).order_by("-started_at", "-pk")
