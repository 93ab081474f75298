"""`/api/v1/orders/`."""

from __future__ import annotations

from typing import ClassVar

from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.generics import GenericAPIView, ListAPIView, RetrieveAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from orders import services
from orders.api.permissions import CHANGE, PLACE, HasRight, IsOwnOrder
from orders.api.serializers import NewOrderSerializer, OrderSerializer, PayAgainSerializer
from orders.exceptions import CardExpired, CardNotAvailable, OrderNotCancellable
from orders.models import Order
from orders.querysets import OrderQuerySet
from vault.exceptions import CardErased


class OrderPagination(CursorPagination):
    ordering = ("-placed_at", "-id")
    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 200


class Conflict(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class _Orders(GenericAPIView[Order]):
    # A method and the permission that it takes on top of being signed in.
    rights: ClassVar[dict[str, str]] = {}
    permission_classes = [IsAuthenticated, HasRight]
    serializer_class = OrderSerializer
    lookup_field = "public_id"

    def get_queryset(self) -> OrderQuerySet:
        if getattr(self, "swagger_fake_view", False):
            return Order.objects.none()
        return Order.objects.visible_to(self.request.user).for_list()  # type: ignore[arg-type]  # it is signed in


class OrderListView(_Orders, ListAPIView[Order]):
    pagination_class = OrderPagination
    rights: ClassVar[dict[str, str]] = {"POST": PLACE}

    @sensitive_variables()
    @extend_schema(request=NewOrderSerializer, responses={201: OrderSerializer})
    def post(self, request: Request) -> Response:
        """Place an order. It belongs to the caller."""
        body = NewOrderSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.order()
        try:
            order = services.place(customer=request.user, save_card=False, **given)  # type: ignore[arg-type]
        except (CardExpired, CardNotAvailable, CardErased) as error:
            raise ValidationError({"token" if "token" in body.validated_data else "pan": str(error)}) from None
        return Response(OrderSerializer(order).data, status=status.HTTP_201_CREATED)


class OrderDetailView(_Orders, RetrieveAPIView[Order]):
    pass


class _OwnOrder(_Orders):
    """Acts on an order. One that the caller may see but does not own is refused; any other does not exist."""

    permission_classes = [IsAuthenticated, HasRight, IsOwnOrder]


class OrderCancelView(_OwnOrder):
    rights: ClassVar[dict[str, str]] = {"POST": CHANGE}

    @extend_schema(request=None, responses={200: OrderSerializer})
    def post(self, request: Request, public_id: str) -> Response:
        """Cancel an order. 409 if it is cancelled already."""
        try:
            order = services.cancel(self.get_object())
        except OrderNotCancellable as error:
            raise Conflict(str(error)) from None
        return Response(OrderSerializer(order).data)


class OrderPayAgainView(_OwnOrder):
    rights: ClassVar[dict[str, str]] = {"POST": PLACE}

    @extend_schema(request=PayAgainSerializer, responses={201: OrderSerializer})
    def post(self, request: Request, public_id: str) -> Response:
        """Place the same order once more, paid with a card that is kept already."""
        order = self.get_object()
        body = PayAgainSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            repeat = services.pay_again(order, card=body.validated_data["token"])
        except (CardExpired, CardNotAvailable, CardErased) as error:
            raise ValidationError({"token": str(error)}) from None
        return Response(OrderSerializer(repeat).data, status=status.HTTP_201_CREATED)
