"""That the audit log holds together (PCI DSS 10.3), and what it has of a period (10.2). The database counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db.models import Count, Max, Min, QuerySet, Sum
from django.utils import timezone

from vault import alarms
from vault.audit import audited
from vault.audit.standing import WHOLE, note
from vault.audit.verification import rows, verify
from vault.backend import current_vault
from vault.exceptions import AuditUnavailable, RecordTampered
from vault.models import AuditEvent
from vault.policy import DETOKENIZE, SEARCH
from vault.proofs.periods import Period
from vault.proofs.proof import Proof, those_met

BROKEN: Final = "The audit log does not hold together."
BROKEN_SEALS: Final = "The seals of the audit log do not hold together."
NOT_SEALED: Final = "The audit log was not sealed within the last day."

#: What lets card numbers out, or tells whether a number is on file.
_READS: Final = (DETOKENIZE, SEARCH, "export")
_MOST_BREAKS: Final = 1_000


def audit_log(period: Period) -> Proof:
    """Verify all of the log against its seals now, and count what it has of the period by operation and outcome.

    Recorded, noted and alarmed as by `vault_audit verify`. Raises `AuditUnavailable`, `VaultSealed`,
    `VaultUnavailable`.
    """
    started_at = timezone.now()
    verified: dict[str, Any] = {"seals_hold": False}
    findings: dict[str, object] = {}
    try:
        with audited("audit.verify") as outcome:
            result = verify(current_vault().seals)
            outcome |= {"events": result.events, "seals": result.seals, "breaks": len(result.breaks)}
    except RecordTampered:
        note(WHOLE, started_at, BROKEN_SEALS)
        alarms.sound("audit.broken", BROKEN_SEALS)
        findings = {BROKEN_SEALS: True}
    else:
        note(WHOLE, started_at, result)
        if result.breaks:
            alarms.sound("audit.broken", BROKEN, first_row=result.breaks[0].row)
        breaks = [asdict(each) for each in result.breaks[:_MOST_BREAKS]]
        verified = {
            "seals_hold": True,
            "events": result.events,
            "chains": result.chains,
            "seals": result.seals,
            "sealed_until": result.sealed_until,
            "number_of_breaks": len(result.breaks),
            "breaks": breaks,
        }
        is_late = result.sealed_until is None or result.sealed_until < timezone.now() - timedelta(days=1)
        findings = {BROKEN: result.breaks, NOT_SEALED: is_late}
    events = within(period)
    try:
        ends = events.aggregate(first=Min("time"), last=Max("time"))
        counts = _counted(events, "operation", "outcome")
        alarmed = _counted(events.filter(is_alarm=True), "operation")
    except DatabaseError:
        raise AuditUnavailable from None
    return Proof({"verified": verified, "period": ends, "events": counts, "alarms": alarmed}, those_met(findings))


def reads(period: Period) -> Proof:
    """How many cards were read, searched for and exported, by purpose and outcome. Raises `AuditUnavailable`."""
    events = within(period).filter(operation__in=_READS)
    try:
        return Proof({"reads": _counted(events, "operation", "purpose", "outcome")})
    except DatabaseError:
        raise AuditUnavailable from None


def counts(period: Period, operations: Sequence[str]) -> Proof:
    """How often each of these operations was tried in the period, and with which outcome. Raises `AuditUnavailable`."""
    try:
        return Proof({"events": _counted(within(period).filter(operation__in=operations), "operation", "outcome")})
    except DatabaseError:
        raise AuditUnavailable from None


def changes(period: Period, operations: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every event of these operations in the period, as an export has it, page by page.

    Of one that was edited into what nobody can read, it is the row that is told. Raises `AuditUnavailable`.
    """
    yield from rows(within(period).filter(operation__in=operations))


def within(period: Period) -> QuerySet[AuditEvent]:
    """The events of a period."""
    return AuditEvent.objects.filter(time__gte=period.since, time__lt=period.until)


def _counted(events: QuerySet[AuditEvent], *columns: str) -> list[dict[str, Any]]:
    return list(events.order_by(*columns).values(*columns).annotate(events=Count("pk"), sum_of_cards=Sum("cards")))
