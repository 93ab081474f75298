"""Opening cards: only an item that is the one last written is decrypted and given out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from vault.backend import current_vault
from vault.exceptions import CardErased, RecordTampered, Tampering, TokenNotFound, VaultError
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
    items, problems = _items_of(tokens, is_all_or_none=True)
    if problems:
        raise next(iter(problems.values()))
    # Each card is decrypted once: CloudTrail's record of it has one audited operation that accounts for it.
    opened = {token: _opened(token, item).record.pan for token, item in items.items()}
    return [opened[token] for token in tokens]


def open_each(tokens: Sequence[Token], *, is_all_or_none: bool = False) -> list[PAN | VaultError | None]:
    """The card number under each token, or the reason why there is none, in the order given.

    With `is_all_or_none` no card is opened if one cannot be, and the others are None. Reasons are `TokenNotFound`,
    `CardErased` and `RecordTampered`; whatever else goes wrong is raised.
    """
    items, problems = _items_of(tokens, is_all_or_none=is_all_or_none)
    found: dict[Token, PAN | VaultError] = dict(problems)
    if not (problems and is_all_or_none):
        for token, item in items.items():
            try:
                found[token] = _opened(token, item).record.pan
            except RecordTampered as tampered:
                found[token] = tampered
    return [found.get(token) for token in tokens]


def _items_of(tokens: Sequence[Token], *, is_all_or_none: bool) -> tuple[dict[Token, Item], dict[Token, VaultError]]:
    """The items last written, sealed as they are, and for every other token what is wrong with it."""
    store = current_vault().store
    items: dict[Token, Item] = {}
    for look in range(_LOOKS):
        cards, problems = _active(tokens)
        if problems and is_all_or_none:
            return {}, problems
        # Only those that were in doubt: beside a re-encryption there may be another one at every look.
        doubtful = [token for token in dict.fromkeys(tokens) if token not in items and token not in problems]
        found = store.read(doubtful)
        items |= {token: item for token, item in found.items() if is_last_written(cards[token], item)}
        doubtful = [token for token in doubtful if token not in items]
        if not doubtful:
            break
        time.sleep(_PAUSE * look)
    for token in doubtful:
        if token in found:
            problems[token] = RecordTampered(tampering(cards[token], found[token]) or Tampering.UNRECORDED)
        else:
            problems[token] = TokenNotFound()
    # What was erased while others were looked at again.
    return {token: item for token, item in items.items() if token not in problems}, problems


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


def _active(tokens: Sequence[Token]) -> tuple[dict[Token, Card], dict[Token, VaultError]]:
    """The rows of the cards that are on file, and for every other token why not."""
    rows = Card.objects.in_bulk([token.text for token in tokens])
    cards: dict[Token, Card] = {}
    problems: dict[Token, VaultError] = {}
    for token in dict.fromkeys(tokens):
        card = rows.get(token.text)
        if card is None:
            problems[token] = TokenNotFound()
        elif card.is_erased:
            problems[token] = CardErased()
        else:
            cards[token] = card
    return cards, problems
