"""The committed inventory, and whether the files of this installation are those in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vault.integrity import integrity_of

FILE: Final = Path(__file__).with_name("inventory.json")

CHANGED: Final = "The script is not the one in the inventory."
MISSING: Final = "The script is in the inventory and not in this installation."


@dataclass(frozen=True, slots=True)
class CardScript:
    """A script that may run on pages that have a card number, and what it is there for.

    :param pages: the names of the addresses that load it
    :param sometimes: those that load it at times, as after an error
    """

    path: str
    integrity: str
    purpose: str
    pages: tuple[str, ...]
    sometimes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What belongs on the pages: by name of their address what each is, the scripts, and the headers to the letter.

    :param headers_over_https: those that are sent over TLS alone
    """

    pages: dict[str, str]
    scripts: tuple[CardScript, ...]
    headers: dict[str, str]
    headers_over_https: dict[str, str]


@dataclass(frozen=True, slots=True)
class Drift:
    """Something that is not as in the inventory: on which page or in which file, what it is about, and the sentence."""

    where: str
    what: str
    problem: str


def read(path: Path = FILE) -> Inventory:
    """The inventory as it is committed."""
    written = json.loads(path.read_text(encoding="utf-8"))
    return Inventory(
        pages=written["pages"],
        scripts=tuple(
            CardScript(
                path=each["path"],
                integrity=each["integrity"],
                purpose=each["purpose"],
                pages=tuple(each["pages"]),
                sometimes=tuple(each.get("sometimes", ())),
            )
            for each in written["scripts"]
        ),
        headers=written["headers"],
        headers_over_https=written["headers_over_https"],
    )


def drift_of_files(inventory: Inventory) -> Iterator[Drift]:
    """The scripts of this installation that are not those in the inventory."""
    for script in inventory.scripts:
        found = integrity_of(script.path)
        if found != script.integrity:
            yield Drift("installation", script.path, CHANGED if found else MISSING)


def renew(path: Path = FILE) -> list[str]:
    """Write the hashes of this installation's files into the inventory; the names of those that changed.

    Which scripts belong on which page, and why, is for people to write.
    """
    written: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    changed = [each for each in written["scripts"] if each["integrity"] != integrity_of(each["path"])]
    for each in changed:
        each["integrity"] = integrity_of(each["path"])
    path.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    return [each["path"] for each in changed]
