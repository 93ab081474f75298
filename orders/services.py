"""What can be done with orders. Who owns what is decided here; views and serializers only ask."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone

from orders.exceptions import CardExpired, CardNotAvailable, OrderNotCancellable
from orders.feed.events import publish
from orders.models import Event, Order, SavedCard, has_expired
from orders.savedcards import keep_card
from vault import services as vault
from vault.exceptions import CardErased, TokenNotFound
from vault.fields import StoredCard
from vault.pan import PAN
from vault.tokens import Token

# How often an order is written that the database rolls back in favor of another transaction; MySQL's number for that.
_ATTEMPTS: Final = 3
_DEADLOCK: Final = 1213


def place(
    *,
    customer: User,
    name: str,
    description: str,
    amount: Decimal,
    currency: str,
    card: PAN | SavedCard | Token,
    expires: date | None = None,
    save_card: bool = True,
    submission: UUID | None = None,
) -> Order:
    """Place an order and pay it with a new card, a saved card, or the card under a token.

    A new card is kept in the vault and, with `save_card`, among the customer's own. `submission` makes it idempotent:
    the customer's first order with it is returned whatever else is passed. Nothing is stored if this raises, but that a
    card which reached the vault before the database failed stays there until it is found again or purged.

    `saved` of the order says what became of the customer's saved card; one that took over another expiry should be
    pointed out to them.

    Raises `ValidationError` for the content, `CardExpired`, `CardNotAvailable` for a card that is not the customer's,
    and every `VaultError` of `vault.services.tokenize`.
    """
    order = Order(
        customer=customer,
        name=name,
        description=description,
        amount=amount,
        currency=currency,
        submission=submission,
    )
    return _pay(order, card, expires=expires, save_card=save_card)


def pay_again(order: Order, *, card: SavedCard | Token, submission: UUID | None = None) -> Order:
    """Place the same order once more for its customer, paid with a card that is kept already.

    Raises as `place`, and `CardErased` for the order's own card if it is no longer on file.
    """
    repeat = Order(
        customer=order.customer,
        name=order.name,
        description=order.description,
        amount=order.amount,
        currency=order.currency,
        repeat_of=order,
        submission=submission,
    )
    # Said first: an erased card is off the customer's list too, and "not available" would not say why. But an order
    # that was placed stays placed.
    if isinstance(card, Token) and card == order.card.token and order.is_card_erased and _placed_before(repeat) is None:
        raise CardErased
    return _pay(repeat, card, expires=None, save_card=False)


def cancel(order: Order, *, submission: UUID | None = None) -> Order:
    """Cancel a placed order. Of several cancellations at once one succeeds; the others raise `OrderNotCancellable`.

    The one that succeeded may come again with the same `submission`.
    """
    with transaction.atomic():
        changed = Order.objects.filter(pk=order.pk, status=Order.Status.PLACED).update(
            status=Order.Status.CANCELLED, cancelled_at=timezone.now(), cancellation=submission
        )
        order.refresh_from_db(fields=["status", "cancelled_at", "cancellation"])
        if changed:
            publish(Event.Type.ORDER_CANCELLED, order)
    if not changed and (submission is None or order.cancellation != submission):
        raise OrderNotCancellable
    return order


def _pay(order: Order, method: PAN | SavedCard | Token, *, expires: date | None, save_card: bool) -> Order:
    if first := _placed_before(order):
        return first
    # What the database would refuse must be refused before the card is in the vault.
    order.full_clean(exclude=["card", "customer", "repeat_of"], validate_unique=False, validate_constraints=False)
    # Outside the transaction: no row is locked while AWS is asked, and a retried transaction asks nothing again.
    order.card = _card_for(order.customer, method, expires)
    # The vault has just said so, by keeping the card or by noting its use.
    order.is_card_erased = False
    try:
        _write(order, expires, saves_card=save_card and isinstance(method, PAN))
    except IntegrityError:
        if first := _placed_before(order):
            return first
        raise
    return order


def _write(order: Order, expires: date | None, *, saves_card: bool) -> None:
    attempt = 0
    while True:
        attempt += 1
        # Of an attempt that was rolled back.
        order.pk, order.saved = None, None
        try:
            with transaction.atomic():
                order.save(force_insert=True)
                if saves_card:
                    order.saved = keep_card(order, expires)
                publish(Event.Type.ORDER_PAID_AGAIN if order.repeat_of else Event.Type.ORDER_PLACED, order)
        except OperationalError as error:
            if attempt == _ATTEMPTS or not _is_victim_of_deadlock(error):
                raise
        else:
            return


def _is_victim_of_deadlock(error: OperationalError) -> bool:
    """True if the database has rolled everything back to let another transaction go on.

    Within a transaction of the caller's, that one is rolled back as well, and not ours to repeat.
    """
    return error.args[:1] == (_DEADLOCK,) and not transaction.get_connection().in_atomic_block


def _placed_before(order: Order) -> Order | None:
    """The order that the same form placed already."""
    if order.submission is None:
        return None
    found: Order | None = Order.objects.filter(customer=order.customer, submission=order.submission).first()
    return found


def _card_for(customer: User, method: PAN | SavedCard | Token, expires: date | None) -> StoredCard:
    """The card to charge, once it is certain that this customer may use it and that it is still good."""
    match method:
        case PAN():
            _require_good(expires)
            return StoredCard.of(vault.tokenize(method, expires=expires, is_external=False).card)
        case SavedCard():
            if method.customer_id != customer.pk:
                raise CardNotAvailable
            return _kept_card(method.token, method.expires)
        case Token():
            saved = SavedCard.objects.for_customer(customer).filter(card=method).first()
            if saved is None and not vault.may_use_any_token(customer):
                raise CardNotAvailable
            return _kept_card(method, saved.expires if saved else None)


def _kept_card(token: Token, expires: date | None) -> StoredCard:
    try:
        card = vault.describe(token)
        _require_good(expires or card.expires)
        return StoredCard.of(vault.mark_used(token))
    except TokenNotFound:
        raise CardNotAvailable from None


def _require_good(expires: date | None) -> None:
    if has_expired(expires):
        raise CardExpired
