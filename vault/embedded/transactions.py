"""DynamoDB's TransactWriteItems: up to a hundred items, all or none, once per token."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from vault.embedded.items import EXPRESSION, FAILED, NO_METRICS, ON_FAILURE, Change, check, delete, put, read
from vault.embedded.wire import AWSError, Call, Operation, Shape, invalid

_MAX_ACTIONS: Final = 100
_MAX_BYTES: Final = 4 * 1024 * 1024
_IDEMPOTENCY_SECONDS: Final = 600

_ACTIONS: Final[dict[str, tuple[Callable[[Call, Mapping[str, Any]], Change], Shape]]] = {
    "Put": (put, Shape(("TableName", "Item"), EXPRESSION, ON_FAILURE)),
    "Delete": (delete, Shape(("TableName", "Key"), EXPRESSION, ON_FAILURE)),
    "ConditionCheck": (check, Shape(("TableName", "Key", "ConditionExpression"), EXPRESSION, ON_FAILURE)),
}


def transact_write_items(call: Call) -> dict[str, Any]:
    """Write all items or none. A token already used for the same request within ten minutes writes nothing again."""
    changes = [_action(call, entry) for entry in call.parameters["TransactItems"]]
    if not 1 <= len(changes) <= _MAX_ACTIONS:
        raise invalid("TransactItems must have between 1 and 100 actions.")
    if len({change.key for change in changes}) != len(changes):
        raise invalid("Transaction request cannot include multiple operations on one item")
    if sum(change.size for change in changes) > _MAX_BYTES:
        raise invalid("The items of a transaction have exceeded the maximum allowed size")
    if _is_repeated(call):
        return {}
    _raise_cancellation([change.failure(read(call, change.key)) for change in changes])
    for change in changes:
        change.apply(call)
    return {}


def _action(call: Call, entry: Mapping[str, Any]) -> Change:
    if len(entry) != 1:
        raise invalid("TransactItems can only contain one of Put, Delete or ConditionCheck in each action.")
    ((name, parameters),) = entry.items()
    if name not in _ACTIONS:
        raise invalid(f"{name} is not supported by the embedded engine.")
    build, shape = _ACTIONS[name]
    shape.check(parameters)
    return build(call, parameters)


def _is_repeated(call: Call) -> bool:
    token = call.parameters.get("ClientRequestToken")
    if token is None:
        return False
    now = time.time()
    digest = hashlib.sha256(json.dumps(call.parameters, sort_keys=True).encode()).digest()
    call.connection.execute("DELETE FROM requests WHERE completed <= ?", (now - _IDEMPOTENCY_SECONDS,))
    row = call.connection.execute(
        "SELECT digest FROM requests WHERE region = ? AND token = ?", (call.region, token)
    ).fetchone()
    if row is None:
        # A transaction that is cancelled later undoes this row too, so that its token stays free.
        call.connection.execute("INSERT INTO requests VALUES (?, ?, ?, ?)", (call.region, token, digest, now))
    elif row[0] != digest:
        raise AWSError("IdempotentParameterMismatchException", "The token was used for another request.")
    return row is not None


def _raise_cancellation(failures: list[dict[str, Any] | None]) -> None:
    if all(failure is None for failure in failures):
        return
    reasons = [
        {"Code": "None"} if failure is None else {"Code": "ConditionalCheckFailed", "Message": FAILED, **failure}
        for failure in failures
    ]
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    raise AWSError("TransactionCanceledException", message, extra={"CancellationReasons": reasons})


OPERATIONS: Final[dict[str, Operation]] = {
    "TransactWriteItems": Operation(
        transact_write_items, Shape(("TransactItems",), ("ClientRequestToken",), NO_METRICS), writes=True
    ),
}
