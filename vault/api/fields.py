"""Serializer fields for card data. Their errors name the problem and never the value."""

from __future__ import annotations

from datetime import date
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from vault.acceptance import accept
from vault.exceptions import InvalidPAN, InvalidToken, PANProblem
from vault.expiry import InvalidExpiry, last_day_of_month, parse_expiry
from vault.fields import PANField, StoredCard
from vault.pan import MIN_DIGITS, MOST_CHARACTERS, PAN
from vault.tokens import PATTERN, Token


class TextField(serializers.CharField):
    """Text as a JSON string. DRF's own takes numbers as well, and writes them as Python does."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class FlagField(serializers.BooleanField):
    """True or false as JSON has them, and nothing that stands for one."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class PANSerializerField(serializers.Field):  # type: ignore[type-arg]
    """Takes a card number as a JSON string and gives a stored card: token, brand and last four."""

    default_error_messages = {
        "required": PANProblem.EMPTY.message,
        "null": PANProblem.EMPTY.message,
        **{problem.value: problem.message for problem in PANProblem},
    }

    def to_internal_value(self, data: Any) -> PAN:
        try:
            # A number would lose leading zeros and pass through a float; only a string is a card number.
            return accept(data)
        except InvalidPAN as error:
            self.fail(error.problem.value)

    def to_representation(self, value: StoredCard | PAN) -> dict[str, str] | None:
        if isinstance(value, PAN):
            return {"brand": value.brand.value, "last4": value.last4}
        return {"token": value.token.text, "brand": value.brand.value, "last4": value.last4}


# The format is ours: 12 to 19 digits of a brand's length with their check digit. Spaces and hyphens may stand anywhere.
extend_schema_field(
    {
        "type": "string",
        "format": "pan",
        "pattern": "^[0-9 -]+$",
        "minLength": MIN_DIGITS,
        "maxLength": MOST_CHARACTERS,
        "writeOnly": True,
    }
)(PANSerializerField)


@extend_schema_field({"type": "string", "pattern": f"^{PATTERN}$"})
class TokenSerializerField(serializers.Field):  # type: ignore[type-arg]
    """Takes and gives the text form of a token."""

    default_error_messages = {"invalid": InvalidToken().message}

    def to_internal_value(self, data: Any) -> Token:
        try:
            return Token.parse(data)
        except InvalidToken:
            self.fail("invalid")

    def to_representation(self, value: Any) -> str:
        return str(value)


@extend_schema_field({"type": "string", "pattern": "^20[0-9]{2}-(0[1-9]|1[0-2])$", "examples": ["2029-08"]})
class ExpirySerializerField(serializers.Field):  # type: ignore[type-arg]
    """Takes and gives the month on a card as YYYY-MM. A month that is over is refused."""

    default_error_messages = {
        "invalid": "Write the expiry date as YYYY-MM.",
        "expired": "This card has expired.",
    }

    def to_internal_value(self, data: Any) -> date:
        try:
            expires = parse_expiry(data)
        except InvalidExpiry:
            self.fail("invalid")
        if expires < last_day_of_month(date.today()):  # noqa: DTZ011 - a card is good until its month ends anywhere
            self.fail("expired")
        return expires

    def to_representation(self, value: date) -> str:
        return f"{value:%Y-%m}"


def map_to_serializers() -> None:
    """Let every ModelSerializer use `PANSerializerField` for a `PANField`."""
    serializers.ModelSerializer.serializer_field_mapping[PANField] = PANSerializerField
