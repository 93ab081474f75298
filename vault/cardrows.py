"""What SQL keeps of cards that were handed in: a row for each, or that it was used once more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache, partial
from typing import Any, Final, TypeAlias

from django.db import IntegrityError, connections, router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from vault import erasure
from vault.backend import current_vault
from vault.conf import vault_config
from vault.exceptions import VaultUnavailable
from vault.models import Card
from vault.pan import PAN
from vault.retention import retention
from vault.store import ItemState, KeptCard
from vault.tokens import Token

_LOOKS: Final = 3


class Status(StrEnum):
    """What became of a card that was handed in."""

    CREATED = "created"
    EXISTING = "existing"
    UPDATED = "updated"


@dataclass(frozen=True, slots=True)
class Tokenization:
    """A card's token, what is known of the card, and whether it was new, known, or known with another expiry."""

    token: Token
    card: Card
    status: Status


# The number, where the vault has it, and the last day of the month on the card.
_Handed: TypeAlias = tuple[PAN, KeptCard, date | None]


def keep(pans: Sequence[PAN]) -> list[KeptCard]:
    """Keep cards in the vault. See `CardStore.keep`."""
    store = current_vault().store
    try:
        return store.keep(pans)
    except VaultUnavailable:
        # Unless the keys changed while it was at work: then once more, with those of now.
        if current_vault().store is store:
            raise
    return current_vault().store.keep(pans)


def remember(
    pans: Sequence[PAN], kept: Sequence[KeptCard], dates: Sequence[date | None], *, is_external: bool
) -> list[Tokenization]:
    """Keep in SQL what may be known of kept cards without opening them, in the order given.

    All new cards are one INSERT, and all known ones of which the same is to be noted are one UPDATE: a thousand cards
    take a handful of queries. Whatever another process is at as well is done card by card.
    """
    handed = list(zip(pans, kept, dates, strict=True))
    firsts: dict[str, _Handed] = {}
    for each in handed:
        firsts.setdefault(each[1].token.text, each)
    # A token that was drawn just now has no row yet.
    known_before = [token for token, each in firsts.items() if each[1].written is None]
    rows = Card.objects.in_bulk(known_before) if known_before else {}
    settled = _insert([each for token, each in firsts.items() if token not in rows], is_external=is_external)
    known = [(rows[token], each[2]) for token, each in firsts.items() if token in rows]
    settled |= _note_uses(known, is_external=is_external)
    results: list[Tokenization] = []
    for each in handed:
        token = each[1].token.text
        # What was handed in twice is known the second time.
        results.append(settled.pop(token) if token in settled else _remember_one(*each, is_external=is_external))
    return results


def note_use(card: Card, expires: date | None, *, is_external: bool) -> Status | None:
    """Note that a known card was handed in again, maybe with another expiry; None if it is no longer on file."""
    status = Status.UPDATED if expires not in (None, card.expires) else Status.EXISTING
    if _note([card], expires, is_external=is_external):
        return status
    # Who knows no expiry leaves the one alone that somebody else gave just now.
    uses = {"used_at": timezone.now()} | ({"is_external": True} if is_external else {})
    if expires is not None or not _active([card]).update(**uses):
        return None
    card.refresh_from_db()
    return status


def _remember_one(pan: PAN, kept: KeptCard, expires: date | None, *, is_external: bool) -> Tokenization:
    for _ in range(_LOOKS):
        card, is_new = _row(pan, kept, expires, is_external=is_external)
        if is_new:
            return Tokenization(kept.token, card, Status.CREATED)
        if used := note_use(card, expires, is_external=is_external):
            return Tokenization(kept.token, card, used)
        # It was erased meanwhile, or a crash cut its erasure off. What is left goes, and the number gets a new token.
        erasure.remove_items(kept.token, pan=pan)
        (kept,) = keep([pan])
    raise VaultUnavailable


def _row(pan: PAN, kept: KeptCard, expires: date | None, *, is_external: bool) -> tuple[Card, bool]:
    """The row of a card, and whether it was made just now."""
    if card := Card.objects.filter(token=kept.token.text).first():
        return card, False
    state = kept.written or current_vault().store.state(kept.token)
    now = timezone.now()
    columns = _columns(pan, state, expires, now, is_external=is_external) | retention(expires=expires, used_at=now)
    # Another process may have been here in between; then its row stands.
    return Card.objects.get_or_create(token=kept.token.text, defaults=columns)


def _insert(handed: Sequence[_Handed], *, is_external: bool) -> dict[str, Tokenization]:
    """The cards of which all rows were made, by token; none if one of them was there by then.

    A card whose item another process wrote, or a crash left without a row, is not among them.
    """
    # Worked out once for all that expire alike: of a thousand cards it would take a tenth of the time.
    now, config = timezone.now(), vault_config()
    kept_until = {
        expires: retention(expires=expires, used_at=now, config=config) for expires in {each[2] for each in handed}
    }
    cards = [
        Card(
            token=kept.token.text,
            **_columns(pan, kept.written, expires, now, is_external=is_external),
            **kept_until[expires],
        )
        for pan, kept, expires in handed
        if kept.written
    ]
    if not cards:
        return {}
    # In one order everywhere, so that two processes do not wait for each other.
    cards.sort(key=lambda card: card.token)
    try:
        _write(cards)
    except IntegrityError:
        return {}
    return {card.token: Tokenization(Token(card.token), card, Status.CREATED) for card in cards}


def _write(cards: Sequence[Card]) -> None:
    """All rows or none, in one INSERT or as few as the database takes. Raises `IntegrityError` if one is there already.

    Most values are the same in all rows and are adapted to the database once. `bulk_create` adapts each value of each
    row, which took a tenth of the time of keeping a thousand cards.
    """
    database = router.db_for_write(Card)
    connection = connections[database]
    fields = Card._meta.concrete_fields
    adapters = [(each.attname, cache(partial(each.get_db_prep_save, connection=connection))) for each in fields]
    rows = [[adapted(getattr(card, name)) for name, adapted in adapters] for card in cards]
    names = (Card._meta.db_table, *(str(each.column) for each in fields))
    table, *columns = map(connection.ops.quote_name, names)
    insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "  # noqa: S608 - names of the model, and no value
    row = f"({', '.join(['%s'] * len(fields))})"
    size = connection.ops.bulk_batch_size(fields, cards)
    # One statement is all or none by itself, and two questions to the database less.
    whole = nullcontext() if len(rows) <= size else transaction.atomic(using=database)
    with whole, connection.cursor() as cursor:
        for some in (rows[start : start + size] for start in range(0, len(rows), size)):
            cursor.execute(insert + ", ".join([row] * len(some)), [value for values in some for value in values])
    for card in cards:
        card._state.adding, card._state.db = False, database


def _note_uses(used: Sequence[tuple[Card, date | None]], *, is_external: bool) -> dict[str, Tokenization]:
    """The cards of which a use was noted, by token."""
    alike: defaultdict[tuple[date | None, date | None], list[Card]] = defaultdict(list)
    for card, expires in used:
        alike[expires, card.expires].append(card)
    noted: dict[str, Tokenization] = {}
    for (expires, known), cards in alike.items():
        if _note_all(cards, expires, is_external=is_external):
            status = Status.UPDATED if expires not in (None, known) else Status.EXISTING
            noted |= {card.token: Tokenization(Token(card.token), card, status) for card in cards}
    return noted


def _note_all(cards: Sequence[Card], expires: date | None, *, is_external: bool) -> bool:
    """As `_note`, of each of them or of none: who looks at each then has to see with what expiry it was known."""
    if len(cards) == 1:
        # It is all or nothing by itself, and most calls are about one.
        return _note(cards, expires, is_external=is_external)
    database = router.db_for_write(Card)
    with transaction.atomic(using=database):
        is_noted = _note(cards, expires, is_external=is_external)
        transaction.set_rollback(not is_noted, using=database)
    return is_noted


def _note(cards: Sequence[Card], expires: date | None, *, is_external: bool) -> bool:
    """Note of cards that expire alike that they were used. False if it was not noted of each of them.

    Conditional, and behind the lock of an erasure: a card is erased or used, and never used after it was erased.
    """
    now = timezone.now()
    changes: dict[str, Any] = {"used_at": now}
    if is_external:
        changes["is_external"] = True
    rows = _active(cards)
    if expires is None:
        rows = rows.filter(expires=cards[0].expires)
    else:
        changes["expires"] = expires
    changes |= retention(expires=expires or cards[0].expires, used_at=now)
    if rows.update(**changes) < len(cards):
        return False
    for card in cards:
        for name, value in changes.items():
            setattr(card, name, value)
    return True


def _active(cards: Sequence[Card]) -> QuerySet[Card]:
    return Card.objects.filter(token__in=[card.token for card in cards], status=Card.Status.ACTIVE)


def _columns(pan: PAN, state: ItemState, expires: date | None, now: datetime, *, is_external: bool) -> dict[str, Any]:
    """What is noted of a new card, but for how long it is kept."""
    return {
        "brand": pan.brand,
        "bin": pan.bin,
        "last4": pan.last4,
        "expires": expires,
        "item_version": state.version,
        "item_digest": state.digest,
        "created_at": now,
        "sealed_at": now,
        "used_at": now,
        "is_external": is_external,
    }
