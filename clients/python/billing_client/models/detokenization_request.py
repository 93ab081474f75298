from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="DetokenizationRequest")


@_attrs_define
class DetokenizationRequest:
    """What a card number is read for.

    Attributes:
        purpose (str): A purpose from the list of this project.
        reason (str | Unset): In a few words. Default: ''.
    """

    purpose: str
    reason: str | Unset = ""

    def to_dict(self) -> dict[str, Any]:
        purpose = self.purpose

        reason = self.reason

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "purpose": purpose,
            }
        )
        if reason is not UNSET:
            field_dict["reason"] = reason

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        purpose = d.pop("purpose")

        reason = d.pop("reason", UNSET)

        detokenization_request = cls(
            purpose=purpose,
            reason=reason,
        )

        return detokenization_request
