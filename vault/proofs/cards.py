"""That cards are kept no longer than they may be, that the stores agree, and that no number strayed."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from django.db.models import Count, Q
from django.utils import timezone

from vault.conf import vault_config
from vault.fsck.items import OPERATION as FSCK
from vault.models import Card, Incident, Run
from vault.proofs.periods import Period
from vault.proofs.proof import Proof, those_met
from vault.purging import verify
from vault.retention import VERIFICATION
from vault.scanning.scan import OPERATION as SCAN

KEPT_TOO_LONG: Final = "Cards are kept for too long."
NOT_VERIFIED: Final = "For longer than is allowed it was not verified that no card is kept for too long."
STORES_DIFFER: Final = "The last comparison of the two stores found differences, or did not end."
NOT_COMPARED: Final = "The two stores were not compared, with every card opened, within the period."
OPEN_INCIDENTS: Final = "There are incidents that nobody has decided or cleaned up."
NOT_SCANNED: Final = "No scan of the database for stray card numbers was finished within the period."

_Runs = list[dict[str, Any]]


def retention(period: Period) -> Proof:
    """Verify both stores now, and say when else that was done (PCI DSS 3.2.1). Stores the result, as a purge does.

    Raises `VaultSealed`, `VaultUnavailable`.
    """
    gap = _longest_gap(period)
    now = verify(today=timezone.localdate())
    config = vault_config()
    data = {
        "now": {"run": now.pk, "state": now.state, **now.counts},
        "verifications": [_without_position(run) for run in _runs(VERIFICATION, period)],
        "longest_gap_days": round(gap / timedelta(days=1), 1),
        "rules": {
            "months_after_expiry": config.RETENTION_AFTER_EXPIRY,
            "months_after_use": config.RETENTION_AFTER_USE,
            "days_between_verifications": config.VERIFY_EVERY_DAYS,
        },
    }
    is_late = gap > timedelta(days=config.VERIFY_EVERY_DAYS)
    return Proof(data, those_met({KEPT_TOO_LONG: now.state == Run.State.FAILED, NOT_VERIFIED: is_late}))


def _longest_gap(period: Period) -> timedelta:
    """The longest time in the period without a verification that ended well, begun before it if need be."""
    done = Run.objects.filter(operation=VERIFICATION, state=Run.State.DONE).order_by("started_at")
    before = done.filter(started_at__lt=period.since).last()
    end = min(period.until, timezone.now())
    within = done.filter(started_at__gte=period.since, started_at__lt=end)
    moments = [run.started_at for run in within]
    start = before.started_at if before else _first_card()
    if start is None or start >= end:
        return timedelta()
    return max(later - earlier for earlier, later in pairwise(sorted([start, *moments, end])))


def _first_card() -> datetime | None:
    # A vault that was never verified is as old as its first card.
    first = Card.objects.order_by("created_at").first()
    return first.created_at if first else None


def consistency(period: Period) -> Proof:
    """What `vault_fsck` found. One with `--quick` proves no agreement, and outweighs none that opened every card.

    Raises nothing of its own.
    """
    runs = [_without_position(run) | {"opened_cards": _opened_cards(run)} for run in _runs(FSCK, period)]
    thorough = [run for run in runs if run["opened_cards"]]
    differ = any(last["state"] != Run.State.DONE for last in (*runs[-1:], *thorough[-1:]))
    return Proof({"comparisons": runs}, those_met({STORES_DIFFER: differ, NOT_COMPARED: not thorough}))


def incidents(period: Period) -> Proof:
    """What `vault_scan` found, and what became of it (PCI DSS 12.10.7)."""
    undecided = Q(state__in=[Incident.State.OPEN, Incident.State.CONFIRMED])
    within = Q(opened_at__gte=period.since, opened_at__lt=period.until)
    rows = Incident.objects.filter(within | undecided).order_by("opened_at", "pk")
    listed = rows.values(
        "pk", "source", "state", "opened_at", "reopened_at", "last_seen", "found", "decided_at", "decided_by", "note"
    )
    scans = [_without_position(run) | {"read_database": _read_database(run)} for run in _runs(SCAN, period)]
    data = {
        "incidents": list(listed),
        "states": dict(rows.order_by().values_list("state").annotate(Count("pk"))),
        "scans": scans,
    }
    is_scanned = any(run["state"] == Run.State.DONE and run["read_database"] for run in scans)
    is_open = Incident.objects.filter(undecided).exists()
    return Proof(data, those_met({OPEN_INCIDENTS: is_open, NOT_SCANNED: not is_scanned}))


def _runs(operation: str, period: Period) -> _Runs:
    """The runs of an operation that began within the period, the oldest first."""
    runs = Run.objects.filter(operation=operation, started_at__gte=period.since, started_at__lt=period.until)
    rows = runs.order_by("started_at", "pk").values("pk", "state", "started_at", "finished_at", "counts", "position")
    return [{**row} for row in rows]


def _without_position(run: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name != "position"}


def _opened_cards(run: dict[str, Any]) -> bool:
    return bool(run["position"].get("opens"))


def _read_database(run: dict[str, Any]) -> bool:
    database, *_ = run["position"].get("plan", [False])
    return bool(database)
