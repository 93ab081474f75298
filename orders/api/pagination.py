"""Pages of orders that cost the same however far down they are."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import ErrorDetail, NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from vault.api.screening import InvalidParameters

_NO_CURSOR: Final = ErrorDetail("This is not a cursor of this list.", code="invalid")
_ORDERING: Final = {
    "-placed_at": ("-placed_at", "-id"),
    "placed_at": ("placed_at", "id"),
    "-amount": ("-amount", "-id"),
    "amount": ("amount", "id"),
}


class OrderPagination(CursorPagination):
    """Goes by the query that the view has checked. Raises `InvalidParameters` for a cursor that is none of ours."""

    def get_page_size(self, request: Request) -> int:
        return int(request.parser_context["view"].query["page_size"])

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        return _ORDERING[view.query["ordering"]]

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor: Cursor | None = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                self._check(str(cursor.position))
        except (NotFound, ValueError, InvalidOperation):
            raise InvalidParameters({"cursor": [_NO_CURSOR]}) from None
        return cursor

    def _check(self, position: str) -> None:
        # It goes into a comparison with the column: anybody can write a cursor.
        if self.ordering[0].endswith("amount"):
            if not Decimal(position).is_finite():
                raise ValueError
        elif (moment := parse_datetime(position)) is None or moment.tzinfo is None:
            raise ValueError
