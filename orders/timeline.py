"""What happened to an order, from SQL alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from orders.models import Order
from vault import services as vault
from vault.exceptions import TokenNotFound

#: An order that is repeated every day would have a timeline that nobody reads.
MOST_REPEATS: Final = 10


class Happening(StrEnum):
    PLACED = "placed"
    PAID = "paid"
    REPEATED = "repeated"
    CANCELLED = "cancelled"
    CARD_ERASED = "card_erased"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, and with which other order, if any. None as its time: nobody knows any more."""

    what: Happening
    when: datetime | None
    other: Order | None = None


def timeline(order: Order) -> list[Entry]:
    """The oldest first. Of repetitions the newest ten. Costs two queries, and one more once the card is erased."""
    repeats = Order.objects.for_customer(order.customer).filter(repeat_of=order).newest_first()[:MOST_REPEATS]
    entries = [
        Entry(Happening.PLACED, order.placed_at, order.repeat_of),
        Entry(Happening.PAID, order.placed_at),
        *(Entry(Happening.REPEATED, repeat.placed_at, repeat) for repeat in repeats),
    ]
    if order.cancelled_at:
        entries.append(Entry(Happening.CANCELLED, order.cancelled_at))
    if order.is_card_erased:
        entries.append(Entry(Happening.CARD_ERASED, _erased_at(order)))
    # What happened at the same moment stays as it stands above.
    return sorted(entries, key=lambda entry: (entry.when is None, entry.when and entry.when.timestamp()))


def _erased_at(order: Order) -> datetime | None:
    try:
        return vault.describe(order.card.token).erased_at
    except TokenNotFound:
        return None
