"""What can be done with the cards that customers keep. Who owns what is decided here; views only ask."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import Final

from orders.models import Order, Saved, SavedCard
from vault import services as vault
from vault.exceptions import OnHold, TokenNotFound

_REMOVED: Final = "The customer removed the card from the saved ones."


def keep_card(order: Order, expires: date | None) -> Saved:
    """Keep the card of an order for its customer's next one. Within the transaction that places the order."""
    saved, is_new = SavedCard.objects.get_or_create(
        customer=order.customer, card=order.card, defaults={"expires": expires}
    )
    if is_new:
        return Saved(saved, vault.Status.CREATED)
    if expires is None or saved.expires == expires:
        return Saved(saved, vault.Status.EXISTING)
    saved.expires = expires
    saved.save(update_fields=["expires"])
    return Saved(saved, vault.Status.UPDATED)


def forget_card(card: SavedCard) -> None:
    """Take a card off its customer's list and erase its number for good. Orders keep brand and last four.

    The number stays if another customer has saved the same one, or under a legal hold; nobody is told which it was.

    The vault goes first: until the number is gone the card stays on the list, where its customer can send the same
    again after a crash; the other way round nobody would be left to ask for it. Erasing a card twice is no more than
    erasing it once. Not possible within a transaction.

    Raises `AuditUnavailable`, `VaultSealed` or `VaultUnavailable`, and then the card is on the list still.
    """
    row = SavedCard.objects.filter(pk=card.pk)
    if not _is_shared(card):
        _erase(card)
        row.delete()
        return
    row.delete()
    # Two who remove the same number at once may each have seen the other's row. Whoever looks last sees none.
    if not _is_shared(card):
        _erase(card)


def _is_shared(card: SavedCard) -> bool:
    """True while another customer has saved the same card. One that is erased nobody has: that has to be finished."""
    others = SavedCard.objects.filter(card=card.token).exclude(customer=card.customer_id)
    return not card.is_card_erased and others.exists()


def _erase(card: SavedCard) -> None:
    # What a hold keeps, its customer cannot erase and is not told of; what is not there need not go.
    with suppress(OnHold, TokenNotFound):
        vault.erase(card.token, actor=card.customer, reason=_REMOVED, is_owner=True)
