"""What readers of tables and of files have in common: they hand out pages, and can go on behind each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Protocol

from vault.redaction import redact

SOURCE_LENGTH: Final = 255
PLACE_LENGTH: Final = 400


class Sighting(NamedTuple):
    """A card number where none belongs. `key` is the primary key of its row, where SQL may be asked for it again."""

    source: str
    place: str
    brand: str
    last4: str
    key: list[int | str] | None = None


class Page(NamedTuple):
    """What was found in some rows or lines, and where to go on behind them."""

    sightings: list[Sighting]
    read: int
    position: dict[str, Any]


class Unit(Protocol):
    """A table or a file."""

    @property
    def name(self) -> str:
        """What it is called, safe to show and to keep."""

    def pages(self, position: dict[str, Any]) -> Iterator[Page]:
        """Read on from a position that one of its pages gave, or from the start for an empty one."""


def shown(text: str, length: int) -> str:
    """A name of something foreign, safe to show and to keep: no card number, nothing that moves a cursor, not too long.

    A file may be called after a card, and a row may have one as its key. What is too long loses its beginning.
    """
    clean = "".join(character if character.isprintable() else "?" for character in redact(text))
    return clean if len(clean) <= length else "…" + clean[1 - length :]
