"""Walks the rows in batches, by primary key, and does not give up at the first trouble."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from functools import partial
from typing import Any, Final

from django.db import OperationalError, connections

from vault.adoption import batches
from vault.adoption.columns import Columns
from vault.adoption.rows import Report, Row, Verdict
from vault.audit import audited
from vault.exceptions import VaultUnavailable

# Seconds before the next attempt at a batch.
_VAULT_PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
_DATABASE_PAUSES: Final = (0.1, 0.5, 2.0)


class Mode(StrEnum):
    """What a run does with the rows; the value is its name in the audit log."""

    PREVIEW = "preview"
    ADOPT = "adopt"
    REFRESH = "refresh"
    CHECK = "check"
    WIPE = "wipe"

    @property
    def is_of_waiting_rows(self) -> bool:
        """True if rows whose new column is set are no business of it."""
        return self in {Mode.PREVIEW, Mode.ADOPT}


_WORK: Final[dict[Mode, Callable[[Columns, Sequence[Row]], list[Verdict]]]] = {
    Mode.PREVIEW: batches.preview,
    Mode.ADOPT: batches.adopt,
    Mode.REFRESH: batches.adopt,
    Mode.CHECK: batches.check,
    Mode.WIPE: batches.wipe,
}


def run(
    columns: Columns,
    mode: Mode,
    *,
    batch: int = 200,
    listed: int = 1000,
    progress: Callable[[int], Any] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Do the work of `mode` on every row, and say what became of them.

    Each batch is complete when the next begins: whatever ends the run, another run does what is left. A deadlock or a
    lock time-out is tried again three times, a vault that does not answer five times.

    :param progress: is told after each batch how many rows it had

    Raises `AdoptionRefused`, `VaultError`, and what the database raises.
    """
    if mode is Mode.WIPE:
        columns.require_wipeable()
    if mode in {Mode.ADOPT, Mode.PREVIEW}:
        columns.require_nullable()
    report = Report(listed)
    with _audited(columns, mode) as outcome:
        for verdicts in _batches(columns, mode, size=batch, sleep=sleep):
            report.add(verdicts)
            if progress:
                progress(len(verdicts))
        outcome.update(report.exported())
    return report


def _audited(columns: Columns, mode: Mode) -> AbstractContextManager[dict[str, Any]]:
    if mode is Mode.PREVIEW:
        return nullcontext({})
    return audited("adopt", subject=str(columns), mode=mode.value, into=columns.new.name, database=columns.alias)


def _batches(columns: Columns, mode: Mode, *, size: int, sleep: Callable[[float], None]) -> Iterator[list[Verdict]]:
    after: Any = None
    while True:
        # Read anew at each attempt: what another attempt did, or somebody else, is seen.
        verdicts = _persistently(partial(_batch, columns, mode, after=after, size=size), sleep=sleep)
        if not verdicts:
            return
        yield verdicts
        after = verdicts[-1][0].pk
        _replace_lost_connections()


def _batch(columns: Columns, mode: Mode, *, after: Any, size: int) -> list[Verdict]:
    rows = columns.read(after=after, limit=size, waiting=mode.is_of_waiting_rows)
    return _WORK[mode](columns, rows)


def _persistently(attempt: Callable[[], list[Verdict]], *, sleep: Callable[[float], None]) -> list[Verdict]:
    """What `attempt` gives, tried again while there is hope that the next one goes better."""
    vault, database = iter(_VAULT_PAUSES), iter(_DATABASE_PAUSES)
    while True:
        try:
            return attempt()
        except (VaultUnavailable, OperationalError) as error:
            pause = next(vault if isinstance(error, VaultUnavailable) else database, None)
            if pause is None:
                raise
        _replace_lost_connections()
        sleep(pause)


def _replace_lost_connections() -> None:
    """`close_old_connections`, but that a transaction around the run, such as that of a migration, stays open."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
