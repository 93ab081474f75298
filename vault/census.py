"""Counting items by the keys that they are under: what a key has to do, and the proof that it has nothing left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from vault.exceptions import RecordTampered
from vault.fingerprints import version_of
from vault.pace import silent
from vault.records import PARTITION_KEY, Item, fingerprints_of, key_mark
from vault.store import CardStore
from vault.tokens import Token

_SEAL_PREFIX = "audit-seal#"


@dataclass(slots=True)
class Census:
    """What a scan of the whole table counted. Nothing was opened.

    :param cards: card items by the id of the key that they name
    :param found_by: card items by each version of the fingerprint key that they can be found by
    :param fingerprints: fingerprint items by version
    :param seals: seals of the audit log
    :param unclear: card items that do not say what they are under; `vault_fsck` looks at them
    """

    cards: Counter[str] = field(default_factory=Counter)
    found_by: Counter[int] = field(default_factory=Counter)
    fingerprints: Counter[int] = field(default_factory=Counter)
    seals: int = 0
    unclear: int = 0

    @property
    def all_cards(self) -> int:
        return self.cards.total() + self.unclear

    def add(self, item: Item) -> None:
        """Count one item."""
        key = item[PARTITION_KEY]["S"]
        if Token.is_token(key):
            self._add_card(item)
        elif version := version_of(key):
            self.fingerprints[version] += 1
        elif key.startswith(_SEAL_PREFIX):
            self.seals += 1

    def _add_card(self, item: Item) -> None:
        try:
            mark = key_mark(item)
            versions = {version_of(each) for each in fingerprints_of(item)}
        except (RecordTampered, KeyError, TypeError, AttributeError):
            self.unclear += 1
            return
        self.cards[mark] += 1
        self.found_by.update(version for version in versions if version)


def take(store: CardStore, *, seen: Callable[[int], object] = silent) -> Census:
    """Count every item of the table. `seen` is told how many came with each page. Raises as the store."""
    census = Census()
    after = ""
    while True:
        page = store.scan(after=after, limit=1_000)
        for item in page.items:
            census.add(item)
        seen(len(page.items))
        after = page.last
        if not after:
            return census
