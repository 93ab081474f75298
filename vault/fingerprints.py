"""Recognizing a card that is already stored, without decrypting one."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.pan import PAN

SECRET_BYTES: Final = 32
_FORM: Final = re.compile(r"fp([1-9][0-9]{0,8})_[0-9a-f]{64}", re.ASCII)


def derive(secret: bytes, *, use: bytes) -> bytes:
    """A 256-bit key for one `use` of the fingerprint secret (HKDF-SHA-256, RFC 5869), so that no key has two jobs."""
    return HKDF(algorithm=hashes.SHA256(), length=SECRET_BYTES, salt=None, info=b"vault " + use).derive(secret)


@dataclass(frozen=True, slots=True)
class FingerprintKey:
    """The secret that fingerprints are made under. It lies wrapped beside the cards, and in clear in memory alone."""

    version: int
    secret: bytes = field(repr=False)
    # Derived once: that takes longer than a fingerprint.
    _derived: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise ValueError("A fingerprint secret has 32 bytes.")
        object.__setattr__(self, "_derived", derive(self.secret, use=b"fingerprint"))

    def fingerprint(self, pan: PAN) -> str:
        """`fp<version>_` and the HMAC-SHA-256 of the whole number in hex: 68 characters (PCI DSS 3.5.1.1)."""
        return f"fp{self.version}_{hmac.digest(self._derived, pan.expose().encode('ascii'), 'sha256').hex()}"


def version_of(fingerprint: str) -> int | None:
    """The version of the key that a fingerprint was made under; None for a text that is no fingerprint."""
    match = _FORM.fullmatch(fingerprint)
    return int(match.group(1)) if match else None
