"""Pages of orders that cost the same however far down they are, and have each order once while new ones are placed."""

from __future__ import annotations

import re
from typing import Any, Final, Protocol, cast

from rest_framework.exceptions import ErrorDetail
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from orders.models import PUBLIC_ID_PATTERN, Order
from orders.querysets import OrderQuerySet
from vault.api.screening import InvalidParameters

NEWEST_FIRST: Final = "-placed_at"
OLDEST_FIRST: Final = "placed_at"
_NO_CURSOR: Final = ErrorDetail("This is not a cursor of this list.", code="invalid")
_OLDER: Final = "older"
_NEWER: Final = "newer"
_CURSOR: Final = re.compile(f"({_OLDER}|{_NEWER})-({PUBLIC_ID_PATTERN})")


class _ListView(Protocol):
    query: dict[str, Any]

    def visible_orders(self) -> OrderQuerySet: ...


class OrderPagination(BasePagination):
    """Goes by the query that the view has checked. Raises `InvalidParameters` for a cursor that is none of this list.

    A cursor names an order at the border of a page, and the side on which the next one lies. Orders are never deleted
    and never moved, so a cursor is good for ever.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        self._request = request
        self._is_newest_first = view.query["ordering"] == NEWEST_FIRST
        self._page = queryset.page(
            size=view.query["page_size"],
            is_newest_first=self._is_newest_first,
            **_border(cast("_ListView", view)),
        )
        return self._page.orders if self._is_newest_first else self._page.orders[::-1]

    def get_paginated_response(self, data: Any) -> Response:
        page = self._page
        newer = self._address(_NEWER, page.orders[0]) if page.orders and page.has_newer else None
        older = self._address(_OLDER, page.orders[-1]) if page.orders and page.has_older else None
        ahead, back = (older, newer) if self._is_newest_first else (newer, older)
        return Response({"next": ahead, "previous": back, "results": data})

    def _address(self, side: str, border: Order) -> str:
        return str(replace_query_param(self._request.build_absolute_uri(), "cursor", f"{side}-{border.public_id}"))

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        address = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": address | {"description": "The address of the page after this one; null for the last."},
                "previous": address | {"description": "The address of the page before this one; null for the first."},
                "results": schema,
            },
        }


def _border(view: _ListView) -> dict[str, Order]:
    cursor = view.query.get("cursor")
    if cursor is None:
        return {}
    match = _CURSOR.fullmatch(cursor)
    order = view.visible_orders().as_border().filter(public_id=match[2]).first() if match else None
    if match is None or order is None:
        raise InvalidParameters({"cursor": [_NO_CURSOR]})
    return {"before" if match[1] == _OLDER else "after": order}
