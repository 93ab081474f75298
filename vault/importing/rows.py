"""One row: what is imported of it, or why nothing is. Here digits become a `PAN`, and nothing else leaves with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from vault.acceptance import accept
from vault.exceptions import InvalidPAN
from vault.expiry import InvalidExpiry, parse_expiry
from vault.importing.columns import Columns, is_card_number
from vault.importing.refusals import Reason, RowRefused
from vault.pan import PAN
from vault.redaction import contains_pan
from vault.redaction.reading import fold

_MAX_REFERENCE: Final = 200
# One more than the BIN has, which may be kept beside the last four.
_TELLING: Final = 9
_DIGITS: Final = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A card to keep. `row` is the number of its line, `reference` what the file's owner calls it, or empty."""

    row: int
    reference: str
    pan: PAN
    expires: date | None


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is not kept. The reference is empty if it could tell something of the number."""

    row: int
    reference: str
    reason: Reason


def read_row(row: int, values: Mapping[str, object], columns: Columns) -> ImportRow | Reject:
    """Judge one row. A card number in any other column than its own refuses the row."""
    number = values.get(columns.number)
    reference = ""
    try:
        _refuse_other_numbers(values, columns, number)
        # Not before: from here on it is harmless, and may be shown beside a reason.
        reference = _reference(values, columns)
        return ImportRow(row, reference, _pan(number), _expires(values, columns))
    except RowRefused as refused:
        return Reject(row, reference, refused.reason)


def _refuse_other_numbers(values: Mapping[str, object], columns: Columns, number: object) -> None:
    digits = _digits(number)
    for name, value in values.items():
        if isinstance(value, dict | list):
            raise RowRefused(Reason.NESTED)
        if is_card_number(name):
            raise RowRefused(Reason.CARD_ELSEWHERE)
        if name != columns.number and value is not None:
            text = str(value)
            if contains_pan(text) or _repeats(text, digits):
                raise RowRefused(Reason.CARD_ELSEWHERE)


def _repeats(text: str, digits: str) -> bool:
    """Tell whether `text` has enough of the row's own number to put it together again with brand and last four.

    That number may be mistyped or of no known brand, so that nobody else would recognize it.
    """
    own = _digits(text)
    return any(own[start : start + _TELLING] in digits for start in range(len(own) - _TELLING + 1))


def _digits(value: object) -> str:
    return "".join(character for character in fold(str(value)) if character in _DIGITS)


def _reference(values: Mapping[str, object], columns: Columns) -> str:
    text = _text(values, columns.reference, Reason.REFERENCE)
    if len(text) > _MAX_REFERENCE or not text.isprintable():
        raise RowRefused(Reason.REFERENCE)
    return text


def _pan(number: object) -> PAN:
    if number is None:
        raise RowRefused(Reason.NUMBER_EMPTY)
    if not isinstance(number, str):
        raise RowRefused(Reason.NUMBER_TYPE)
    try:
        return accept(number)
    except InvalidPAN as error:
        raise RowRefused(Reason.of(error.problem)) from None


def _expires(values: Mapping[str, object], columns: Columns) -> date | None:
    text = _text(values, columns.expires, Reason.EXPIRY)
    month, year = (_text(values, column, Reason.EXPIRY) for column in (columns.month, columns.year))
    if month or year:
        text = f"{month}/{year}"
    if not text:
        return None
    try:
        return parse_expiry(text)
    except InvalidExpiry:
        raise RowRefused(Reason.EXPIRY) from None


def _text(values: Mapping[str, object], column: str | None, reason: Reason) -> str:
    """The text in a column, which in JSON may be a whole number. Raises `RowRefused` for any other value."""
    value = values.get(column) if column is not None else None
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise RowRefused(reason)
    return str(value).strip()
