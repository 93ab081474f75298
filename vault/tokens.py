"""The random stand-in for a card number, safe wherever the number itself is not."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Final, Self

from vault.exceptions import InvalidToken

# The digit names the version of the text form; the rest is a random UUID (RFC 9562, version 4) in lower case.
PREFIX: Final = "tok1_"
LENGTH: Final = len(PREFIX) + 36
PATTERN: Final = r"tok1_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_TEXT = re.compile(PATTERN, re.ASCII)
# The shortest card number has as many; a scanner for card numbers passes over what stands between them.
_LONG_RUN = re.compile(r"[0-9](?:[-_]?[0-9]){11}")


@dataclass(frozen=True, slots=True, order=True)
class Token:
    """Some 122 random bits in a versioned text form. Nothing about the card can be computed from it."""

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not _TEXT.fullmatch(self.text):
            raise InvalidToken

    @classmethod
    def generate(cls) -> Self:
        """A new token from the system's random source, in which no 12 digits stand in a row.

        Digits and Luhn are what a scanner for card numbers goes by; one UUID in thirty has them, and is drawn again.
        """
        while _LONG_RUN.search(text := f"{PREFIX}{uuid.uuid4()}"):
            pass
        return cls(text)

    @classmethod
    def parse(cls, text: str | Token) -> Token:
        """The token written as `text`. Raises `InvalidToken` for every other text, case and version."""
        return text if isinstance(text, Token) else cls(text)

    @classmethod
    def is_token(cls, text: object) -> bool:
        """True if `text` is the text form of a token."""
        return isinstance(text, str) and _TEXT.fullmatch(text) is not None

    def __str__(self) -> str:
        return self.text
