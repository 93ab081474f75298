from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.brand_enum import BrandEnum, check_brand_enum

T = TypeVar("T", bound="Card")


@_attrs_define
class Card:
    """The card that paid an order: never digits, but the last four.

    Attributes:
        token (str):
        brand (BrandEnum):
        last4 (str): The last four digits.
        on_file (bool): False once the card was erased.
    """

    token: str
    brand: BrandEnum
    last4: str
    on_file: bool
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        token = self.token

        brand: str = self.brand

        last4 = self.last4

        on_file = self.on_file

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "token": token,
                "brand": brand,
                "last4": last4,
                "on_file": on_file,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        token = d.pop("token")

        brand = check_brand_enum(d.pop("brand"))

        last4 = d.pop("last4")

        on_file = d.pop("on_file")

        card = cls(
            token=token,
            brand=brand,
            last4=last4,
            on_file=on_file,
        )

        card.additional_properties = d
        return card

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
