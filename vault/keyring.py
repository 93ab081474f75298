"""Which keys seal cards, which open them, and by which fingerprints a card is recognized."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

#: In an item's material description: the id of the KMS key that its data key is wrapped under. Not signed, and not in
#: need of it: who changes it picks another key of the list, under which KMS does not unwrap.
KEY_MARK: Final = "vault-card-key"


@dataclass(frozen=True, slots=True)
class CardKey:
    """A KMS key that may open cards.

    :param name: the ARN, or in a vault that was never rotated the name in its settings
    :param id: what stands in the items that it seals; empty for the key of items that name none
    """

    name: str
    id: str = ""

    @classmethod
    def of(cls, arn: str, *, is_first: bool) -> CardKey:
        """The key of a list; the first one also opens what was sealed before there was a list."""
        return cls(arn, "" if is_first else key_id(arn))


def key_id(arn: str) -> str:
    """The last part of a key's ARN: the text that stands in the items."""
    return arn.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of one vault at one moment.

    :param sealing: the card key of what is written
    :param opening: the card keys of what may be read, `sealing` among them
    :param written: versions of the fingerprint key under which every card written can be found, the best known first
    :param recognized: versions under which a number is looked up
    :param renewed: data keys of before are not used any more
    """

    sealing: CardKey
    opening: tuple[CardKey, ...]
    written: tuple[int, ...] = (1,)
    recognized: tuple[int, ...] = (1,)
    renewed: datetime | None = None
