"""The forms of the order pages. A card number that was typed into any of their fields is not shown again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final
from uuid import uuid4

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from orders.models import DESCRIPTION_LENGTH, Order, SavedCard
from orders.nicknames import LENGTH as NICKNAME_LENGTH, has_too_many_digits, validate_few_digits
from vault.forms import ExpiryFormField, NoPANEcho, PANFormField
from vault.validators import validate_no_pan

NEW_CARD: Final = "new"
_NEW_CARD_FIELDS: Final = ("number", "expires", "save_card")


class _CardRadios(forms.RadioSelect):
    """Radio buttons that know their cards, so that a page can show more of them than a line of text."""

    cards: Mapping[str, SavedCard] = MappingProxyType({})

    def create_option(self, name: str, value: Any, *args: Any, **options: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **options)
        return option | {"card": self.cards.get(str(value))}


class _PaymentChoice(forms.ChoiceField):
    """One of a customer's own cards that are still good, by token; the first of them unless another is chosen."""

    widget = _CardRadios
    default_error_messages = {
        "required": _("Choose a card."),
        # Django's own message quotes what was sent.
        "invalid_choice": _("Choose one of your cards."),
        "erased": _("This card is no longer on file. Choose another one."),
    }

    def __init__(self, cards: Iterable[SavedCard], *, or_new: bool) -> None:
        own = {card.token.text: card for card in cards}
        self.cards = {token: card for token, card in own.items() if card.is_good}
        self._erased = {token for token, card in own.items() if card.is_card_erased}
        choices: list[tuple[str, Any]] = [(token, str(card)) for token, card in self.cards.items()]
        if or_new:
            choices.append((NEW_CARD, _("A new card")))
        super().__init__(choices=choices, label=_("Pay with"), initial=choices[0][0] if choices else None)
        self.widget.cards = self.cards

    def validate(self, value: Any) -> None:
        # It may have been erased while the page was open.
        if value in self._erased:
            raise ValidationError(self.error_messages["erased"], code="erased")
        super().validate(value)


class _CardPaymentForm(forms.Form):
    """A choice of cards, and the mark by which the same form sent twice is one order."""

    or_new: ClassVar[bool]

    submission = forms.UUIDField(widget=forms.HiddenInput(attrs={"autocomplete": "off"}))

    def __init__(self, customer: User, *args: Any, **options: Any) -> None:
        options["initial"] = {"submission": uuid4()} | (options.get("initial") or {})
        super().__init__(*args, **options)
        cards = SavedCard.objects.for_customer(customer).for_list()
        self._payment = self.fields["payment"] = _PaymentChoice(cards, or_new=self.or_new)

    @property
    def has_saved_cards(self) -> bool:
        return bool(self._payment.cards)

    def clean_payment(self) -> SavedCard | None:
        """The chosen card, None for a new one."""
        return self._payment.cards.get(self.cleaned_data["payment"])


class PayAgainForm(_CardPaymentForm):
    or_new = False


class OrderForm(_CardPaymentForm, forms.ModelForm):  # type: ignore[type-arg]
    or_new = True

    number = PANFormField(label=_("Card number"), required=False)
    expires = ExpiryFormField(label=_("Expiry date"), required=False, help_text=_("Month and year, as on the card."))
    save_card = forms.BooleanField(label=_("Keep this card for my next order"), required=False, initial=True)

    class Meta:
        model = Order
        fields = ("name", "description", "amount", "currency")
        labels: ClassVar = {"name": _("What do you order?")}
        widgets: ClassVar = {
            "name": forms.TextInput(attrs={"autocomplete": "off"}),
            "description": forms.Textarea(attrs={"rows": 3, "maxlength": DESCRIPTION_LENGTH, "autocomplete": "off"}),
            # No number input: a browser in another language than the page drops the comma of 24,90, and 2490 is left.
            "amount": forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        }
        localized_fields = ("amount",)
        error_messages: ClassVar = {
            "name": {"required": _("Say what you order, in a few words.")},
            "amount": {
                "required": _("Enter the amount that you pay."),
                "invalid": _("Enter the amount in digits, such as 24.90."),
                "min_value": _("An amount is greater than zero."),
                "max_decimal_places": _("An amount has two decimal places at most."),
            },
            # Django's own message quotes what was sent.
            "currency": {"invalid_choice": _("Choose one of these currencies.")},
        }

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "payment" not in cleaned:
            return cleaned
        if cleaned["payment"] is not None:
            # What stands in the fields of a card that was not chosen is not used and not complained about.
            for name in _NEW_CARD_FIELDS:
                self.errors.pop(name, None)
                cleaned.pop(name, None)
            return cleaned
        for name in ("number", "expires"):
            if cleaned.get(name) is None and name not in self.errors:
                self.add_error(name, ValidationError(self.fields[name].error_messages["required"], code="required"))
        return cleaned

    def order(self) -> dict[str, Any]:
        """What `orders.services.place` is to be given."""
        cleaned = self.cleaned_data
        return {
            **{name: cleaned[name] for name in self.Meta.fields},
            "card": cleaned["payment"] or cleaned["number"],
            "expires": cleaned.get("expires"),
            "save_card": cleaned.get("save_card", False),
            "submission": cleaned["submission"],
        }


class _NicknameEcho(NoPANEcho):
    """Does not show again what was refused for its digits, which may be a card number with a mistake in it."""

    def value(self) -> Any:
        value = super().value()
        return "" if isinstance(value, str) and has_too_many_digits(value) else value


class NicknameField(forms.CharField):
    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> forms.BoundField:
        return _NicknameEcho(form, self, field_name)


class NicknameForm(forms.Form):
    """What a customer calls a card. No ModelForm: that would put what it refuses on the card, and so on the page."""

    nickname = NicknameField(
        label=_("Name"),
        required=False,
        max_length=NICKNAME_LENGTH,
        validators=[validate_no_pan, validate_few_digits],
        help_text=_("Such as “Team card”. The number does not belong here."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
