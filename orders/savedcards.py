"""What can be done with the cards that customers keep. Who owns what is decided here; views only ask."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import Final

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from orders.exceptions import CardExpired, CardNotAvailable
from orders.models import Order, Saved, SavedCard
from vault import services as vault
from vault.exceptions import CardErased, OnHold, TokenNotFound

_REMOVED: Final = "The customer removed the card from the saved ones."


def keep_card(order: Order, expires: date | None) -> Saved:
    """Keep the card of an order for its customer's next one; it is the default if there is none.

    Within the transaction that places the order.
    """
    saved, is_new = SavedCard.objects.get_or_create(
        customer=order.customer, card=order.card, defaults={"expires": expires}
    )
    _become_default_if_none_is(saved)
    if is_new:
        return Saved(saved, vault.Status.CREATED)
    if expires is None or saved.expires == expires:
        return Saved(saved, vault.Status.EXISTING)
    saved.expires = expires
    saved.save(update_fields=["expires"])
    return Saved(saved, vault.Status.UPDATED)


def rename_card(card: SavedCard, nickname: str) -> None:
    """Call a card `nickname`; empty takes the name away.

    Raises `ValidationError` for what is no name, and `CardNotAvailable` if the card was removed meanwhile.
    """
    nickname = SavedCard._meta.get_field("nickname").clean(nickname.strip(), card)
    if not SavedCard.objects.filter(pk=card.pk).update(nickname=nickname):
        raise CardNotAvailable
    card.nickname = nickname


def make_default(card: SavedCard) -> None:
    """Offer this card first when its customer pays, and the one before it no longer. Of several at once the last stays.

    Raises `CardExpired`, `CardErased`, and `CardNotAvailable` if the card was removed meanwhile; then the one before it
    stays the default.
    """
    with transaction.atomic():
        _lock_cards_of(card.customer_id)
        found = SavedCard.objects.filter(pk=card.pk).with_card_state().first()
        if found is None:
            raise CardNotAvailable
        if found.is_card_erased:
            raise CardErased
        if found.is_expired:
            raise CardExpired
        SavedCard.objects.filter(default_of=card.customer_id).update(default_of=None)
        _set_default(card)


def forget_card(card: SavedCard) -> None:
    """Take a card off its customer's list and erase its number for good. Orders keep brand and last four.

    If it was the default, the newest card that is still good takes its place; without one, the next that is saved.

    The number stays if another customer has saved the same one, or under a legal hold; nobody is told which it was.

    The vault goes first: until the number is gone the card stays on the list, where its customer can send the same
    again after a crash; the other way round nobody would be left to ask for it. Erasing a card twice is no more than
    erasing it once. Not possible within a transaction.

    Raises `AuditUnavailable`, `VaultSealed` or `VaultUnavailable`, and then the card is on the list still.
    """
    if not _take_off_if_shared(card):
        _erase(card)
        _take_off(card)


def _take_off_if_shared(card: SavedCard) -> bool:
    """Take a card off the list if another customer has saved the same one.

    Of two who remove the same number at once the second waits for the first, and then knows that nobody else has it. If
    each saw the other's row and took off its own, a crash would leave a number that nobody can ask to be erased.
    """
    with transaction.atomic():
        _lock_cards_of(card.customer_id)
        savers = SavedCard.objects.select_for_update().filter(card=card.token).values_list("customer", flat=True)
        # One that is erased nobody has: that has to be finished.
        if set(savers) <= {card.customer_id} or card.is_card_erased:
            return False
        _take_off(card)
    return True


def _take_off(card: SavedCard) -> None:
    with transaction.atomic():
        _lock_cards_of(card.customer_id)
        own = SavedCard.objects.filter(customer=card.customer_id)
        own.filter(pk=card.pk).delete()
        if not own.exclude(default_of=None).exists() and (newest := own.good().first()):
            _set_default(newest)


def _become_default_if_none_is(card: SavedCard) -> None:
    if SavedCard.objects.filter(default_of=card.customer_id).exists():
        return
    # Of two first cards at once the unique index takes one. The order has locked the customer's row for sharing by now:
    # to lock it for more would let two orders wait for each other.
    with suppress(IntegrityError), transaction.atomic():
        _set_default(card)


def _set_default(card: SavedCard) -> None:
    SavedCard.objects.filter(pk=card.pk).update(default_of=card.customer_id)
    card.default_of_id = card.customer_id


def _lock_cards_of(customer_id: int) -> None:
    """Until the end of the transaction nobody else chooses a default, or saves a card, for this customer."""
    User.objects.select_for_update().get(pk=customer_id)


def _erase(card: SavedCard) -> None:
    # What a hold keeps, its customer cannot erase and is not told of; what is not there need not go.
    with suppress(OnHold, TokenNotFound):
        vault.erase(card.token, actor=card.customer, reason=_REMOVED, is_owner=True)
