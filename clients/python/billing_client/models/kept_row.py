from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.kept_row_status_enum import KeptRowStatusEnum, check_kept_row_status_enum
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.row_problem import RowProblem
    from ..models.token import Token


T = TypeVar("T", bound="KeptRow")


@_attrs_define
class KeptRow:
    """
    Attributes:
        index (int): Of the row in the request, from 0.
        status (KeptRowStatusEnum):
        problem (RowProblem | Unset): What went wrong with a row of a batch: a Problem without the id of the request.
        card (Token | Unset): What is known of a card without opening it.
    """

    index: int
    status: KeptRowStatusEnum
    problem: RowProblem | Unset = UNSET
    card: Token | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        index = self.index

        status: str = self.status

        problem: dict[str, Any] | Unset = UNSET
        if not isinstance(self.problem, Unset):
            problem = self.problem.to_dict()

        card: dict[str, Any] | Unset = UNSET
        if not isinstance(self.card, Unset):
            card = self.card.to_dict()

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
        if card is not UNSET:
            field_dict["card"] = card

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.row_problem import RowProblem  # noqa: PLC0415
        from ..models.token import Token  # noqa: PLC0415

        d = dict(src_dict)
        index = d.pop("index")

        status = check_kept_row_status_enum(d.pop("status"))

        _problem = d.pop("problem", UNSET)
        problem: RowProblem | Unset
        if isinstance(_problem, Unset):
            problem = UNSET
        else:
            problem = RowProblem.from_dict(_problem)

        _card = d.pop("card", UNSET)
        card: Token | Unset
        if isinstance(_card, Unset):
            card = UNSET
        else:
            card = Token.from_dict(_card)

        kept_row = cls(
            index=index,
            status=status,
            problem=problem,
            card=card,
        )

        kept_row.additional_properties = d
        return kept_row

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
