"""Names that others call our rows by."""

from __future__ import annotations

import base64
import secrets
from typing import Final

#: How the number of every order begins.
ORDER: Final = "ord_"


def new_id(prefix: str) -> str:
    """`prefix` and 128 random bits: nothing can be found by counting.

    In base32, because hexadecimal has runs of digits that can pass for a card number, which an address may not hold.
    """
    return prefix + base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
