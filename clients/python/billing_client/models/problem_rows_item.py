from __future__ import annotations

from collections.abc import Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeVar,
    cast,
)

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.row_problem import RowProblem


T = TypeVar("T", bound="ProblemRowsItem")


@_attrs_define
class ProblemRowsItem:
    """
    Attributes:
        index (int): Of the row in the request, from 0.
        status (Literal['failed']):
        problem (RowProblem): What went wrong with a row of a batch: a Problem without the id of the request.
    """

    index: int
    status: Literal["failed"]
    problem: RowProblem
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        index = self.index

        status = self.status

        problem = self.problem.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "index": index,
                "status": status,
                "problem": problem,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.row_problem import RowProblem  # noqa: PLC0415

        d = dict(src_dict)
        index = d.pop("index")

        status = cast(Literal["failed"], d.pop("status"))
        if status != "failed":
            raise ValueError(f"status must match const 'failed', got '{status}'")

        problem = RowProblem.from_dict(d.pop("problem"))

        problem_rows_item = cls(
            index=index,
            status=status,
            problem=problem,
        )

        problem_rows_item.additional_properties = d
        return problem_rows_item

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
