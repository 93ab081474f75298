"""The same table of orders behind a model without `PANField`: what the lists of the product are measured beside.

It has the rows and the indexes of `Order`, and its columns as they are: the card is a text. Views, pages, templates and
the other fields of the serializer are those of the product. It shows the same, so it asks `vault_card` as the product
does whether a card is on file; or, if it is told so, it believes that all are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar, Final
from unittest.mock import patch

from django.apps.registry import Apps
from django.contrib.auth.models import User
from django.db import models
from django.utils.translation import gettext
from rest_framework import serializers

from orders import views
from orders.api import views as api
from orders.api.serializers import OrderSerializer
from orders.currencies import Currency
from orders.models import BRANDS, Order
from orders.querysets import OrderQuerySet
from vault import services as vault
from vault.pan import Brand

# A registry of its own: the project knows nothing of this model, neither its migrations nor its checks.
_APART: Final = Apps()


class PlainQuerySet(OrderQuerySet):
    asks_for_erasures = True

    def for_customer(self, customer: User) -> PlainQuerySet:
        return self.filter(customer_id=customer.pk)

    def with_card_state(self) -> PlainQuerySet:
        """Page and API say of each order whether its card is on file. Whoever shows it has to ask."""
        return self.annotate(is_card_erased=vault.is_erased("card_text")) if self.asks_for_erasures else self


class PlainOrder(models.Model):
    """An order with a text where the card is."""

    public_id = models.CharField(max_length=30)
    customer_id = models.IntegerField()
    name = models.CharField(max_length=100)
    description = models.TextField()
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=9, choices=Order.Status.choices)
    card_brand = models.CharField(max_length=16, choices=BRANDS)
    card_last4 = models.CharField(max_length=4)
    card_text = models.CharField(max_length=41, db_column="card")
    placed_at = models.DateTimeField()
    cancelled_at = models.DateTimeField(null=True)
    repeat_of = models.ForeignKey("self", on_delete=models.DO_NOTHING, null=True)
    submission = models.UUIDField(null=True)
    cancellation = models.UUIDField(null=True)

    is_card_erased = False
    objects = PlainQuerySet.as_manager()

    class Meta:
        apps = _APART
        app_label = "plain"
        managed = False
        db_table = Order._meta.db_table
        ordering: ClassVar[list[str]] = ["-placed_at", "-id"]

    def __str__(self) -> str:
        return self.public_id

    @property
    def card(self) -> str:
        """What the page shows of it."""
        # As `StoredCard` does it: `get_card_brand_display` would translate all brands to find one.
        return f"{gettext(Brand(self.card_brand).label)} •••• {self.card_last4}"

    @property
    def money(self) -> str:
        return Currency(self.currency).label_of(self.amount)

    @property
    def amount_text(self) -> str:
        return Currency(self.currency).text(self.amount)


class PlainCardSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(source="card_text")
    brand = serializers.ChoiceField(choices=BRANDS, source="card_brand")
    last4 = serializers.CharField(source="card_last4")
    on_file = serializers.SerializerMethodField()

    def get_on_file(self, order: PlainOrder) -> bool:
        return not order.is_card_erased


class PlainOrderSerializer(OrderSerializer):
    card = PlainCardSerializer(source="*")  # type: ignore[assignment]


@contextlib.contextmanager
def served(*, asks_for_erasures: bool = True) -> Iterator[None]:
    """While this holds, the list of customers and that of the API show `PlainOrder` where they show `Order`."""
    with (
        patch.object(PlainQuerySet, "asks_for_erasures", asks_for_erasures),
        patch.object(views, "Order", PlainOrder),
        patch.object(api, "Order", PlainOrder),
        patch.object(api.OrderListView, "serializer_class", PlainOrderSerializer),
    ):
        yield
