from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.revealed_row_status_enum import (
    RevealedRowStatusEnum,
    check_revealed_row_status_enum,
)
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.row_problem import RowProblem


T = TypeVar("T", bound="RevealedRow")


@_attrs_define
class RevealedRow:
    """A card number. It is not to be kept.

    Attributes:
        index (int): Of the row in the request, from 0.
        status (RevealedRowStatusEnum):
        problem (RowProblem | Unset): What went wrong with a row of a batch: a Problem without the id of the request.
        token (str | Unset):
        pan (str | Unset): The digits of the card number.
        expires (None | str | Unset):
    """

    index: int
    status: RevealedRowStatusEnum
    problem: RowProblem | Unset = UNSET
    token: str | Unset = UNSET
    pan: str | Unset = _attrs_field(default=UNSET, repr=False)
    expires: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        index = self.index

        status: str = self.status

        problem: dict[str, Any] | Unset = UNSET
        if not isinstance(self.problem, Unset):
            problem = self.problem.to_dict()

        token = self.token

        pan = self.pan

        expires: None | str | Unset
        if isinstance(self.expires, Unset):
            expires = UNSET
        else:
            expires = self.expires

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "index": index,
                "status": status,
            }
        )
        if problem is not UNSET:
            field_dict["problem"] = problem
        if token is not UNSET:
            field_dict["token"] = token
        if pan is not UNSET:
            field_dict["pan"] = pan
        if expires is not UNSET:
            field_dict["expires"] = expires

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.row_problem import RowProblem  # noqa: PLC0415

        d = dict(src_dict)
        index = d.pop("index")

        status = check_revealed_row_status_enum(d.pop("status"))

        _problem = d.pop("problem", UNSET)
        problem: RowProblem | Unset
        if isinstance(_problem, Unset):
            problem = UNSET
        else:
            problem = RowProblem.from_dict(_problem)

        token = d.pop("token", UNSET)

        pan = d.pop("pan", UNSET)

        def _parse_expires(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        expires = _parse_expires(d.pop("expires", UNSET))

        revealed_row = cls(
            index=index,
            status=status,
            problem=problem,
            token=token,
            pan=pan,
            expires=expires,
        )

        revealed_row.additional_properties = d
        return revealed_row

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
