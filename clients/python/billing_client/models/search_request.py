from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="SearchRequest")


@_attrs_define
class SearchRequest:
    """A card to be found.

    Attributes:
        pan (str): The card number.
    """

    pan: str = _attrs_field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        pan = self.pan

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "pan": pan,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        pan = d.pop("pan")

        search_request = cls(
            pan=pan,
        )

        return search_request
