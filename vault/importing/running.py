"""The import itself: rows in batches into the vault, and each batch into the journal before the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from django.db import connections

from vault import services
from vault.exceptions import VaultUnavailable
from vault.importing.journal import Counts, Journal, Kept
from vault.importing.rows import ImportRow, Reject

BATCH: Final = 500
#: Seconds between the attempts at a batch that the vault did not answer.
PAUSES: Final = (1, 2, 4, 8, 16)

_Row = ImportRow | Reject


def run(
    rows: Iterable[_Row],
    journal: Journal,
    *,
    at_once: int | None = None,
    advanced: Callable[[int, int], object],
) -> None:
    """Keep the card of every row and settle it in the journal.

    Raises `VaultError`, `OSError`, `django.db.Error` and whatever `rows` does; all rows before are settled then.

    :param at_once: no more rows than this in one batch
    :param advanced: is told after each batch how many rows it had, and how many cards
    """
    for batch in _batches(rows, min(BATCH, at_once or BATCH)):
        cards = [each for each in batch if isinstance(each, ImportRow)]
        kept = _keep(cards) if cards else []
        journal.settle(batch[-1].row, kept, [each for each in batch if isinstance(each, Reject)])
        advanced(len(batch), len(cards))
        _renew_connections()
    journal.finish()


def check(rows: Iterable[_Row], *, noticed: Callable[[Reject], None], advanced: Callable[[int, int], object]) -> Counts:
    """Judge every row and keep none. `noticed` is told of each reject, `advanced` as by `run`."""
    counts = Counts()
    for batch in _batches(rows, BATCH):
        rejects = [each for each in batch if isinstance(each, Reject)]
        for reject in rejects:
            noticed(reject)
        counts.rows += len(batch)
        counts.rejected += len(rejects)
        advanced(len(batch), len(batch) - len(rejects))
    return counts


def _keep(cards: list[ImportRow]) -> list[Kept]:
    pans, expires = [card.pan for card in cards], [card.expires for card in cards]
    for pause in (*PAUSES, None):
        try:
            # Once more is no harm: a number that was kept by an attempt whose answer was lost has its token already.
            results = services.tokenize_many(pans, expires=expires, is_external=True)
            break
        except VaultUnavailable:
            if pause is None:
                raise
            time.sleep(pause)
    return [
        Kept(card.row, card.reference, result.token.text, card.pan.brand.value, card.pan.last4, result.status.value)
        for card, result in zip(cards, results, strict=True)
    ]


def _renew_connections() -> None:
    """As between requests: a connection that was lost or is old is opened again, unless a transaction needs it."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _batches(rows: Iterable[_Row], size: int) -> Iterator[list[_Row]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch
