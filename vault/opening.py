"""Opening cards: only an item that is the one last written is decrypted and given out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from vault.backend import current_vault
from vault.exceptions import CardErased, RecordTampered, Tampering, TokenNotFound
from vault.models import Card, ItemChange
from vault.pan import PAN
from vault.records import Item
from vault.store import CardStore, ItemState, OpenedCard
from vault.tokens import Token

# Row and item are read one after the other, and somebody may write both in between.
_LOOKS: Final = 3
_PAUSE: Final = 0.05  # seconds


def open_cards(tokens: Sequence[Token]) -> list[PAN]:
    """The card numbers under `tokens`, in the order given: all or none. Asks no policy and writes no event.

    Raises `TokenNotFound`, `CardErased`, and `RecordTampered` for an item that is not the one last written: an older
    one of the same card is validly signed, and only what SQL remembers of the last write tells it apart.
    """
    store = current_vault().store
    items: dict[Token, Item] = {}
    for look in range(_LOOKS):
        cards = _active(tokens)
        # Only those that were in doubt: beside a re-encryption there may be another one at every look.
        doubtful = [token for token in dict.fromkeys(tokens) if token not in items]
        found = store.read(doubtful)
        items |= {token: item for token, item in found.items() if is_last_written(cards[token.text], item)}
        if items.keys() >= set(tokens):
            break
        time.sleep(_PAUSE * look)
    else:
        token = next(token for token in doubtful if token not in items)
        kind = tampering(cards[token.text], found.get(token))
        raise RecordTampered(kind or Tampering.UNRECORDED)
    # Each card is decrypted once: CloudTrail's record of it has one audited operation that accounts for it.
    opened = {token: _opened(token, item).record.pan for token, item in items.items()}
    return [opened[token] for token in tokens]


def has_newer_keys(store: CardStore) -> bool:
    """Read the list of keys now; True if it is not the one of `store`, whoever of this process was first to read it."""
    vault = current_vault()
    vault.reload_keys()
    return vault.store is not store


def _opened(token: Token, item: Item) -> OpenedCard:
    store = current_vault().store
    try:
        return store.open_item(token, item)
    except RecordTampered as tampered:
        # It may have been sealed under a key that came onto the list after this process read it.
        if tampered.kind is not Tampering.FOREIGN_KEY or not has_newer_keys(store):
            raise
    return current_vault().store.open_item(token, item)


def is_last_written(card: Card, item: Item | None) -> bool:
    """True if the item is in the state that SQL has for it, or that somebody is about to give it."""
    try:
        state = ItemState.of(item or {})
    except RecordTampered:
        return False
    if (state.version, state.digest) == (card.item_version, card.item_digest):
        return True
    return ItemChange.objects.filter(card=card, version=state.version, digest=state.digest).exists()


def tampering(card: Card, item: Item | None) -> Tampering | None:
    """What is wrong with a card's item; None if nothing is. Opens it. Raises `TokenNotFound` if there is none."""
    try:
        current_vault().store.open_item(Token.parse(card.token), item)
    except RecordTampered as tampered:
        return tampered.kind
    return outdated(card, item)


def outdated(card: Card, item: Item | None) -> Tampering | None:
    """How an item is another one than SQL knows of; None if it is the one last written. Opens nothing."""
    if is_last_written(card, item):
        return None
    try:
        version = ItemState.of(item or {}).version
    except RecordTampered as tampered:
        return tampered.kind
    return Tampering.OLDER if version < card.item_version else Tampering.UNRECORDED


def _active(tokens: Sequence[Token]) -> dict[str, Card]:
    cards = Card.objects.in_bulk([token.text for token in tokens])
    if len(cards) < len(set(tokens)):
        raise TokenNotFound
    if any(card.is_erased for card in cards.values()):
        raise CardErased
    return cards
