"""The search above a customer's own orders. It becomes part of addresses, so a card number has no place in it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from orders.models import Order
from orders.querysets import OrderQuerySet
from vault.pan import MIN_DIGITS
from vault.redaction import contains_pan

_LONGEST: Final = 100
# Wide enough for every order, and far enough from the ends of the calendar that a time zone cannot leave it.
_FIRST_DAY: Final = date(2000, 1, 1)
_LAST_DAY: Final = date(2099, 12, 31)
_ISO: Final = "%Y-%m-%d"
# For browsers: they do not send as many digits as a card number has with nothing but spaces and hyphens between them.
# In an address it would be in the history and in the log of a proxy before any code of ours could refuse it.
_FEW_DIGITS: Final = rf"(?:(?!(?:[0-9][ \-]*){{{MIN_DIGITS}}}).)*"
_NO_CARD_NUMBER: Final = _("A card number cannot be searched for. Search by its last four digits.")


class _DayField(forms.DateField):
    """A day as browsers send it. Its errors do not repeat what was sent."""

    default_error_messages = {"invalid": _("Enter a date as year, month and day, such as 2026-11-30.")}

    def __init__(self, **options: Any) -> None:
        super().__init__(
            required=False,
            input_formats=[_ISO],
            validators=[
                MinValueValidator(_FIRST_DAY, _("Enter a year from 2000 to 2099.")),
                MaxValueValidator(_LAST_DAY, _("Enter a year from 2000 to 2099.")),
            ],
            widget=forms.DateInput(format=_ISO, attrs={"type": "date", "autocomplete": "off"}),
            **options,
        )


class OrderSearch(forms.Form):
    """Bound to the query of an address, whatever stands there. Nothing is looked for unless all of it is valid."""

    q = forms.CharField(
        label=_("Search"),
        required=False,
        max_length=_LONGEST,
        help_text=_("Name, description, order number, or the last four digits of the card"),
        widget=forms.SearchInput(attrs={"autocomplete": "off", "pattern": _FEW_DIGITS, "title": _NO_CARD_NUMBER}),
    )
    status = forms.ChoiceField(
        label=_("Status"),
        required=False,
        choices=[("", _("All")), *Order.Status.choices],
        # Django's own message quotes what was sent.
        error_messages={"invalid_choice": _("Choose one of these.")},
    )
    placed_from = _DayField(label=_("Placed from"))
    placed_to = _DayField(label=_("Placed until"))

    def clean_q(self) -> str:
        """Refuses a card number once more: a project may stand without `RefusePANInURLMiddleware`."""
        text: str = self.cleaned_data["q"]
        if contains_pan(text):
            raise ValidationError(_NO_CARD_NUMBER, code="contains_pan")
        return text

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        first, last = cleaned.get("placed_from"), cleaned.get("placed_to")
        if first and last and last < first:
            self.add_error("placed_to", ValidationError(_("This day is before the first one."), code="order"))
        return cleaned

    @property
    def filters(self) -> dict[str, Any]:
        """What narrows the list, by field; empty without any and while something is wrong."""
        return {name: value for name, value in self.cleaned_data.items() if value} if self.is_valid() else {}

    @property
    def query(self) -> str:
        """The filters as a part of an address, for the other pages of the same list."""
        return urlencode(self.filters)

    def found_in(self, orders: OrderQuerySet) -> OrderQuerySet:
        """The orders that pass every filter. The days are those of the current time zone, both included."""
        filters = self.filters
        first, last = filters.get("placed_from"), filters.get("placed_to")
        found = orders.in_status(filters["status"]) if "status" in filters else orders
        return found.matching(
            placed_from=_beginning(first) if first else None,
            placed_before=_beginning(last + timedelta(days=1)) if last else None,
        ).about(filters.get("q", ""))


def _beginning(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
