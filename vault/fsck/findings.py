"""What can be wrong between the two stores."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vault.exceptions import Tampering
from vault.fsck.references import Reference


class Code(StrEnum):
    """What is wrong; the value is the stable code, `sentence` is for people. Some are those of `Tampering`."""

    ORPHAN = "orphan"
    UNKNOWN_ITEM = "unknown_item"
    MISSING_ITEM = "missing_item"
    DANGLING_REFERENCE = "dangling_reference"
    SIGNATURE = "signature"
    OLDER = "older"
    OTHER_CARD = "other_card"
    FOREIGN_KEY = "foreign_key"
    UNRECORDED = "unrecorded"
    FINGERPRINT_DAMAGED = "fingerprint_damaged"
    FINGERPRINT_MISSING = "fingerprint_missing"
    FINGERPRINT_STRAY = "fingerprint_stray"
    DUPLICATE = "duplicate"
    METADATA = "metadata"
    UNFINISHED_CHANGE = "unfinished_change"
    UNFINISHED_ERASURE = "unfinished_erasure"
    UNDATED = "undated"
    OVERDUE = "overdue"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]

    @property
    def is_tampering(self) -> bool:
        return self in _TAMPERING

    @property
    def is_repairable(self) -> bool:
        return self not in _LEFT


_SENTENCES: Final = {
    **{Code(kind.value): kind.message for kind in Tampering},
    Code.ORPHAN: "Nothing refers to this card: its order was never written.",
    Code.UNKNOWN_ITEM: "DynamoDB has this card and SQL does not.",
    Code.MISSING_ITEM: "SQL has this card and DynamoDB does not: its number is lost.",
    Code.DANGLING_REFERENCE: "A column refers to a card that is not there.",
    Code.FINGERPRINT_DAMAGED: "A fingerprint failed its integrity check: its number can neither be found nor kept.",
    Code.FINGERPRINT_MISSING: "This card is not recognized when its number comes again.",
    Code.FINGERPRINT_STRAY: "A fingerprint belongs to no card.",
    Code.DUPLICATE: "The number of this card is kept under another token too.",
    Code.METADATA: "Brand, BIN or last four in SQL are not those of the card.",
    Code.UNFINISHED_CHANGE: "Writing the card anew was cut off.",
    Code.UNFINISHED_ERASURE: "Erasing the card was cut off, or what was erased came back.",
    Code.UNDATED: "Nobody noted until when this card is kept.",
    Code.OVERDUE: "This card is kept for too long.",
}
_TAMPERING: Final = frozenset({*(Code(kind.value) for kind in Tampering), Code.FINGERPRINT_DAMAGED})
# Damaged fingerprints are repaired where their card is known.
_LEFT: Final = frozenset(
    {
        *(Code(kind.value) for kind in Tampering),
        Code.MISSING_ITEM,
        Code.DANGLING_REFERENCE,
        Code.DUPLICATE,
        Code.OVERDUE,
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: with which card, with which fingerprint of it, or in which row that refers to it."""

    code: Code
    token: str = ""
    fingerprint: str = ""
    reference: Reference | None = None

    @property
    def place(self) -> str:
        return self.fingerprint or str(self.reference or "")

    @property
    def is_repairable(self) -> bool:
        return self.code.is_repairable and (self.code is not Code.FINGERPRINT_DAMAGED or bool(self.token))
