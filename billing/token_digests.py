"""How a token of the API is told from others, on pages and in the audit log."""

from __future__ import annotations

from typing import Final

# Digits that stand together by chance must not pass for a card number, or the audit log would mask them: 12 could.
_LENGTH: Final = 11


def start_of(digest: str) -> str:
    """The start of a token's digest: 44 bits in hexadecimal."""
    return digest[:_LENGTH]
