"""Orders as JSON. What is sent wrong is named by its field and never quoted."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, ClassVar, Final

from django.core.exceptions import ValidationError as DjangoValidationError
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import get_error_detail

from orders.api.pagination import NEWEST_FIRST, OLDEST_FIRST
from orders.currencies import Currency
from orders.models import BRANDS, DESCRIPTION_LENGTH, PUBLIC_ID_PATTERN, Order
from vault.api.fields import ExpirySerializerField, PANSerializerField, TextField, TokenSerializerField
from vault.api.serializers import StrictSerializer
from vault.validators import validate_no_pan

_AMOUNT: Final = re.compile(r"[0-9]{1,10}(\.[0-9]{1,2})?")


class CardSerializer(serializers.Serializer[Order]):
    """The card that paid an order: never digits, but the last four."""

    # Brand and last four are the order's own, and stay when the card is erased.
    token = TokenSerializerField(source="card.token", read_only=True)
    brand = serializers.ChoiceField(choices=BRANDS, source="card_brand", read_only=True)
    last4 = serializers.RegexField(
        r"^[0-9]{4}$", source="card_last4", read_only=True, help_text="The last four digits."
    )
    on_file = serializers.SerializerMethodField(help_text="False once the card was erased.")

    def get_on_file(self, order: Order) -> bool:
        return not order.is_card_erased


class OrderSerializer(serializers.Serializer[Order]):
    """Something that was paid for with a card."""

    id = serializers.RegexField(f"^{PUBLIC_ID_PATTERN}$", source="public_id", read_only=True)
    name = serializers.CharField(read_only=True)
    description = serializers.CharField(read_only=True)
    amount = serializers.RegexField(
        r"^[0-9]{1,10}(\.[0-9]{2})?$",
        source="amount_text",
        read_only=True,
        help_text="A decimal number with the currency's own places.",
    )
    currency = serializers.ChoiceField(choices=Currency.choices, read_only=True, help_text="ISO 4217")
    status = serializers.ChoiceField(choices=Order.Status.choices, read_only=True)
    # One for all rows: a serializer that is made for each takes half of the time of a list.
    card = CardSerializer(source="*", read_only=True)
    placed_at = serializers.DateTimeField(read_only=True)
    cancelled_at = serializers.DateTimeField(read_only=True, allow_null=True)
    repeat_of = serializers.CharField(
        source="repeat_of.public_id",
        read_only=True,
        allow_null=True,
        default=None,
        help_text="The `id` of the order it repeats.",
    )


# Zero is no amount. A JSON number would do for most, and be wrong for some.
@extend_schema_field(
    {"type": "string", "pattern": r"^(?!0*(\.0*)?$)[0-9]{1,10}(\.[0-9]{1,2})?$", "examples": ["12.50"]}
)
class AmountField(serializers.DecimalField):
    """An amount as text: a JSON number would pass through a float."""

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str) or not _AMOUNT.fullmatch(data):
            self.fail("invalid")
        return super().to_internal_value(data)


class NewOrderSerializer(StrictSerializer):
    """An order to be placed, paid with exactly one of a card number and a token."""

    rules: ClassVar[dict[str, Any]] = {
        "if": {"required": ["pan"]},
        "then": {"not": {"required": ["token"]}},
        "else": {"required": ["token"]},
        "dependentRequired": {"expires": ["pan"]},
    }

    name = TextField(max_length=100, validators=[validate_no_pan], help_text="What is paid for, in a few words.")
    description = TextField(
        max_length=DESCRIPTION_LENGTH,
        allow_blank=True,
        default="",
        validators=[validate_no_pan],
        help_text="What is paid for, in more words.",
    )
    amount = AmountField(
        max_digits=12,
        decimal_places=2,
        min_value=Decimal("0.01"),
        help_text="A decimal number as text, at least 0.01, with no more places than the currency has.",
    )
    currency = serializers.ChoiceField(
        help_text="ISO 4217",
        # DRF's own message quotes what was sent.
        choices=Currency.choices,
        error_messages={"invalid_choice": "This currency is not accepted."},
    )
    pan = PANSerializerField(write_only=True, required=False, help_text="The number of a new card.")
    expires = ExpirySerializerField(required=False, help_text="The month until which the new card is good.")
    token = TokenSerializerField(required=False, help_text="A card that is kept already.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("pan" in attrs) == ("token" in attrs):
            raise serializers.ValidationError("Give exactly one of pan and token.")
        if "expires" in attrs and "pan" not in attrs:
            raise serializers.ValidationError({"expires": "This belongs to a new card, not to a token."})
        try:
            Order(amount=attrs["amount"], currency=attrs["currency"]).clean()
        except DjangoValidationError as error:
            raise serializers.ValidationError(get_error_detail(error)) from None
        return attrs

    def order(self) -> dict[str, Any]:
        """What `orders.services.place` is to be given."""
        values = dict(self.validated_data)
        card = values.pop("pan", None) or values.pop("token")
        return values | {"card": card}


class PayAgainSerializer(StrictSerializer):
    """What an order is paid with once more."""

    token = TokenSerializerField(help_text="The card that pays this time.")


class OrderQuerySerializer(StrictSerializer):
    """Which orders, in which order, and which page of them."""

    status = serializers.ChoiceField(
        choices=Order.Status.choices, required=False, error_messages={"invalid_choice": "There is no such status."}
    )
    currency = serializers.ChoiceField(
        choices=Currency.choices, required=False, error_messages={"invalid_choice": "There is no such currency."}
    )
    brand = serializers.ChoiceField(
        choices=BRANDS, required=False, error_messages={"invalid_choice": "There is no such brand."}
    )
    last4 = serializers.RegexField(r"^[0-9]{4}$", required=False, help_text="The last four digits of the card.")
    token = TokenSerializerField(required=False, help_text="The card that paid.")
    placed_from = serializers.DateTimeField(required=False, help_text="Placed at this moment or later.")
    placed_before = serializers.DateTimeField(required=False, help_text="Placed earlier than this.")
    ordering = serializers.ChoiceField(
        choices=[NEWEST_FIRST, OLDEST_FIRST],
        default=NEWEST_FIRST,
        error_messages={"invalid_choice": "Orders are not sorted by this."},
    )
    cursor = TextField(
        required=False, max_length=40, help_text="As `next` or `previous` of another page has it, in its address."
    )
    page_size = serializers.IntegerField(min_value=1, max_value=200, default=100)
