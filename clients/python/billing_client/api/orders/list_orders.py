import datetime
from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.list_orders_brand import ListOrdersBrand
from ...models.list_orders_currency import (
    ListOrdersCurrency,
)
from ...models.list_orders_ordering import (
    ListOrdersOrdering,
)
from ...models.list_orders_status import ListOrdersStatus
from ...models.paginated_order_list import PaginatedOrderList
from ...models.problem import Problem
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    brand: ListOrdersBrand | Unset = UNSET,
    currency: ListOrdersCurrency | Unset = UNSET,
    cursor: str | Unset = UNSET,
    last4: str | Unset = UNSET,
    ordering: ListOrdersOrdering | Unset = "-placed_at",
    page_size: int | Unset = 100,
    placed_before: datetime.datetime | Unset = UNSET,
    placed_from: datetime.datetime | Unset = UNSET,
    status: ListOrdersStatus | Unset = UNSET,
    token: str | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    json_brand: str | Unset = UNSET
    if not isinstance(brand, Unset):
        json_brand = brand

    params["brand"] = json_brand

    json_currency: str | Unset = UNSET
    if not isinstance(currency, Unset):
        json_currency = currency

    params["currency"] = json_currency

    params["cursor"] = cursor

    params["last4"] = last4

    json_ordering: str | Unset = UNSET
    if not isinstance(ordering, Unset):
        json_ordering = ordering

    params["ordering"] = json_ordering

    params["page_size"] = page_size

    json_placed_before: str | Unset = UNSET
    if not isinstance(placed_before, Unset):
        json_placed_before = placed_before.isoformat()
    params["placed_before"] = json_placed_before

    json_placed_from: str | Unset = UNSET
    if not isinstance(placed_from, Unset):
        json_placed_from = placed_from.isoformat()
    params["placed_from"] = json_placed_from

    json_status: str | Unset = UNSET
    if not isinstance(status, Unset):
        json_status = status

    params["status"] = json_status

    params["token"] = token

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/v1/orders/",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> PaginatedOrderList | Problem | None:
    if response.status_code == 200:
        response_200 = PaginatedOrderList.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = Problem.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = Problem.from_dict(response.json())

        return response_401

    if response.status_code == 406:
        response_406 = Problem.from_dict(response.json())

        return response_406

    if response.status_code == 429:
        response_429 = Problem.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = Problem.from_dict(response.json())

        return response_500

    if response.status_code == 503:
        response_503 = Problem.from_dict(response.json())

        return response_503

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[PaginatedOrderList | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    brand: ListOrdersBrand | Unset = UNSET,
    currency: ListOrdersCurrency | Unset = UNSET,
    cursor: str | Unset = UNSET,
    last4: str | Unset = UNSET,
    ordering: ListOrdersOrdering | Unset = "-placed_at",
    page_size: int | Unset = 100,
    placed_before: datetime.datetime | Unset = UNSET,
    placed_from: datetime.datetime | Unset = UNSET,
    status: ListOrdersStatus | Unset = UNSET,
    token: str | Unset = UNSET,
) -> Response[PaginatedOrderList | Problem]:
    """List orders

     With the right `orders.view_order` all of them, else the account's own.

    The next page is at the address in `next`. Orders that are placed meanwhile move none from one page
    to another.

    Takes no right but a token of the API. Each request counts in the limit `view_order`.

    Args:
        brand (ListOrdersBrand | Unset):
        currency (ListOrdersCurrency | Unset):
        cursor (str | Unset):
        last4 (str | Unset):
        ordering (ListOrdersOrdering | Unset):  Default: '-placed_at'.
        page_size (int | Unset):  Default: 100.
        placed_before (datetime.datetime | Unset):
        placed_from (datetime.datetime | Unset):
        status (ListOrdersStatus | Unset):
        token (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[PaginatedOrderList | Problem]
    """

    kwargs = _get_kwargs(
        brand=brand,
        currency=currency,
        cursor=cursor,
        last4=last4,
        ordering=ordering,
        page_size=page_size,
        placed_before=placed_before,
        placed_from=placed_from,
        status=status,
        token=token,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    brand: ListOrdersBrand | Unset = UNSET,
    currency: ListOrdersCurrency | Unset = UNSET,
    cursor: str | Unset = UNSET,
    last4: str | Unset = UNSET,
    ordering: ListOrdersOrdering | Unset = "-placed_at",
    page_size: int | Unset = 100,
    placed_before: datetime.datetime | Unset = UNSET,
    placed_from: datetime.datetime | Unset = UNSET,
    status: ListOrdersStatus | Unset = UNSET,
    token: str | Unset = UNSET,
) -> PaginatedOrderList | Problem | None:
    """List orders

     With the right `orders.view_order` all of them, else the account's own.

    The next page is at the address in `next`. Orders that are placed meanwhile move none from one page
    to another.

    Takes no right but a token of the API. Each request counts in the limit `view_order`.

    Args:
        brand (ListOrdersBrand | Unset):
        currency (ListOrdersCurrency | Unset):
        cursor (str | Unset):
        last4 (str | Unset):
        ordering (ListOrdersOrdering | Unset):  Default: '-placed_at'.
        page_size (int | Unset):  Default: 100.
        placed_before (datetime.datetime | Unset):
        placed_from (datetime.datetime | Unset):
        status (ListOrdersStatus | Unset):
        token (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        PaginatedOrderList | Problem
    """

    return sync_detailed(
        client=client,
        brand=brand,
        currency=currency,
        cursor=cursor,
        last4=last4,
        ordering=ordering,
        page_size=page_size,
        placed_before=placed_before,
        placed_from=placed_from,
        status=status,
        token=token,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    brand: ListOrdersBrand | Unset = UNSET,
    currency: ListOrdersCurrency | Unset = UNSET,
    cursor: str | Unset = UNSET,
    last4: str | Unset = UNSET,
    ordering: ListOrdersOrdering | Unset = "-placed_at",
    page_size: int | Unset = 100,
    placed_before: datetime.datetime | Unset = UNSET,
    placed_from: datetime.datetime | Unset = UNSET,
    status: ListOrdersStatus | Unset = UNSET,
    token: str | Unset = UNSET,
) -> Response[PaginatedOrderList | Problem]:
    """List orders

     With the right `orders.view_order` all of them, else the account's own.

    The next page is at the address in `next`. Orders that are placed meanwhile move none from one page
    to another.

    Takes no right but a token of the API. Each request counts in the limit `view_order`.

    Args:
        brand (ListOrdersBrand | Unset):
        currency (ListOrdersCurrency | Unset):
        cursor (str | Unset):
        last4 (str | Unset):
        ordering (ListOrdersOrdering | Unset):  Default: '-placed_at'.
        page_size (int | Unset):  Default: 100.
        placed_before (datetime.datetime | Unset):
        placed_from (datetime.datetime | Unset):
        status (ListOrdersStatus | Unset):
        token (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[PaginatedOrderList | Problem]
    """

    kwargs = _get_kwargs(
        brand=brand,
        currency=currency,
        cursor=cursor,
        last4=last4,
        ordering=ordering,
        page_size=page_size,
        placed_before=placed_before,
        placed_from=placed_from,
        status=status,
        token=token,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    brand: ListOrdersBrand | Unset = UNSET,
    currency: ListOrdersCurrency | Unset = UNSET,
    cursor: str | Unset = UNSET,
    last4: str | Unset = UNSET,
    ordering: ListOrdersOrdering | Unset = "-placed_at",
    page_size: int | Unset = 100,
    placed_before: datetime.datetime | Unset = UNSET,
    placed_from: datetime.datetime | Unset = UNSET,
    status: ListOrdersStatus | Unset = UNSET,
    token: str | Unset = UNSET,
) -> PaginatedOrderList | Problem | None:
    """List orders

     With the right `orders.view_order` all of them, else the account's own.

    The next page is at the address in `next`. Orders that are placed meanwhile move none from one page
    to another.

    Takes no right but a token of the API. Each request counts in the limit `view_order`.

    Args:
        brand (ListOrdersBrand | Unset):
        currency (ListOrdersCurrency | Unset):
        cursor (str | Unset):
        last4 (str | Unset):
        ordering (ListOrdersOrdering | Unset):  Default: '-placed_at'.
        page_size (int | Unset):  Default: 100.
        placed_before (datetime.datetime | Unset):
        placed_from (datetime.datetime | Unset):
        status (ListOrdersStatus | Unset):
        token (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        PaginatedOrderList | Problem
    """

    return (
        await asyncio_detailed(
            client=client,
            brand=brand,
            currency=currency,
            cursor=cursor,
            last4=last4,
            ordering=ordering,
            page_size=page_size,
            placed_before=placed_before,
            placed_from=placed_from,
            status=status,
            token=token,
        )
    ).parsed
