from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="NewTokenRequest")


@_attrs_define
class NewTokenRequest:
    """A card to be kept.

    Attributes:
        pan (str): The card number.
        expires (str | Unset): The month until which the card is good.
    """

    pan: str = _attrs_field(repr=False)
    expires: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        pan = self.pan

        expires = self.expires

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "pan": pan,
            }
        )
        if expires is not UNSET:
            field_dict["expires"] = expires

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        pan = d.pop("pan")

        expires = d.pop("expires", UNSET)

        new_token_request = cls(
            pan=pan,
            expires=expires,
        )

        return new_token_request
