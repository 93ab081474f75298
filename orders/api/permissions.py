"""Who may do what with orders through the API. Whose orders they are is decided by queryset and services."""

from __future__ import annotations

from typing import Any, Final

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from orders.models import Order

PLACE: Final = "orders.add_order"
CHANGE: Final = "orders.change_order"


class HasRight(BasePermission):
    """The Django permission that the view names for the method, if it names one."""

    def has_permission(self, request: Request, view: Any) -> bool:
        rights: dict[str, str] = view.rights
        right = rights.get(request.method or "")
        return right is None or request.user.has_perm(right)


class IsOwnOrder(BasePermission):
    """Seeing everybody's orders is not the right to act for everybody."""

    def has_object_permission(self, request: Request, view: Any, obj: Order) -> bool:
        return obj.customer_id == request.user.pk
