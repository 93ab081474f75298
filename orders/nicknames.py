"""What customers call their cards. A card number, mistyped or in part, is no name."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

LENGTH: Final = 40
MOST_DIGITS: Final = 8
TOO_MANY_DIGITS: Final = _("The name of a card has eight digits at most. Its number does not belong there.")


def has_too_many_digits(text: str) -> bool:
    """True for more digits, of any script, than a name needs; they need not satisfy Luhn to be somebody's card."""
    return sum(character.isdigit() for character in text) > MOST_DIGITS


def validate_few_digits(text: str) -> None:
    """Raises `ValidationError`, which does not quote the text."""
    if has_too_many_digits(text):
        raise ValidationError(TOO_MANY_DIGITS, code="too_many_digits")
