from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.problem_error import ProblemError
    from ..models.problem_rows_item import ProblemRowsItem


T = TypeVar("T", bound="Problem")


@_attrs_define
class Problem:
    """What went wrong, as RFC 9457 has it. Members may be added; pass over those you do not know.

    Attributes:
        type_ (str): Where this kind of error is explained. Stable.
        title (str): The kind of error in one sentence. The same for each of its kind.
        status (int): The HTTP status.
        code (str): The kind of error, for programs.
        detail (str): What went wrong, for people. Never what was sent.
        request_id (str): Of this request, as in the header `Request-Id`. Name it when you ask for help.
        reason (str | Unset): Why an account may not, where there is more than one reason.
        errors (list[ProblemError] | Unset):
        rows (list[ProblemRowsItem] | Unset): Of a refused batch, the rows that cannot be carried out.
    """

    type_: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    reason: str | Unset = UNSET
    errors: list[ProblemError] | Unset = UNSET
    rows: list[ProblemRowsItem] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        type_ = self.type_

        title = self.title

        status = self.status

        code = self.code

        detail = self.detail

        request_id = self.request_id

        reason = self.reason

        errors: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.errors, Unset):
            errors = []
            for errors_item_data in self.errors:
                errors_item = errors_item_data.to_dict()
                errors.append(errors_item)

        rows: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.rows, Unset):
            rows = []
            for rows_item_data in self.rows:
                rows_item = rows_item_data.to_dict()
                rows.append(rows_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "title": title,
                "status": status,
                "code": code,
                "detail": detail,
                "request_id": request_id,
            }
        )
        if reason is not UNSET:
            field_dict["reason"] = reason
        if errors is not UNSET:
            field_dict["errors"] = errors
        if rows is not UNSET:
            field_dict["rows"] = rows

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.problem_error import ProblemError  # noqa: PLC0415
        from ..models.problem_rows_item import ProblemRowsItem  # noqa: PLC0415

        d = dict(src_dict)
        type_ = d.pop("type")

        title = d.pop("title")

        status = d.pop("status")

        code = d.pop("code")

        detail = d.pop("detail")

        request_id = d.pop("request_id")

        reason = d.pop("reason", UNSET)

        _errors = d.pop("errors", UNSET)
        errors: list[ProblemError] | Unset = UNSET
        if _errors is not UNSET:
            errors = []
            for errors_item_data in _errors:
                errors_item = ProblemError.from_dict(errors_item_data)

                errors.append(errors_item)

        _rows = d.pop("rows", UNSET)
        rows: list[ProblemRowsItem] | Unset = UNSET
        if _rows is not UNSET:
            rows = []
            for rows_item_data in _rows:
                rows_item = ProblemRowsItem.from_dict(rows_item_data)

                rows.append(rows_item)

        problem = cls(
            type_=type_,
            title=title,
            status=status,
            code=code,
            detail=detail,
            request_id=request_id,
            reason=reason,
            errors=errors,
            rows=rows,
        )

        problem.additional_properties = d
        return problem

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
