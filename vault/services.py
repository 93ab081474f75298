"""The vault's door: policy, audit and store behind a few functions.

Tokens come out freely; digits come out of `detokenize` and `detokenize_many` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from vault import alarms
from vault.audit import CURRENT, audited
from vault.backend import current_vault
from vault.exceptions import CardErased, RecordTampered, TokenNotFound
from vault.models import Card, RevealRequest
from vault.pan import PAN
from vault.policy import DETOKENIZE, SEARCH, Actor, authorize_reading, authorize_search
from vault.purposes import Purpose
from vault.store import KeptCard, OpenedCard
from vault.tokens import Token


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


def tokenize(pan: PAN, *, expires: date | None = None, is_external: bool = True) -> Tokenization:
    """Keep a card; the same number has the same token, whoever hands it in. See `tokenize_many`."""
    return tokenize_many([pan], expires=[expires], is_external=is_external)[0]


def tokenize_many(
    pans: Sequence[PAN], *, expires: Sequence[date | None] | None = None, is_external: bool = True
) -> list[Tokenization]:
    """Keep cards and return their tokens, in the order given.

    The vault is written before the order history: if the transaction around this call is rolled back, the card is kept
    all the same, and the next call for the number finds it. `expires` is the last day of the month on the card; a known
    card takes a new one over. Say `is_external=False` if the token goes into a `PANField` and nowhere else: then
    `vault_fsck` takes a card that no such field refers to for one whose order was never written, and removes it.

    Raises `VaultUnavailable` or `VaultSealed` with nothing stored, `AuditUnavailable`, `RecordTampered`.
    """
    dates = list(expires) if expires is not None else [None] * len(pans)
    with _alarmed(), audited("tokenize", cards=len(pans)) as outcome:
        kept = current_vault().store.keep(pans)
        results = [_remember(*each, is_external=is_external) for each in zip(pans, kept, dates, strict=True)]
        tokens = [result.token.text for result in results]
        outcome.update({"token": tokens[0]} if len(tokens) == 1 else {"tokens": tokens})
    return results


def find(pan: PAN) -> Token | None:
    """The token of a card that is kept already, else None. Nothing is written but the audit event."""
    with _alarmed(), audited("find") as outcome:
        token = current_vault().store.find(pan)
        outcome["token"] = token.text if token else ""
    return token


def describe(token: Token | str) -> Card:
    """What is known of a card without opening it. Calls neither KMS nor DynamoDB. Raises `TokenNotFound`."""
    try:
        return Card.objects.get(token=Token.parse(token).text)
    except Card.DoesNotExist:
        raise TokenNotFound from None


def search(pan: PAN, *, actor: Actor | None) -> Card | None:
    """The card with this number, for an actor with the right to search; None if none is on file.

    Raises `AccessDenied`, `AuditUnavailable`, `VaultSealed`, `VaultUnavailable`.
    """
    with _alarmed(actor), audited(SEARCH, actor=actor, cards=1) as outcome:
        authorize_search(actor)
        token = current_vault().store.find(pan)
        card = Card.objects.filter(token=token.text).first() if token else None
        outcome["token"] = card.token if card else ""
    return card


def detokenize(
    token: Token | str, *, actor: Actor | None, purpose: Purpose | str, reveal: RevealRequest | None = None
) -> PAN:
    """The card number under `token`, for an actor with the right and a purpose. See `detokenize_many`."""
    return detokenize_many([token], actor=actor, purpose=purpose, reveal=reveal)[0]


def detokenize_many(
    tokens: Sequence[Token | str],
    *,
    actor: Actor | None,
    purpose: Purpose | str,
    reveal: RevealRequest | None = None,
) -> list[PAN]:
    """The card numbers under `tokens`, in the order given: all of them or none.

    The purpose is a `Purpose`, or its text form: "refund: charged twice". `reveal` is the approved request that staff
    need where approval is switched on; see `vault.reveals`.

    Raises `DetokenizationDenied` with the reason, `TokenNotFound`, `CardErased`, `RecordTampered` for an item that is
    not the one last written, `AuditUnavailable`, `VaultSealed`, `VaultUnavailable`.
    """
    wanted = [Token.parse(token) for token in tokens]
    names = [token.text for token in wanted]
    purpose = Purpose.parse(purpose)
    about: dict[str, Any] = {"token": names[0]} if len(names) == 1 else {"tokens": names}
    about |= {"purpose": purpose.name, "reason": purpose.text}
    with _alarmed(actor, **about), audited(DETOKENIZE, actor=actor, cards=len(names), **about):
        authorize_reading(actor, purpose=purpose, tokens=names, reveal=reveal)
        cards = Card.objects.in_bulk(names)
        if any(name not in cards for name in names):
            raise TokenNotFound
        if any(cards[name].status == Card.Status.ERASED for name in names):
            raise CardErased
        opened = current_vault().store.open(wanted)
        return [_fresh(each, cards[each.record.token.text]) for each in opened]


_TAMPERED: Final = "A stored card failed its integrity check. Nothing was given out."


@contextmanager
def _alarmed(actor: object | None = CURRENT, **about: Any) -> Iterator[None]:
    """Raise an alarm for what nobody but an attacker, or a restore gone wrong, does to an item."""
    try:
        yield
    except RecordTampered:
        alarms.sound("card.tampered", _TAMPERED, actor=actor, **about)
        raise


def _fresh(opened: OpenedCard, card: Card) -> PAN:
    """An older item of the same card is validly signed; only what SQL remembers of the last write tells it apart."""
    if (opened.state.version, opened.state.digest) != (card.item_version, card.item_digest):
        raise RecordTampered
    return opened.record.pan


def _remember(pan: PAN, kept: KeptCard, expires: date | None, *, is_external: bool) -> Tokenization:
    """Keep in SQL what may be known without opening the card."""
    card = Card.objects.filter(token=kept.token.text).first()
    if card is None:
        state = kept.written or current_vault().store.state(kept.token)
        known: dict[str, Any] = {"brand": pan.brand, "bin": pan.bin, "last4": pan.last4, "expires": expires}
        known |= {"is_external": is_external}
        written = {"item_version": state.version, "item_digest": state.digest}
        # Another process may have been here in between; then its row stands.
        card, is_new = Card.objects.get_or_create(token=kept.token.text, defaults=known | written)
        if is_new:
            return Tokenization(kept.token, card, Status.CREATED)
    if expires is None or card.expires == expires:
        return Tokenization(kept.token, card, Status.EXISTING)
    card.expires = expires
    card.save(update_fields=["expires"])
    return Tokenization(kept.token, card, Status.UPDATED)
