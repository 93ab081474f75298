from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.new_token_request import NewTokenRequest


T = TypeVar("T", bound="NewTokensRequest")


@_attrs_define
class NewTokensRequest:
    """Cards to be kept.

    Attributes:
        rows (list[NewTokenRequest]):
        continue_on_error (bool | Unset): Carry out the rows that can be. Without it none is if one cannot be. Default:
            False.
    """

    rows: list[NewTokenRequest]
    continue_on_error: bool | Unset = False

    def to_dict(self) -> dict[str, Any]:
        rows = []
        for rows_item_data in self.rows:
            rows_item = rows_item_data.to_dict()
            rows.append(rows_item)

        continue_on_error = self.continue_on_error

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "rows": rows,
            }
        )
        if continue_on_error is not UNSET:
            field_dict["continue_on_error"] = continue_on_error

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.new_token_request import NewTokenRequest  # noqa: PLC0415

        d = dict(src_dict)
        rows = []
        _rows = d.pop("rows")
        for rows_item_data in _rows:
            rows_item = NewTokenRequest.from_dict(rows_item_data)

            rows.append(rows_item)

        continue_on_error = d.pop("continue_on_error", UNSET)

        new_tokens_request = cls(
            rows=rows,
            continue_on_error=continue_on_error,
        )

        return new_tokens_request
