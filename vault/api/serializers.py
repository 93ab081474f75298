"""Tokens as JSON."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from vault.api.fields import ExpirySerializerField, PANSerializerField, TextField, TokenSerializerField
from vault.api.screening import MOST_ERRORS
from vault.misplaced import nameable
from vault.models import Card
from vault.pan import Brand
from vault.purposes import NAME_LENGTH, TEXT_LENGTH
from vault.services import Status, Tokenization
from vault.validators import validate_no_pan

BRANDS: Final = [(brand.value, brand.label) for brand in Brand]
NON_FIELD: Final = "non_field_errors"
_UNKNOWN: Final = ErrorDetail("This field is not known here.", code="unknown")


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses what it does not know, so that a card number or a CVV under another key is not just passed over."""

    #: In JSON Schema, what `validate` asks of the fields together.
    rules: ClassVar[dict[str, Any]] = {}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := data.keys() - self.fields.keys()):
            raise serializers.ValidationError(
                {nameable(key) or NON_FIELD: [_UNKNOWN] for key in sorted(unknown)[:MOST_ERRORS]}
            )
        return super().to_internal_value(data)


class NewTokenSerializer(StrictSerializer):
    """A card to be kept."""

    pan = PANSerializerField(write_only=True, help_text="The card number.")
    expires = ExpirySerializerField(required=False, help_text="The month until which the card is good.")


class SearchSerializer(StrictSerializer):
    """A card to be found."""

    pan = PANSerializerField(write_only=True, help_text="The card number.")


class DetokenizationSerializer(StrictSerializer):
    """What a card number is read for."""

    purpose = TextField(max_length=NAME_LENGTH, help_text="A purpose from the list of this project.")
    reason = TextField(
        max_length=TEXT_LENGTH, required=False, default="", allow_blank=True, help_text="In a few words."
    )


class ErasureSerializer(StrictSerializer):
    """Why a card is erased."""

    reason = TextField(
        max_length=TEXT_LENGTH, validators=[validate_no_pan], help_text="In a few words. They stand in the certificate."
    )


class CertificateSerializer(serializers.Serializer[Any]):
    """What proves that a card was erased."""

    number = serializers.CharField(read_only=True, help_text="Of the certificate.")
    token = TokenSerializerField(read_only=True)
    erased_at = serializers.CharField(read_only=True, help_text="Date and time, as ISO 8601 has them.")
    content = serializers.CharField(read_only=True, help_text="JSON as text: it is signed, to the byte.")
    signature = serializers.CharField(read_only=True, help_text="HMAC-SHA-256 by KMS, in base64.")
    key = serializers.CharField(read_only=True, help_text="The ARN of the key that signed.")


class RevealedSerializer(serializers.Serializer[Any]):
    """A card number. It is not to be kept."""

    pan = serializers.RegexField(r"^[0-9]{12,19}$", read_only=True, help_text="The digits of the card number.")
    expires = ExpirySerializerField(read_only=True, allow_null=True)


class TokenSerializer(serializers.Serializer[Any]):
    """What is known of a card without opening it."""

    token = TokenSerializerField(read_only=True)
    brand = serializers.ChoiceField(choices=BRANDS, read_only=True)
    bin = serializers.RegexField(r"^[0-9]{6,8}$", read_only=True, help_text="The first six or eight digits.")
    last4 = serializers.RegexField(r"^[0-9]{4}$", read_only=True, help_text="The last four digits.")
    fingerprint = serializers.RegexField(
        r"^fpr_[a-z2-7]{26}$",
        source="fingerprint_id",
        read_only=True,
        help_text="The same for the same card. Nothing can be paid or read with it.",
    )
    expires = ExpirySerializerField(read_only=True, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True, help_text="When it came on file.")
    status = serializers.ChoiceField(
        choices=Card.Status.choices, read_only=True, help_text="`erased` once its number is gone for good."
    )
    retain_until = serializers.DateField(
        read_only=True, allow_null=True, help_text="The last day on which the card is kept."
    )
    erased_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="Null while it is on file.")


class KeptTokenSerializer(TokenSerializer):
    """A card that was handed in just now. It is on file, so `status` says what became of it instead."""

    status = serializers.ChoiceField(
        choices=[status.value for status in Status],
        read_only=True,
        help_text="New, known, or known with another expiry than the one given, which it has now.",
    )

    def to_representation(self, instance: Tokenization) -> dict[str, Any]:
        return super().to_representation(instance.card) | {"status": instance.status.value}
