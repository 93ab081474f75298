"""Why a row or a whole file is not imported. Sentences are constants: nothing of a row is ever part of one."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from vault.exceptions import PANProblem


class Reason(StrEnum):
    """Why one row is not imported; the value is the stable code, `message` the sentence for people."""

    TOO_LONG = "too_long"
    ENCODING = "encoding"
    MALFORMED = "malformed"
    DUPLICATE_KEY = "duplicate_key"
    NESTED = "nested"
    COLUMNS = "columns"
    NUMBER_TYPE = "number_type"
    NUMBER_EMPTY = "number_empty"
    NUMBER_CHARACTERS = "number_characters"
    NUMBER_LENGTH = "number_length"
    NUMBER_CHECKSUM = "number_checksum"
    NUMBER_REAL = "number_real"
    EXPIRY = "expiry"
    REFERENCE = "reference"
    CARD_ELSEWHERE = "card_elsewhere"

    @classmethod
    def of(cls, problem: PANProblem) -> Reason:
        """The reason that a number with this problem is refused for."""
        return cls(f"number_{problem.value}")

    @property
    def message(self) -> str:
        return _MESSAGES[self]


_MESSAGES: Final = {
    Reason.TOO_LONG: "This line is too long.",
    Reason.ENCODING: "This line is not UTF-8 text, or has a character that text does not have.",
    Reason.MALFORMED: "This line is not a row. A quoted field ends on the line that it begins on.",
    Reason.DUPLICATE_KEY: "A key stands twice in this row.",
    Reason.NESTED: "A value of this row is a list or an object.",
    Reason.COLUMNS: "This row lacks a column, or has more than one for the same thing.",
    Reason.NUMBER_TYPE: "The card number is not text. As a JSON number it may have lost digits.",
    Reason.NUMBER_EMPTY: "There is no card number.",
    Reason.NUMBER_CHARACTERS: PANProblem.CHARACTERS.message,
    Reason.NUMBER_LENGTH: PANProblem.LENGTH.message,
    Reason.NUMBER_CHECKSUM: PANProblem.CHECKSUM.message,
    Reason.NUMBER_REAL: PANProblem.REAL.message,
    Reason.EXPIRY: "The expiry is not a month and a year.",
    Reason.REFERENCE: "The reference is too long, or no printable text.",
    Reason.CARD_ELSEWHERE: "A card number, or much of one, stands in another column.",
}


class Refusal(StrEnum):
    """Why a whole file is not imported; the value is the sentence for people."""

    FORBIDDEN = "There is a column for a CVV, PIN or track data, which may never be kept. Remove it from the file."
    NO_HEADER = "The first line is no header."
    NUMBER_IN_HEADER = "A card number stands in the first line, where the names of the columns belong."
    SAME_COLUMN = "Two columns have the same name."
    NO_SUCH_COLUMN = "A column that was named in an option is not in the file."
    COLUMNS = "The columns are not clear: there must be one for the number, and no two for the same thing."


class RowRefused(ValueError):
    """This row is not imported."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.message)


class FileRefused(ValueError):
    """This file is not imported."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
