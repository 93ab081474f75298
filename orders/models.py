"""Orders, and the cards that customers keep for the next one. Neither table can hold a card number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import ClassVar, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from orders.currencies import Currency

# Django looks for models here; those of the feed know orders by name alone, so there is no way around.
from orders.feed.models import Attempt, Delivery, Endpoint, ErasureReach, Event
from orders.nicknames import LENGTH as NICKNAME_LENGTH, validate_few_digits
from orders.publicids import ORDER, new_id
from orders.querysets import OrderQuerySet, SavedCardQuerySet
from vault import services as vault
from vault.exceptions import TokenNotFound
from vault.fields import PANField, StoredCard
from vault.pan import Brand
from vault.tokens import Token
from vault.validators import validate_no_pan

__all__ = [
    "Attempt",
    "Delivery",
    "Endpoint",
    "ErasureReach",
    "Event",
    "Order",
    "PaidWithCard",
    "Saved",
    "SavedCard",
    "has_expired",
    "new_public_id",
]

PUBLIC_ID_PATTERN: Final = ORDER + "[a-z2-7]{26}"
DESCRIPTION_LENGTH: Final = 1000
#: A card that expires within this time is pointed out to its customer.
SOON: Final = timedelta(days=60)
BRANDS: Final = [(brand.value, _(brand.label)) for brand in Brand]


def new_public_id() -> str:
    """What an order is called outside; see `new_id`."""
    return new_id(ORDER)


class PaidWithCard:
    """What orders and saved cards say of their card besides brand and last four, which stay when it is erased."""

    card: StoredCard

    @cached_property
    def is_card_erased(self) -> bool:
        """True if the card is no longer on file. Lists have it from `with_card_state()`; else it is one query."""
        try:
            return vault.describe(self.card.token).is_erased
        except TokenNotFound:
            return True


class Order(PaidWithCard, models.Model):
    """Something a customer pays for with a card. Placed by `orders.services` and never deleted."""

    class Status(models.TextChoices):
        PLACED = "placed", _("Placed")
        CANCELLED = "cancelled", _("Cancelled")

    public_id = models.CharField(_("order"), max_length=30, unique=True, default=new_public_id, editable=False)
    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="orders", verbose_name=_("customer")
    )
    name = models.CharField(_("name"), max_length=100, validators=[validate_no_pan])
    description = models.TextField(
        _("description"), blank=True, validators=[MaxLengthValidator(DESCRIPTION_LENGTH), validate_no_pan]
    )
    amount = models.DecimalField(
        _("amount"), max_digits=12, decimal_places=2, validators=[MinValueValidator(Decimal("0.01"))]
    )
    currency = models.CharField(_("currency"), max_length=3, choices=Currency.choices, default=Currency.EUR)
    status = models.CharField(_("status"), max_length=9, choices=Status.choices, default=Status.PLACED, editable=False)
    card_brand = models.CharField(_("brand"), max_length=16, blank=True, editable=False, choices=BRANDS)
    card_last4 = models.CharField(_("last four"), max_length=4, blank=True, editable=False)
    card = PANField(_("card"), brand_field="card_brand", last4_field="card_last4")
    placed_at = models.DateTimeField(_("placed"), default=timezone.now, editable=False)
    cancelled_at = models.DateTimeField(_("cancelled"), null=True, blank=True, editable=False)
    repeat_of = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="repeats",
        verbose_name=_("repeat of"),
    )
    # Of the form that was sent: the same form sent twice is one order.
    submission = models.UUIDField(null=True, blank=True, editable=False)
    # Of the request that cancelled it, so that the same one sent again is answered as the first.
    cancellation = models.UUIDField(null=True, blank=True, editable=False)

    #: What became of the customer's saved card, if this order was placed just now and with a card to be saved.
    saved: Saved | None = None

    objects = OrderQuerySet.as_manager()

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        ordering: ClassVar[list[str]] = ["-placed_at", "-id"]
        default_permissions = ("add", "change", "view")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="order_amount_is_positive"),
            models.UniqueConstraint(fields=["customer", "submission"], name="order_once_per_submission"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["customer", "-placed_at", "-id"], name="order_of_customer"),
            models.Index(fields=["-placed_at", "-id"], name="order_newest"),
            models.Index(fields=["status", "-placed_at", "-id"], name="order_of_status"),
            models.Index(fields=["card_last4"], name="order_by_last4"),
            models.Index(fields=["card"], name="order_by_card"),
        ]

    def __str__(self) -> str:
        return self.public_id

    def clean(self) -> None:
        """Raises `ValidationError` for an amount that the currency does not have, such as half a yen."""
        if self.amount is None or self.currency not in Currency.values:
            return  # said by the field
        if not Currency(self.currency).is_payable(self.amount):
            raise ValidationError({"amount": _("This currency has no decimal places.")})

    @property
    def money(self) -> str:
        """The amount as people write it."""
        return Currency(self.currency).label_of(self.amount)

    @property
    def amount_text(self) -> str:
        """The amount as a decimal number with the currency's own places."""
        return Currency(self.currency).text(self.amount)

    @property
    def is_cancellable(self) -> bool:
        return self.status == self.Status.PLACED


class SavedCard(PaidWithCard, models.Model):
    """A card that a customer keeps to pay with again."""

    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_cards", verbose_name=_("customer")
    )
    card_brand = models.CharField(_("brand"), max_length=16, blank=True, editable=False, choices=BRANDS)
    card_last4 = models.CharField(_("last four"), max_length=4, blank=True, editable=False)
    card = PANField(_("card"), brand_field="card_brand", last4_field="card_last4")
    # The last day on which it can be used.
    expires = models.DateField(_("expires"), null=True, blank=True)
    nickname = models.CharField(
        _("nickname"), max_length=NICKNAME_LENGTH, blank=True, validators=[validate_no_pan, validate_few_digits]
    )
    # The customer once more, on one card at most: MySQL has no partial unique index, but lets NULLs repeat in any.
    default_of = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        editable=False,
        related_name="default_card",
        verbose_name=_("default of"),
    )
    created_at = models.DateTimeField(_("saved"), auto_now_add=True)

    objects = SavedCardQuerySet.as_manager()

    class Meta:
        verbose_name = _("saved card")
        verbose_name_plural = _("saved cards")
        ordering: ClassVar[list[str]] = ["-created_at", "-id"]
        default_permissions = ("view",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["customer", "card"], name="saved_card_once_per_customer"),
            models.CheckConstraint(
                condition=models.Q(default_of=None) | models.Q(default_of=models.F("customer")),
                name="saved_card_default_of_its_customer",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["card_last4"], name="saved_card_by_last4"),
            models.Index(fields=["card"], name="saved_card_by_card"),
        ]

    def __str__(self) -> str:
        return str(self.card)

    @property
    def token(self) -> Token:
        token: Token = self.card.token
        return token

    @property
    def is_default(self) -> bool:
        """True for the card that is offered first when its customer pays."""
        return self.default_of_id is not None

    @property
    def is_expired(self) -> bool:
        return has_expired(self.expires)

    @property
    def expires_soon(self) -> bool:
        """True in the last days before it expires."""
        today = timezone.localdate()
        return self.expires is not None and today <= self.expires <= today + SOON

    @property
    def is_good(self) -> bool:
        """True if one can pay with it."""
        return not self.is_expired and not self.is_card_erased


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a customer's saved card when an order was placed: new, known, or known with another expiry."""

    card: SavedCard
    status: vault.Status


def has_expired(expires: date | None) -> bool:
    """True if a card that is good until `expires`, that day included, is not good any more."""
    return expires is not None and expires < timezone.localdate()
