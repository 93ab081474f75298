"""DynamoDB's items: put, get, delete, batches and scans."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vault.embedded import tables
from vault.embedded.expressions import Condition, compile_condition
from vault.embedded.tables import POSITIONS, ItemKey
from vault.embedded.values import Item, canonical_item
from vault.embedded.wire import AWSError, Call, Operation, Shape, invalid

_MAX_BATCH_GET: Final = 100
_MAX_BATCH_WRITE: Final = 25
_MAX_BATCH_GET_BYTES: Final = 16 * 1024 * 1024
_MAX_PAGE_BYTES: Final = 1024 * 1024
_MAX_SEGMENTS: Final = 1_000_000
FAILED: Final = "The conditional request failed"

EXPRESSION: Final = ("ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues")
_Choices = dict[str, Collection[object]]

_OLD: Final = ("NONE", "ALL_OLD")
ON_FAILURE: Final[_Choices] = {"ReturnValuesOnConditionCheckFailure": _OLD}
NO_METRICS: Final[_Choices] = {"ReturnConsumedCapacity": ("NONE",), "ReturnItemCollectionMetrics": ("NONE",)}
_RETURNS: Final[_Choices] = {"ReturnValues": _OLD, **ON_FAILURE}
_BATCH_KEYS: Final = Shape(("Keys",), ("ConsistentRead",))


@dataclass(frozen=True, slots=True)
class Change:
    """What one write does to one item, if its condition holds. `item` is the new state, None to remove it."""

    key: ItemKey
    item: Item | None
    size: int
    condition: Condition
    checks_only: bool = False
    returns_old_on_failure: bool = False

    def failure(self, old: Item | None) -> dict[str, Any] | None:
        """None if the condition holds for the stored item, else what the caller asked to be told."""
        if self.condition(old or {}):
            return None
        return {"Item": old} if old and self.returns_old_on_failure else {}

    def apply(self, call: Call) -> None:
        if self.checks_only:
            return
        if self.item is None:
            call.connection.execute(
                "DELETE FROM items WHERE table_id = ? AND position = ? AND hash_key = ? AND range_key = ?", self.key
            )
        else:
            call.connection.execute(
                "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?)",
                (*self.key, json.dumps(self.item, separators=(",", ":"))),
            )


def put(call: Call, parameters: Mapping[str, Any]) -> Change:
    """The change of a PutItem, a PutRequest or a Put."""
    item, size = canonical_item(parameters["Item"])
    key = tables.find(call, parameters["TableName"]).key_of(item)
    return Change(key, item, size, compile_condition(parameters), returns_old_on_failure=_returns_old(parameters))


def delete(call: Call, parameters: Mapping[str, Any], *, checks_only: bool = False) -> Change:
    """The change of a DeleteItem, a DeleteRequest or a Delete."""
    key = tables.find(call, parameters["TableName"]).key(parameters["Key"])
    return Change(key, None, 0, compile_condition(parameters), checks_only, _returns_old(parameters))


def check(call: Call, parameters: Mapping[str, Any]) -> Change:
    """The change of a ConditionCheck: none, if its condition holds."""
    return delete(call, parameters, checks_only=True)


def _returns_old(parameters: Mapping[str, Any]) -> bool:
    return parameters.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"


def _text(call: Call, key: ItemKey) -> str | None:
    row = call.connection.execute(
        "SELECT item FROM items WHERE table_id = ? AND position = ? AND hash_key = ? AND range_key = ?", key
    ).fetchone()
    return None if row is None else str(row[0])


def read(call: Call, key: ItemKey) -> Item | None:
    """The item stored under `key`."""
    text = _text(call, key)
    return None if text is None else json.loads(text)


def put_item(call: Call) -> dict[str, Any]:
    return _write_one(call, put(call, call.parameters))


def delete_item(call: Call) -> dict[str, Any]:
    return _write_one(call, delete(call, call.parameters))


def _write_one(call: Call, change: Change) -> dict[str, Any]:
    old = read(call, change.key)
    failure = change.failure(old)
    if failure is not None:
        raise AWSError("ConditionalCheckFailedException", FAILED, extra=failure)
    change.apply(call)
    return {"Attributes": old} if old and call.parameters.get("ReturnValues") == "ALL_OLD" else {}


def get_item(call: Call) -> dict[str, Any]:
    key = tables.find(call, call.parameters["TableName"]).key(call.parameters["Key"])
    item = read(call, key)
    return {} if item is None else {"Item": item}


def batch_get_item(call: Call) -> dict[str, Any]:
    requests = call.parameters["RequestItems"]
    wanted: list[tuple[str, dict[str, Any], ItemKey]] = []
    for name, request in requests.items():
        _BATCH_KEYS.check(request)
        table = tables.find(call, name)
        wanted += [(name, attributes, table.key(attributes)) for attributes in request["Keys"]]
    _check_batch([key for _, _, key in wanted], _MAX_BATCH_GET)
    found: dict[str, list[Item]] = {name: [] for name in requests}
    left: dict[str, dict[str, Any]] = {}
    size = 0
    for name, attributes, key in wanted:
        text = _text(call, key) if size < _MAX_BATCH_GET_BYTES else None
        if size >= _MAX_BATCH_GET_BYTES:
            left.setdefault(name, {**requests[name], "Keys": []})["Keys"].append(attributes)
        elif text is not None:
            size += len(text)
            found[name].append(json.loads(text))
    return {"Responses": found, "UnprocessedKeys": left}


def batch_write_item(call: Call) -> dict[str, Any]:
    changes = [
        _batch_change(call, name, request)
        for name, requests in call.parameters["RequestItems"].items()
        for request in requests
    ]
    _check_batch([change.key for change in changes], _MAX_BATCH_WRITE)
    for change in changes:
        change.apply(call)
    return {"UnprocessedItems": {}}


def _batch_change(call: Call, name: str, request: Mapping[str, Any]) -> Change:
    if request.keys() == {"PutRequest"}:
        return put(call, {"TableName": name, "Item": request["PutRequest"]["Item"]})
    if request.keys() == {"DeleteRequest"}:
        return delete(call, {"TableName": name, "Key": request["DeleteRequest"]["Key"]})
    raise invalid("Each request of a batch must be one PutRequest or one DeleteRequest.")


def _check_batch(keys: list[ItemKey], limit: int) -> None:
    if not 1 <= len(keys) <= limit:
        raise invalid("Too few or too many items requested for one batch")
    if len(set(keys)) != len(keys):
        raise invalid("Provided list of item keys contains duplicates")


def scan(call: Call) -> dict[str, Any]:
    """One page of a table or segment. As in DynamoDB a full page names its last key, even if nothing comes after it."""
    table = tables.find(call, call.parameters["TableName"])
    low, high = _segment(call.parameters)
    start = ItemKey(table.id, low, b"", b"")
    if "ExclusiveStartKey" in call.parameters:
        start = table.key(call.parameters["ExclusiveStartKey"])
        if not low <= start.position < high:
            raise invalid("The provided starting key is outside the segment")
    limit = call.parameters.get("Limit")
    if limit is not None and limit < 1:
        raise invalid("Limit must be at least 1.")
    rows = call.connection.execute(
        "SELECT item FROM items WHERE table_id = ? AND (position, hash_key, range_key) > (?, ?, ?) AND position <= ?"
        " ORDER BY position, hash_key, range_key",
        (*start, high - 1),
    )
    found: list[Item] = []
    size = 0
    for (text,) in rows:
        found.append(json.loads(text))
        size += len(text)
        if len(found) == limit or size >= _MAX_PAGE_BYTES:
            last = {name: found[-1][name] for name in table.key_names}
            return _page(found) | {"LastEvaluatedKey": last}
    return _page(found)


def _page(found: list[Item]) -> dict[str, Any]:
    return {"Items": found, "Count": len(found), "ScannedCount": len(found)}


def _segment(parameters: Mapping[str, Any]) -> tuple[int, int]:
    """The range of positions that a segment owns: segments are ranges, so that every item lies in exactly one."""
    if ("Segment" in parameters) != ("TotalSegments" in parameters):
        raise invalid("Segment and TotalSegments must be given together.")
    segment, total = parameters.get("Segment", 0), parameters.get("TotalSegments", 1)
    if not 1 <= total <= _MAX_SEGMENTS or not 0 <= segment < total:
        raise invalid("Segment must be less than TotalSegments, and TotalSegments between 1 and 1000000.")
    return POSITIONS * segment // total, POSITIONS * (segment + 1) // total


OPERATIONS: Final[dict[str, Operation]] = {
    "PutItem": Operation(
        put_item,
        Shape(("TableName", "Item"), EXPRESSION, _RETURNS | NO_METRICS),
        writes=True,
    ),
    "DeleteItem": Operation(
        delete_item,
        Shape(("TableName", "Key"), EXPRESSION, _RETURNS | NO_METRICS),
        writes=True,
    ),
    "GetItem": Operation(
        get_item, Shape(("TableName", "Key"), ("ConsistentRead",), {"ReturnConsumedCapacity": ("NONE",)})
    ),
    "BatchGetItem": Operation(batch_get_item, Shape(("RequestItems",), (), {"ReturnConsumedCapacity": ("NONE",)})),
    "BatchWriteItem": Operation(batch_write_item, Shape(("RequestItems",), (), NO_METRICS), writes=True),
    "Scan": Operation(
        scan,
        Shape(
            ("TableName",),
            ("Limit", "ExclusiveStartKey", "Segment", "TotalSegments", "ConsistentRead"),
            {"ReturnConsumedCapacity": ("NONE",), "Select": ("ALL_ATTRIBUTES",)},
        ),
    ),
}
