"""From the rows to the items, and from the columns that refer to cards to the rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from vault.backend import current_vault
from vault.exceptions import RecordTampered
from vault.fsck.findings import Code, Finding
from vault.fsck.looks import ABANDONED, SETTLED, confirmed, is_older
from vault.fsck.references import Column, Copy, referenced
from vault.models import Card, ErasureCertificate, ItemChange
from vault.opening import outdated
from vault.records import Item
from vault.store import ItemState
from vault.tokens import Token


def check_rows(tokens: Sequence[str], columns: Sequence[Column]) -> list[Finding]:
    """What is wrong with rows of cards, looked at again until it is certain."""
    return confirmed(_rows(tokens, columns), lambda found: _rows([each.token for each in found], columns))


def is_orphan(card: Card, columns: Sequence[Column]) -> bool:
    """True if nothing refers to a card, and nobody can be about to: it was neither kept nor used within the grace."""
    return _may_be_orphan(card) and not referenced([card.token], columns)


def check_changes(tokens: Sequence[str]) -> list[Finding]:
    """Which claims on items nobody will finish. Claims that are true of nothing are told of as tampered cards."""
    return confirmed(_changes(tokens), lambda found: _changes([each.token for each in found]))


def check_column(column: Column, keys: Sequence[str]) -> list[Finding]:
    """What is wrong with what rows say of the cards that they refer to."""
    return confirmed(
        _copies(column, keys), lambda found: _copies(column, [each.reference.key for each in found if each.reference])
    )


def _rows(tokens: Sequence[str], columns: Sequence[Column]) -> list[Finding]:
    cards = Card.objects.in_bulk(list(dict.fromkeys(tokens)))
    active = [card for card in cards.values() if not card.is_erased]
    items = current_vault().store.read([Token.parse(card.token) for card in active])
    missing = {card.token for card in active if is_older(card.created_at, SETTLED)} - {token.text for token in items}
    orphans = _orphans([card for card in active if card.token not in missing], items, columns)
    today = timezone.localdate()
    kept = [card for card in active if card.token not in orphans]
    return [
        *(Finding(Code.MISSING_ITEM, token) for token in sorted(missing)),
        *(Finding(Code.ORPHAN, token) for token in sorted(orphans)),
        *(Finding(Code.UNDATED, card.token) for card in kept if card.retain_until is None),
        *(
            Finding(Code.OVERDUE, card.token)
            for card in kept
            if card.retain_until and card.retain_until < today and not card.hold
        ),
        *_half_erased([card for card in cards.values() if card.is_erased]),
    ]


def _orphans(cards: Sequence[Card], items: dict[Token, Item], columns: Sequence[Column]) -> set[str]:
    maybe = {card.token: card for card in cards if _may_be_orphan(card)}
    alone = maybe.keys() - (referenced(list(maybe), columns) if maybe else set())
    # What somebody tampered with is evidence, and no orphan.
    return {token for token in alone if outdated(maybe[token], items.get(Token(token))) is None}


def _may_be_orphan(card: Card) -> bool:
    grace = timedelta(seconds=current_vault().config.ORPHAN_GRACE)
    is_late = is_older(card.created_at, grace) and is_older(card.used_at, grace)
    return is_late and not (card.is_erased or card.is_external or card.hold)


def _half_erased(cards: Sequence[Card]) -> list[Finding]:
    late = {card.token for card in cards if card.erased_at is None or is_older(card.erased_at, SETTLED)}
    late -= set(ErasureCertificate.objects.filter(card__in=late).values_list("card_id", flat=True))
    # Those that still have an item were told of when the items were looked at.
    late -= {token.text for token in current_vault().store.read([Token(token) for token in late])}
    return [Finding(Code.UNFINISHED_ERASURE, token) for token in sorted(late)]


def _changes(tokens: Sequence[str]) -> list[Finding]:
    changes = ItemChange.objects.filter(card__in=tokens).select_related("card")
    late = [change for change in changes if is_older(change.started_at, ABANDONED)]
    items = current_vault().store.read([Token.parse(change.card_id) for change in late])
    return [
        Finding(Code.UNFINISHED_CHANGE, change.card_id)
        for change in late
        if was_written(change, items.get(Token.parse(change.card_id))) is not None
    ]


def was_written(change: ItemChange, item: Item | None) -> bool | None:
    """True if an item is what somebody was about to write, False if it is as it was before, None if it is neither."""
    try:
        state = ItemState.of(item or {})
    except RecordTampered:
        return None
    if state == ItemState(change.version, change.digest):
        return True
    return False if state == ItemState(change.card.item_version, change.card.item_digest) else None


def _copies(column: Column, keys: Sequence[str]) -> list[Finding]:
    copies = [copy for copy in column.read(keys) if copy.token]
    cards = Card.objects.in_bulk([copy.token for copy in copies if Token.is_token(copy.token)])
    return [found for copy in copies if (found := _problem(copy, cards.get(copy.token)))]


def _problem(copy: Copy, card: Card | None) -> Finding | None:
    if card is None:
        # What is no token may be anything, a card number among it, and is not shown.
        token = copy.token if Token.is_token(copy.token) else ""
        return Finding(Code.DANGLING_REFERENCE, token, reference=copy.reference)
    if any(getattr(card, name) != value for name, value in copy.said.items()):
        return Finding(Code.METADATA, copy.token, reference=copy.reference)
    return None
