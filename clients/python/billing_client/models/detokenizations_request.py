from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="DetokenizationsRequest")


@_attrs_define
class DetokenizationsRequest:
    """Cards to be read, and what for.

    Attributes:
        purpose (str): A purpose from the list of this project.
        tokens (list[str]):
        reason (str | Unset): In a few words. Default: ''.
        continue_on_error (bool | Unset): Carry out the rows that can be. Without it none is if one cannot be. Default:
            False.
    """

    purpose: str
    tokens: list[str]
    reason: str | Unset = ""
    continue_on_error: bool | Unset = False

    def to_dict(self) -> dict[str, Any]:
        purpose = self.purpose

        tokens = self.tokens

        reason = self.reason

        continue_on_error = self.continue_on_error

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "purpose": purpose,
                "tokens": tokens,
            }
        )
        if reason is not UNSET:
            field_dict["reason"] = reason
        if continue_on_error is not UNSET:
            field_dict["continue_on_error"] = continue_on_error

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        purpose = d.pop("purpose")

        tokens = cast(list[str], d.pop("tokens"))

        reason = d.pop("reason", UNSET)

        continue_on_error = d.pop("continue_on_error", UNSET)

        detokenizations_request = cls(
            purpose=purpose,
            tokens=tokens,
            reason=reason,
            continue_on_error=continue_on_error,
        )

        return detokenizations_request
