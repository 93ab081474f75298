"""Erasing what was kept for long enough, and proving that nothing was kept for longer (PCI DSS 3.2.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db import models
from django.utils import timezone

from vault.audit import audited
from vault.backend import current_vault
from vault.erasure import Basis, erase_due, finish
from vault.exceptions import CardInUse, OnHold
from vault.fsck.findings import Code
from vault.fsck.items import check_items
from vault.fsck.looks import SETTLED
from vault.models import Card, Run
from vault.pace import Pace, silent
from vault.retention import VERIFICATION, date_card, due, is_due, undated

_PAGE: Final = 500
# Cards that are in DynamoDB although nobody keeps them any more.
_FORGOTTEN: Final = frozenset({Code.UNKNOWN_ITEM, Code.UNFINISHED_ERASURE, Code.FINGERPRINT_STRAY})


@dataclass(slots=True)
class Purged:
    """What a purge did, or would do."""

    dated: int = 0
    finished: int = 0
    erased: int = 0
    in_use: int = 0


def purge(
    *,
    today: date,
    rate: int = 0,
    dry_run: bool = False,
    tell: Callable[[str], object],
    progress: Callable[[int], object] = silent,
) -> Purged:
    """Date what is undated, finish erasures that were cut off, and erase what is due, each with its certificate.

    What was done is done: killed and run again, it does the rest. A card that is used, or put on hold, after it was
    chosen is kept. `tell` is given the token of each card erased, or that would be.

    Raises `VaultUnavailable`, `VaultSealed`, `AuditUnavailable`.
    """
    purged, pace = Purged(), Pace(rate)
    if dry_run:
        purged.dated, purged.finished = undated().count(), _half_erased().count()
        for card in _paged(due(today)):
            purged.erased += 1
            tell(card.token)
        return purged
    with audited("purge", until=today.isoformat()) as outcome:
        for card in _paged(undated()):
            purged.dated += date_card(card.token)
        for card in _paged(_half_erased()):
            finish(card)
            purged.finished += 1
        for card in _paged(due(today)):
            if _is_erased(card, today):
                purged.erased += 1
                tell(card.token)
            else:
                purged.in_use += 1
            progress(1)
            pace.spend(1)
        outcome.update({"cards": purged.erased, "dated": purged.dated, "finished": purged.finished})
    return purged


def _is_erased(card: Card, today: date) -> bool:
    """Erase a card that is still due; False if somebody used it, or put it on hold, meanwhile."""
    try:
        erase_due(card.token, basis=Basis.RETENTION, reason=_reason(card), is_due=lambda row: is_due(row, today))
    except (CardInUse, OnHold):
        return False
    return True


def verify(*, today: date, rate: int = 0, progress: Callable[[int], object] = silent) -> Run:
    """Look through both stores for what is kept too long, and store the result; `DONE` if there is nothing.

    Cards on hold are counted, and no failure. Raises `VaultUnavailable`, `VaultSealed`; then nothing is stored.
    """
    started_at = timezone.now()
    counts = {
        "overdue": due(today).count(),
        "undated": undated().count(),
        "half_erased": _half_erased().count(),
        "on_hold": Card.objects.filter(status=Card.Status.ACTIVE, retain_until__lt=today).exclude(hold="").count(),
        **_forgotten(Pace(rate), progress),
    }
    is_kept_too_long = any(counts[name] for name in ("overdue", "undated", "half_erased", "items_of_no_card"))
    return Run.objects.create(
        operation=VERIFICATION,
        state=Run.State.FAILED if is_kept_too_long else Run.State.DONE,
        started_at=started_at,
        finished_at=timezone.now(),
        counts=counts,
    )


def _forgotten(pace: Pace, progress: Callable[[int], object]) -> dict[str, int]:
    """How many items of no card DynamoDB has. Opens none."""
    seen, found, last = 0, 0, ""
    while True:
        page = current_vault().store.scan(after=last)
        found += sum(finding.code in _FORGOTTEN for finding in check_items(page.items, opens=False))
        seen, last = seen + len(page.items), page.last
        progress(len(page.items))
        pace.spend(len(page.items))
        if not last:
            return {"items": seen, "items_of_no_card": found}


def _half_erased() -> models.QuerySet[Card]:
    """Cards whose erasure began a while ago and has no certificate."""
    late = models.Q(erased_at=None) | models.Q(erased_at__lt=timezone.now() - SETTLED)
    return Card.objects.filter(late, status=Card.Status.ERASED, certificate=None)


def _paged(cards: models.QuerySet[Card]) -> Iterator[Card]:
    """Cards by keyset: those that are dealt with do not come again, and those that could not be do not either."""
    last = ""
    while page := list(cards.filter(token__gt=last).order_by("token")[:_PAGE]):
        yield from page
        last = page[-1].token


def _reason(card: Card) -> str:
    because = Card.Retention(card.retention).name.lower().replace("_", " ") if card.retention else "date"
    return f"Kept until {card.retain_until:%Y-%m-%d} by its {because}. PCI DSS 3.2.1."
