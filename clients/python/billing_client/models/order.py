from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.currency_enum import CurrencyEnum, check_currency_enum
from ..models.order_status_enum import OrderStatusEnum, check_order_status_enum

if TYPE_CHECKING:
    from ..models.card import Card


T = TypeVar("T", bound="Order")


@_attrs_define
class Order:
    """Something that was paid for with a card.

    Attributes:
        id (str):
        name (str):
        description (str):
        amount (str): A decimal number with the currency's own places.
        currency (CurrencyEnum):
        status (OrderStatusEnum):
        card (Card): The card that paid an order: never digits, but the last four.
        placed_at (datetime.datetime):
        cancelled_at (datetime.datetime | None):
        repeat_of (None | str): The `id` of the order it repeats.
    """

    id: str
    name: str
    description: str
    amount: str
    currency: CurrencyEnum
    status: OrderStatusEnum
    card: Card
    placed_at: datetime.datetime
    cancelled_at: datetime.datetime | None
    repeat_of: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        name = self.name

        description = self.description

        amount = self.amount

        currency: str = self.currency

        status: str = self.status

        card = self.card.to_dict()

        placed_at = self.placed_at.isoformat()

        cancelled_at: None | str
        if isinstance(self.cancelled_at, datetime.datetime):
            cancelled_at = self.cancelled_at.isoformat()
        else:
            cancelled_at = self.cancelled_at

        repeat_of: None | str
        repeat_of = self.repeat_of

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "name": name,
                "description": description,
                "amount": amount,
                "currency": currency,
                "status": status,
                "card": card,
                "placed_at": placed_at,
                "cancelled_at": cancelled_at,
                "repeat_of": repeat_of,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.card import Card  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        name = d.pop("name")

        description = d.pop("description")

        amount = d.pop("amount")

        currency = check_currency_enum(d.pop("currency"))

        status = check_order_status_enum(d.pop("status"))

        card = Card.from_dict(d.pop("card"))

        placed_at = datetime.datetime.fromisoformat(d.pop("placed_at"))

        def _parse_cancelled_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                cancelled_at_type_0 = datetime.datetime.fromisoformat(data)

                return cancelled_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        cancelled_at = _parse_cancelled_at(d.pop("cancelled_at"))

        def _parse_repeat_of(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        repeat_of = _parse_repeat_of(d.pop("repeat_of"))

        order = cls(
            id=id,
            name=name,
            description=description,
            amount=amount,
            currency=currency,
            status=status,
            card=card,
            placed_at=placed_at,
            cancelled_at=cancelled_at,
            repeat_of=repeat_of,
        )

        order.additional_properties = d
        return order

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
