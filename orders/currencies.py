"""The currencies that an order can be paid in."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from babel import Locale
from babel.numbers import format_currency, get_currency_symbol
from django.conf import settings
from django.db import models
from django.utils.translation import get_language, gettext_lazy as _, to_locale

_NO_BREAK_SPACE: Final = "\N{NO-BREAK SPACE}"


class Currency(models.TextChoices):
    """ISO 4217 codes."""

    EUR = "EUR", _("Euro (EUR)")
    USD = "USD", _("US dollar (USD)")
    GBP = "GBP", _("Pound sterling (GBP)")
    CHF = "CHF", _("Swiss franc (CHF)")
    SEK = "SEK", _("Swedish krona (SEK)")
    JPY = "JPY", _("Japanese yen (JPY)")

    @property
    def minor_units(self) -> int:
        """How many decimal places an amount has."""
        return 0 if self is Currency.JPY else 2

    @property
    def smallest(self) -> Decimal:
        """The smallest amount there is."""
        return Decimal(1).scaleb(-self.minor_units)

    def is_payable(self, amount: Decimal) -> bool:
        """True if `amount` has no more decimal places than this currency."""
        exponent = amount.normalize().as_tuple().exponent
        return isinstance(exponent, int) and exponent >= -self.minor_units

    def text(self, amount: Decimal) -> str:
        """`amount` with exactly this currency's decimal places, for machines."""
        return str(amount.quantize(self.smallest))

    def label_of(self, amount: Decimal) -> str:
        """`amount` as the language of whoever looks writes money: €1,849.00 or 1.849,00 €."""
        locale = Locale.parse(to_locale(get_language() or settings.LANGUAGE_CODE))
        pattern = locale.currency_formats["standard"].pattern
        # Babel leaves out CLDR's rule that letters do not touch digits.
        if get_currency_symbol(self.value, locale)[-1].isalpha():
            pattern = pattern.replace("¤#", f"¤{_NO_BREAK_SPACE}#")
        return format_currency(amount, self.value, pattern, locale=locale)
