"""What is done with one batch of rows. Each may be done again: what is done already is found done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from vault import alarms, services
from vault.adoption.columns import Columns
from vault.adoption.rows import Row, State, Verdict
from vault.audit import audited
from vault.backend import current_vault
from vault.exceptions import RecordTampered
from vault.pan import PAN

_TAMPERED: Final = "A stored card failed its integrity check while card numbers were compared with it."


def preview(columns: Columns, rows: Sequence[Row]) -> list[Verdict]:
    """Say what `adopt` would do. Calls no vault and writes nothing."""
    return [(row, State.WAITING if row.pan else _without_number(row)) for row in rows]


def adopt(columns: Columns, rows: Sequence[Row]) -> list[Verdict]:
    """Keep the old column's numbers in the vault and write their tokens where there are others, or none.

    A row that somebody changed since it was read is left to them. Raises what `services.tokenize_many` raises.
    """
    numbered = [row for row in rows if row.pan]
    kept = services.tokenize_many([row.pan for row in numbered if row.pan], is_external=False) if numbered else []
    cards = {row.pk: result.card for row, result in zip(numbered, kept, strict=True)}
    states = {row.pk: State.AGREES if row.pan else _without_number(row) for row in rows}
    stale = [row for row in numbered if row.token != cards[row.pk].token]
    if stale:
        with columns.locked(stale) as found:
            for row in stale:
                now, card = found.get(row.pk), cards[row.pk]
                # Unless another run, started beside this one, was here first.
                if now != replace(row, token=card.token):
                    states[row.pk] = _since(row, now, State.ADOPTED)
                if states[row.pk] is State.ADOPTED:
                    columns.fill(row, card)
    return [(row, states[row.pk]) for row in rows]


def check(columns: Columns, rows: Sequence[Row]) -> list[Verdict]:
    """Hold the old column against the new one. Writes nothing but the audit event of the look-ups."""
    tokens = _tokens_of(row.pan for row in rows if row.pan and row.token)
    return [(row, _compared(row, tokens)) for row in rows]


def wipe(columns: Columns, rows: Sequence[Row]) -> list[Verdict]:
    """Check, and empty the old column where the new one is known to hold the same card."""
    states = {row.pk: state for row, state in check(columns, rows)}
    agreeing = [row for row in rows if states[row.pk] is State.AGREES]
    if agreeing:
        with columns.locked(agreeing) as found:
            states |= {row.pk: _since(row, found.get(row.pk), State.WIPED) for row in agreeing}
            columns.wipe(row for row in agreeing if states[row.pk] is State.WIPED)
    return [(row, states[row.pk]) for row in rows]


def _without_number(row: Row) -> State:
    return State.INVALID if row.problem else State.EMPTY


def _since(row: Row, now: Row | None, state: State) -> State:
    """`state` if the row is still as it was read."""
    if now is None:
        return State.EMPTY
    return state if now == row else State.CHANGED


def _compared(row: Row, tokens: dict[PAN, str | None]) -> State:
    if row.pan is None:
        return _without_number(row)
    if row.token is None:
        return State.MISSING
    return State.AGREES if tokens[row.pan] == row.token else State.DIFFERS


def _tokens_of(pans: Iterable[PAN]) -> dict[PAN, str | None]:
    """The tokens of the cards that are kept, found by fingerprint: an event for all of them, and nothing written."""
    wanted = list(dict.fromkeys(pans))
    if not wanted:
        return {}
    try:
        with audited("find", cards=len(wanted)) as outcome:
            found = current_vault().store.find_many(wanted)
            outcome["tokens"] = [token.text for token in found if token]
    except RecordTampered:
        alarms.sound("card.tampered", _TAMPERED)
        raise
    return {pan: token.text if token else None for pan, token in zip(wanted, found, strict=True)}
