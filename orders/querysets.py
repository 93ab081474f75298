"""Which orders and cards somebody sees, and in which pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

from django.contrib.auth.models import User
from django.db.models import Count, F, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce, Concat
from django.utils import timezone

from orders.publicids import ORDER
from vault import services as vault
from vault.fields import PANQuerySet
from vault.tokens import Token

if TYPE_CHECKING:
    from orders.models import Order


# What may be asked for by its exact value, and the column that has it.
_COLUMNS: Final = {
    "status": "status",
    "currency": "currency",
    "brand": "card_brand",
    "last4": "card_last4",
    "token": "card",
}
_LAST4: Final = re.compile("[0-9]{4}")


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a list, always newest first, and whether there is more on either side."""

    orders: list[Order]
    has_newer: bool
    has_older: bool


class CardQuerySet(PANQuerySet):
    """Rows with a card that the vault may have erased since."""

    def with_card_state(self) -> Self:
        """With `is_card_erased` of each row, so that a list asks once for all of them."""
        return self.annotate(is_card_erased=vault.is_erased("card"))


class OrderQuerySet(CardQuerySet):
    def for_customer(self, customer: User) -> Self:
        return self.filter(customer=customer)

    def paid_with(self, token: Token) -> Self:
        return self.filter(card=token)

    def visible_to(self, user: User) -> Self:
        """Every order for who may view them all, else the user's own."""
        return self if user.has_perm("orders.view_order") else self.for_customer(user)

    def matching(
        self, *, placed_from: datetime | None = None, placed_before: datetime | None = None, **query: Any
    ) -> Self:
        """What a query of the API asks for. Names that are no filter, such as those of a page, are passed over."""
        columns = {_COLUMNS[name]: value for name, value in query.items() if name in _COLUMNS}
        if placed_from is not None:
            columns["placed_at__gte"] = placed_from
        if placed_before is not None:
            columns["placed_at__lt"] = placed_before
        return self.filter(**columns)

    def in_status(self, status: str) -> Self:
        """Those in a status, of a list that its index has narrowed to one customer.

        To a comparison with the column itself SQLite takes the index of everybody's orders in that status.
        """
        return self.alias(status_now=Concat("status", Value(""))).filter(status_now=status)

    def about(self, text: str) -> Self:
        """The orders in which a person finds each word of `text`, as `_is_about` says; all of them without any.

        The text goes into SQL: whoever calls this has refused card numbers.
        """
        found = self
        for word in text.split():
            found = found.filter(_is_about(word))
        return found

    def newest_first(self) -> Self:
        """Placed at the same moment is told apart by id, so that no order is on two pages or on none."""
        return self.order_by("-placed_at", "-id")

    def for_list(self) -> Self:
        """With what every list shows of an order. Brand and last four of the card are its own columns."""
        # Of rows alone whose keys are known: see `first_by_key`. Customers are no part of any list.
        return self.select_related("repeat_of").with_card_state()

    def oldest_first(self) -> Self:
        """The other way round."""
        return self.order_by("placed_at", "id")

    def page(
        self, *, size: int, before: Order | None = None, after: Order | None = None, is_newest_first: bool = True
    ) -> Page:
        """The `size` orders older than `before`, or newer than `after`, or at the beginning of the list.

        A page costs the same however far down it is.
        """
        if before is not None:
            found, has_more = self._older_than(before).newest_first().first_by_key(size)
            return Page(found, has_newer=True, has_older=has_more)
        if after is not None:
            found, has_more = self._newer_than(after).oldest_first().first_by_key(size)
            return Page(found[::-1], has_newer=has_more, has_older=True)
        if is_newest_first:
            found, has_more = self.newest_first().first_by_key(size)
            return Page(found, has_newer=False, has_older=has_more)
        found, has_more = self.oldest_first().first_by_key(size)
        return Page(found[::-1], has_newer=has_more, has_older=False)

    def first_by_key(self, size: int) -> tuple[list[Order], bool]:
        """The first `size` rows, and whether there are more: their keys are looked for, and then what they are.

        An index has the keys in the order of the list, and all that a list without a search asks of them. Asked for
        whole rows, a database may find it cheaper to read the table and sort it, the more so if it has to join others.
        """
        keys = list(self.values_list("pk", flat=True)[: size + 1])
        rows: dict[int, Order] = self.order_by().in_bulk(keys[:size])
        # One that was changed in between may not pass a filter any more.
        return [rows[key] for key in keys[:size] if key in rows], len(keys) > size

    def as_border(self) -> Self:
        """With no more of an order than a page next to it needs: where in the list it stands."""
        return self.order_by().only("placed_at")

    # The first condition alone bounds the index range; an OR at the top would make the database read all of it.
    def _older_than(self, order: Order) -> Self:
        return self.filter(
            Q(placed_at__lt=order.placed_at) | Q(id__lt=order.pk),
            placed_at__lte=order.placed_at,
        )

    def _newer_than(self, order: Order) -> Self:
        return self.filter(
            Q(placed_at__gt=order.placed_at) | Q(id__gt=order.pk),
            placed_at__gte=order.placed_at,
        )


def _is_about(word: str) -> Q:
    """In the name or the description, the last four of the card, or the order's number or its beginning."""
    found = Q(name__icontains=word) | Q(description__icontains=word)
    if _LAST4.fullmatch(word):
        found |= Q(card_last4=word)
    if word.lower().startswith(ORDER):
        found |= Q(public_id__startswith=word.lower())
    return found


class SavedCardQuerySet(CardQuerySet):
    def for_customer(self, customer: User) -> Self:
        return self.filter(customer=customer)

    def for_list(self) -> Self:
        """With what every list shows of a saved card: the default first, then the newest."""
        return self.with_card_state().order_by(F("default_of").desc(nulls_last=True), "-created_at", "-id")

    def good(self) -> Self:
        """Those that one can pay with: `SavedCard.is_good` in SQL."""
        is_not_over = Q(expires=None) | Q(expires__gte=timezone.localdate())
        return self.with_card_state().filter(is_not_over, is_card_erased=False)

    def with_order_counts(self) -> Self:
        """With `order_count`: how many orders its customer paid with each, counted in the same query."""
        from orders.models import Order

        paid = Order.objects.filter(customer=OuterRef("customer"), card=OuterRef("card")).order_by()
        counted = paid.values("card").annotate(count=Count("pk")).values("count")
        return self.annotate(order_count=Coalesce(Subquery(counted), 0))
