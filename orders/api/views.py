"""`/api/v1/orders/`."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import ClassVar, Final

from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import APIException, ErrorDetail, NotFound, ValidationError
from rest_framework.generics import GenericAPIView, ListAPIView, RetrieveAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from orders import services
from orders.api.pagination import OrderPagination
from orders.api.permissions import CHANGE, PLACE, HasRight, IsOwnOrder
from orders.api.serializers import NewOrderSerializer, OrderQuerySerializer, OrderSerializer, PayAgainSerializer
from orders.exceptions import CardExpired, CardNotAvailable, OrderNotCancellable
from orders.models import PUBLIC_ID_PATTERN, Order
from orders.querysets import OrderQuerySet
from vault import problems
from vault.api.base import APIView, NoParameters, refuse_body
from vault.api.schema import OF_THE_VAULT
from vault.api.serializers import StrictSerializer
from vault.exceptions import CardErased

_PUBLIC_ID: Final = re.compile(PUBLIC_ID_PATTERN)
NOT_CANCELLABLE: Final = problems.define(
    "order_not_cancellable",
    HTTPStatus.CONFLICT,
    "This order is cancelled already.",
    "Nothing has to be done. A cancellation that is sent again with its Idempotency-Key is answered as the first time.",
)


class NotCancellable(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = NOT_CANCELLABLE.code
    default_detail = NOT_CANCELLABLE.title


def _refusal_of(field: str, error: CardExpired | CardNotAvailable | CardErased) -> ValidationError:
    return ValidationError({field: [ErrorDetail(str(error), code=_CODES[type(error)])]})


_CODES: Final[dict[type[Exception], str]] = {
    CardExpired: "card_expired",
    CardNotAvailable: "card_not_available",
    CardErased: "card_erased",
}


class _Orders(APIView, GenericAPIView[Order]):
    # A method and the permission that it takes on top of being signed in.
    rights: ClassVar[dict[str, str]] = {}
    permission_classes = [IsAuthenticated, HasRight]
    limits: ClassVar[dict[str, str]] = {"GET": "view_order"}
    serializer_class = OrderSerializer
    lookup_field = "public_id"
    path_patterns: ClassVar[dict[str, str]] = {"public_id": PUBLIC_ID_PATTERN}

    def get_queryset(self) -> OrderQuerySet:
        if getattr(self, "swagger_fake_view", False):
            return Order.objects.none()
        return self.visible_orders().for_list()

    def get_object(self) -> Order:
        """The order that the address names. What cannot be one is not looked for: it may be a card number."""
        if _PUBLIC_ID.fullmatch(self.kwargs["public_id"]) is None:
            raise NotFound
        return super().get_object()

    def visible_orders(self) -> OrderQuerySet:
        """Whatever the query of the request asks for."""
        return Order.objects.visible_to(self.request.user)  # type: ignore[arg-type]  # it is signed in


class OrderListView(_Orders, ListAPIView[Order]):
    pagination_class = OrderPagination
    rights: ClassVar[dict[str, str]] = {"POST": PLACE}
    limits: ClassVar[dict[str, str]] = {"GET": "view_order", "POST": "add_order"}
    kinds: ClassVar[dict[str, tuple[problems.Kind, ...]]] = {"POST": OF_THE_VAULT}

    @property
    def query_serializer_class(self) -> type[StrictSerializer]:  # type: ignore[override]
        return OrderQuerySerializer if self.request.method in ("GET", "HEAD") else NoParameters

    def get_queryset(self) -> OrderQuerySet:
        return super().get_queryset().matching(**getattr(self, "query", {}))

    @extend_schema(operation_id="list_orders", parameters=[OrderQuerySerializer])
    def get(self, request: Request) -> Response:
        """List orders. With the right `orders.view_order` all of them, else the account's own.

        The next page is at the address in `next`. Orders that are placed meanwhile move none from one page to another.
        """
        return self.list(request)

    @sensitive_variables()
    @extend_schema(operation_id="place_order", request=NewOrderSerializer, responses={201: OrderSerializer})
    def post(self, request: Request) -> Response:
        """Place an order. It belongs to the caller, and is paid with either a card number or a token.

        A number is kept, and answered as a token.
        """
        body = NewOrderSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.order()
        try:
            order = services.place(
                customer=request.user,  # type: ignore[arg-type]  # it is signed in
                save_card=False,
                submission=self.submission,
                **given,
            )
        except (CardExpired, CardNotAvailable, CardErased) as error:
            raise _refusal_of("token" if "token" in body.validated_data else "pan", error) from None
        return _placed(order)


class OrderDetailView(_Orders, RetrieveAPIView[Order]):
    conditions: ClassVar[dict[str, str]] = {"GET": "If-None-Match"}

    @extend_schema(operation_id="get_order")
    def get(self, request: Request, public_id: str) -> HttpResponseBase:  # type: ignore[override]
        """Get an order. 404 as well for one that this account may not see."""
        return self.entity(OrderSerializer(self.get_object()).data)


class _OwnOrder(_Orders):
    """Acts on an order. One that the caller may see but does not own is refused; any other does not exist."""

    permission_classes = [IsAuthenticated, HasRight, IsOwnOrder]
    conditions: ClassVar[dict[str, str]] = {"POST": "If-Match"}

    def order(self) -> Order:
        """The order, in the state that `If-Match` names if the request has it."""
        order = self.get_object()
        self.require_match(OrderSerializer(order).data)
        return order


class OrderCancelView(_OwnOrder):
    rights: ClassVar[dict[str, str]] = {"POST": CHANGE}
    limits: ClassVar[dict[str, str]] = {"POST": "change_order"}
    kinds: ClassVar[dict[str, tuple[problems.Kind, ...]]] = {"POST": (NOT_CANCELLABLE,)}

    def order(self) -> Order:
        """As for every order; but what this very request has changed already is no other state (RFC 9110, 13.1.1)."""
        order = self.get_object()
        if self.submission is None or order.cancellation != self.submission:
            self.require_match(OrderSerializer(order).data)
        return order

    @extend_schema(operation_id="cancel_order", request=None, responses={200: OrderSerializer})
    def post(self, request: Request, public_id: str) -> Response:
        """Cancel an order. It has to be the account's own. 409 `order_not_cancellable` if it is cancelled already."""
        order = self.order()
        refuse_body(request)
        try:
            services.cancel(order, submission=self.submission)
        except OrderNotCancellable:
            raise NotCancellable from None
        return Response(OrderSerializer(order).data)


class OrderPayAgainView(_OwnOrder):
    rights: ClassVar[dict[str, str]] = {"POST": PLACE}
    limits: ClassVar[dict[str, str]] = {"POST": "add_order"}

    @extend_schema(operation_id="pay_order_again", request=PayAgainSerializer, responses={201: OrderSerializer})
    def post(self, request: Request, public_id: str) -> Response:
        """Place the same order once more. It has to be the account's own, and is paid with a card that is kept."""
        order = self.order()
        body = PayAgainSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            repeat = services.pay_again(order, card=body.validated_data["token"], submission=self.submission)
        except (CardExpired, CardNotAvailable, CardErased) as error:
            raise _refusal_of("token", error) from None
        return _placed(repeat)


def _placed(order: Order) -> Response:
    headers = {"Location": reverse("api_orders:order", args=[order.public_id])}
    return Response(OrderSerializer(order).data, status=status.HTTP_201_CREATED, headers=headers)
