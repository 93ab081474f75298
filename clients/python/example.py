"""A shop that takes an order once, however often it has to ask. mypy --strict passes, and a test runs it."""

from __future__ import annotations

import time
import uuid
from typing import Final

import httpx
from billing_client import AuthenticatedClient
from billing_client.api.orders import place_order
from billing_client.models import NewOrderRequest, Order, Problem

_ATTEMPTS: Final = 5
_SECONDS: Final = 1.0
_AGAIN: Final = frozenset({"idempotency_in_progress", "throttled", "vault_unavailable", "database_unavailable"})


class OrderRefusedError(Exception):
    """The order was not placed, and will not be if it is sent again. `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def connect(base_url: str, token: str) -> AuthenticatedClient:
    """A client of the API, for an account with this token."""
    return AuthenticatedClient(base_url=base_url, token=token, prefix="Token", raise_on_unexpected_status=True)


def buy(client: AuthenticatedClient, order: NewOrderRequest) -> Order:
    """Place an order once: each attempt has the same key. Raises `OrderRefusedError` or `TimeoutError`."""
    key = str(uuid.uuid4())
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_SECONDS)
        try:
            answer = place_order.sync(client=client, body=order, idempotency_key=key)
        except httpx.TransportError:
            # Whether it was carried out is not known. The key makes it safe to ask again.
            continue
        if isinstance(answer, Order):
            return answer
        if isinstance(answer, Problem) and answer.code not in _AGAIN:
            raise OrderRefusedError(answer)
    raise TimeoutError
