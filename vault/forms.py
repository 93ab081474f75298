"""Form fields for card data. What was typed into them is never shown again."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.forms.renderers import DjangoTemplates
from django.utils.translation import gettext_lazy as _

from vault.acceptance import accept
from vault.exceptions import InvalidPAN, PANProblem
from vault.expiry import InvalidExpiry, last_day_of_month, parse_expiry
from vault.integrity import IntactScript
from vault.pan import ANY_LENGTH, PAN, RANGES, Brand
from vault.redaction import contains_pan

PAN_MESSAGES: Final = {problem: _(problem.message) for problem in PANProblem}
EXPIRY_MESSAGES: Final = {
    "required": _("Enter the expiry date on the card."),
    "invalid": _("Enter the expiry date as month and year, like 08/29."),
    "expired": _("This card has expired."),
}
# What the script of the fields needs to tell brands apart as `vault.pan` does.
BRANDS: Final = json.dumps(
    {
        "ranges": [[first, last, brand, sorted(lengths)] for first, last, brand, lengths in RANGES],
        "lengths": sorted(ANY_LENGTH),
        "names": {brand: brand.label for brand in Brand if brand is not Brand.UNKNOWN},
        "groups": {brand: brand.groups for brand in Brand},
    },
    separators=(",", ":"),
)


#: What a card number in the place of a choice is read as: no field offers it.
_NO_CHOICE: Final = "-"
# Larger than any key: SQLite raises an error that no form expects.
_LARGE: Final = re.compile(r"\s*[+-]?[\d_]{19,}\s*")


class NoPANEcho(forms.BoundField):
    """Shows again what was typed before an error, unless a card number stands in it: pages are kept by caches.

    A choice with one in it is read as a choice that there is not: Django looks for choices in the database, and quotes
    those that it does not find. So is a number that no key is as large as.
    """

    @property
    def data(self) -> Any:
        data = super().data
        if not isinstance(self.field, forms.ChoiceField):
            return data
        if isinstance(data, list | tuple):
            return [_chosen(each) for each in data]
        return _chosen(data)

    def value(self) -> Any:
        value = super().value()
        return "" if isinstance(value, str) and contains_pan(value) else value


def _chosen(choice: Any) -> Any:
    return _NO_CHOICE if isinstance(choice, str) and (contains_pan(choice) or _LARGE.fullmatch(choice)) else choice


class FormRenderer(DjangoTemplates):
    """Django's own renderer with `NoPANEcho` for every field; name it in `settings.FORM_RENDERER`."""

    bound_field_class = NoPANEcho


class _NeverRendered(forms.TextInput):
    """A text input whose value goes one way: whatever it is bound to, it is rendered empty.

    `TextInput` renders a rejected number again, into the page, the browser's history and any proxy's cache. Its script
    empties the field when the page is left, so that the browser's history does not hold it either; render `form.media`.
    """

    class Media:
        js = (IntactScript("vault/card-fields.js", defer=True), IntactScript("vault/card-typing.js", type="module"))

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"data-card-data": "", **(attrs or {})})

    def format_value(self, value: Any) -> None:
        return None

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        return super().get_context(name, None, attrs)


# What can be told while a number is typed.
_HINTED: Final = (PANProblem.CHARACTERS, PANProblem.LENGTH, PANProblem.CHECKSUM)
# A number pad on phones, and neither a spelling service nor a correction of digits.
_TYPED: Final = {"inputmode": "numeric", "spellcheck": "false", "autocorrect": "off"}


class CardNumberInput(_NeverRendered):
    """Asks for a card number, which the browser's own card store may fill in. Its script groups digits as typed."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        defaults = {
            "autocomplete": "cc-number",
            **_TYPED,
            "maxlength": "32",
            "data-brands": BRANDS,
            **{f"data-hint-{problem}": PAN_MESSAGES[problem] for problem in _HINTED},
        }
        super().__init__(defaults | (attrs or {}))


class ExpiryInput(_NeverRendered):
    """Asks for the month and year on a card."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        defaults = {
            "autocomplete": "cc-exp",
            **_TYPED,
            "placeholder": _("MM / YY"),
            "maxlength": "9",
            "data-expiry": "",
            "data-hint-month": _("There is no such month. Enter it as 01 to 12."),
            "data-hint-invalid": EXPIRY_MESSAGES["invalid"],
            "data-hint-expired": EXPIRY_MESSAGES["expired"],
        }
        super().__init__(defaults | (attrs or {}))


class _WithStoredValue(NoPANEcho):
    """On a form that edits a stored card, leaving the field empty keeps the card."""

    def __init__(self, form: forms.BaseForm, field: forms.Field, name: str) -> None:
        if form.get_initial_for_field(field, name):
            field.required = False
        super().__init__(form, field, name)


class PANFormField(forms.Field):
    """Cleans to a `PAN`, or None if it may be empty. Its errors say what is wrong and never what was typed."""

    widget = CardNumberInput
    default_error_messages = {
        "required": PAN_MESSAGES[PANProblem.EMPTY],
        **{problem.value: message for problem, message in PAN_MESSAGES.items()},
    }

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> forms.BoundField:
        return _WithStoredValue(form, self, field_name)

    def to_python(self, value: Any) -> PAN | None:
        if value in self.empty_values or not str(value).strip():
            return None
        try:
            return accept(value)
        except InvalidPAN as error:
            raise ValidationError(self.error_messages[error.problem], code=error.problem) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)


class ExpiryFormField(forms.Field):
    """Cleans MM/YY or MM/YYYY to the last day of that month, which must not be over."""

    widget = ExpiryInput
    default_error_messages = {**EXPIRY_MESSAGES}

    def to_python(self, value: Any) -> date | None:
        if value in self.empty_values:
            return None
        try:
            expires = parse_expiry(value)
        except InvalidExpiry:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None
        if expires < last_day_of_month(date.today()):  # noqa: DTZ011 - a card is good until its month ends anywhere
            raise ValidationError(self.error_messages["expired"], code="expired")
        return expires
