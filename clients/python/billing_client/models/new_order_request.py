from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.currency_enum import CurrencyEnum, check_currency_enum
from ..types import UNSET, Unset

T = TypeVar("T", bound="NewOrderRequest")


@_attrs_define
class NewOrderRequest:
    """An order to be placed, paid with exactly one of a card number and a token.

    Attributes:
        name (str): What is paid for, in a few words.
        amount (str): A decimal number as text, at least 0.01, with no more places than the currency has.
        currency (CurrencyEnum):
        description (str | Unset): What is paid for, in more words. Default: ''.
        pan (str | Unset): The number of a new card.
        expires (str | Unset): The month until which the new card is good.
        token (str | Unset): A card that is kept already.
    """

    name: str
    amount: str
    currency: CurrencyEnum
    description: str | Unset = ""
    pan: str | Unset = _attrs_field(default=UNSET, repr=False)
    expires: str | Unset = UNSET
    token: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        amount = self.amount

        currency: str = self.currency

        description = self.description

        pan = self.pan

        expires = self.expires

        token = self.token

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "name": name,
                "amount": amount,
                "currency": currency,
            }
        )
        if description is not UNSET:
            field_dict["description"] = description
        if pan is not UNSET:
            field_dict["pan"] = pan
        if expires is not UNSET:
            field_dict["expires"] = expires
        if token is not UNSET:
            field_dict["token"] = token

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        name = d.pop("name")

        amount = d.pop("amount")

        currency = check_currency_enum(d.pop("currency"))

        description = d.pop("description", UNSET)

        pan = d.pop("pan", UNSET)

        expires = d.pop("expires", UNSET)

        token = d.pop("token", UNSET)

        new_order_request = cls(
            name=name,
            amount=amount,
            currency=currency,
            description=description,
            pan=pan,
            expires=expires,
            token=token,
        )

        return new_order_request
