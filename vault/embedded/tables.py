"""DynamoDB's tables: their keys, their settings, and the operations on them."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from vault.embedded import keys
from vault.embedded.values import Item, canonical_item, decode
from vault.embedded.wire import AWSError, Call, Operation, Shape, invalid

_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}", re.ASCII)
_KEY_TYPES: Final = frozenset({"S", "N", "B"})
_MAX_KEY_BYTES: Final = {"HASH": 2048, "RANGE": 1024}
_MAX_RECOVERY_DAYS: Final = 35
_MAX_LIST: Final = 100
# One more than the highest position: a position is the first 63 bits of a digest, as an SQLite integer is signed.
POSITIONS: Final = 1 << 63

_SSE: Final = Shape(("Enabled",), ("KMSMasterKeyId",), {"SSEType": ("KMS",)})
_RECOVERY: Final = Shape(("PointInTimeRecoveryEnabled",), ("RecoveryPeriodInDays",))


class ItemKey(NamedTuple):
    """Where an item lies, in the order of a scan: by the digest of its hash key, as in DynamoDB."""

    table_id: int
    position: int
    hash_key: bytes
    range_key: bytes


@dataclass(frozen=True, slots=True)
class Table:
    """A row of `tables`; `details` holds what the API calls a table description."""

    id: int
    name: str
    details: dict[str, Any]

    @property
    def key_names(self) -> list[str]:
        return [element["AttributeName"] for element in self.details["KeySchema"]]

    def key_of(self, item: Item) -> ItemKey:
        """The key of a canonical item. Raises a ValidationException if a part is missing, empty, or of another type."""
        types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in self._definitions}
        parts = [
            _key_part(item.get(element["AttributeName"]), types[element["AttributeName"]], element["KeyType"])
            for element in self.details["KeySchema"]
        ]
        digest = hashlib.sha256(parts[0]).digest()
        return ItemKey(self.id, int.from_bytes(digest[:8], "big") >> 1, parts[0], parts[1] if parts[1:] else b"")

    def key(self, attributes: Mapping[str, Any]) -> ItemKey:
        """The key given by exactly the attributes of the key schema."""
        if attributes.keys() != set(self.key_names):
            raise invalid("The provided key element does not match the schema")
        return self.key_of(canonical_item(attributes)[0])

    @property
    def _definitions(self) -> list[dict[str, str]]:
        definitions: list[dict[str, str]] = self.details["AttributeDefinitions"]
        return definitions


def _key_part(value: dict[str, Any] | None, kind: str, role: str) -> bytes:
    if value is None:
        raise invalid("One of the required keys was not given a value")
    if kind not in value:
        raise invalid("One or more parameter values were invalid: Type mismatch for key")
    part = decode(value)
    if not part:
        raise invalid("One or more parameter values are not valid. A key attribute cannot be empty.")
    if len(part) > _MAX_KEY_BYTES[role]:
        raise invalid("One or more parameter values were invalid: Size of a key has exceeded the maximum size limit")
    return part


def find(call: Call, name: str, *, missing: str = "ResourceNotFoundException") -> Table:
    """The table called `name` in the region of the call."""
    row = call.connection.execute(
        "SELECT id, name, details FROM tables WHERE region = ? AND name = ?", (call.region, name)
    ).fetchone()
    if row is None:
        raise AWSError(missing, "Requested resource not found")
    return Table(row[0], row[1], json.loads(row[2]))


def table_arn(call: Call, name: str) -> str:
    """The ARN of a table of this name, be there one or not."""
    return f"arn:aws:dynamodb:{call.region}:{keys.ACCOUNT}:table/{name}"


def _find_by_arn(call: Call) -> Table:
    prefix = table_arn(call, "")
    arn: str = call.parameters["ResourceArn"]
    if not arn.startswith(prefix):
        raise AWSError("ResourceNotFoundException", "Requested resource not found")
    return find(call, arn.removeprefix(prefix))


def _save(call: Call, table: Table) -> None:
    call.connection.execute("UPDATE tables SET details = ? WHERE id = ?", (json.dumps(table.details), table.id))


def _description(table: Table, **changes: Any) -> dict[str, Any]:
    private = {"Tags", "PointInTimeRecovery"}
    details = table.details | changes
    return {name: value for name, value in details.items() if name not in private and value is not None}


def create_table(call: Call) -> dict[str, Any]:
    parameters = call.parameters
    name = parameters["TableName"]
    if not _NAME.fullmatch(name):
        raise invalid("TableName must be 3 to 255 characters of a-z, A-Z, 0-9, underscore, hyphen and dot.")
    _check_key_schema(parameters["KeySchema"], parameters["AttributeDefinitions"])
    details = {
        "TableName": name,
        "TableArn": table_arn(call, name),
        "TableId": str(uuid.uuid4()),
        "TableStatus": "ACTIVE",
        "CreationDateTime": time.time(),
        "KeySchema": parameters["KeySchema"],
        "AttributeDefinitions": parameters["AttributeDefinitions"],
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
        "DeletionProtectionEnabled": parameters.get("DeletionProtectionEnabled", False),
        "Tags": {tag["Key"]: tag["Value"] for tag in parameters.get("Tags", [])},
    }
    table = Table(0, name, details | _encryption(call))
    try:
        call.connection.execute(
            "INSERT INTO tables (region, name, details) VALUES (?, ?, ?)",
            (call.region, name, json.dumps(table.details)),
        )
    except sqlite3.IntegrityError:
        raise AWSError("ResourceInUseException", "Table already exists") from None
    return {"TableDescription": _description(table)}


def _check_key_schema(schema: list[dict[str, str]], definitions: list[dict[str, str]]) -> None:
    if [element["KeyType"] for element in schema] not in (["HASH"], ["HASH", "RANGE"]):
        raise invalid("KeySchema must have one HASH key, and may have one RANGE key after it.")
    names = [element["AttributeName"] for element in schema]
    if len(set(names)) != len(names) or sorted(names) != sorted(each["AttributeName"] for each in definitions):
        raise invalid("AttributeDefinitions must define exactly the attributes of KeySchema.")
    if any(definition["AttributeType"] not in _KEY_TYPES for definition in definitions):
        raise invalid("AttributeType must be S, N or B.")


def _encryption(call: Call) -> dict[str, Any]:
    sse = call.parameters.get("SSESpecification", {"Enabled": False})
    _SSE.check(sse)
    if not sse["Enabled"]:
        return {"SSEDescription": None}
    if "KMSMasterKeyId" not in sse:
        # AWS takes the key that it manages for DynamoDB, which nobody else can use or change.
        managed = f"arn:aws:kms:{call.region}:{keys.ACCOUNT}:alias/aws/dynamodb"
        return {"SSEDescription": {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": managed}}
    try:
        arn = keys.resolve(call, sse["KMSMasterKeyId"]).arn
    except AWSError:
        raise invalid("KMSMasterKeyId names no key in this account and region.") from None
    return {"SSEDescription": {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": arn}}


def describe_table(call: Call) -> dict[str, Any]:
    table = find(call, call.parameters["TableName"])
    (count,) = call.connection.execute("SELECT count(*) FROM items WHERE table_id = ?", (table.id,)).fetchone()
    return {"Table": _description(table, ItemCount=count)}


def update_table(call: Call) -> dict[str, Any]:
    table = find(call, call.parameters["TableName"])
    protection = call.parameters.get("DeletionProtectionEnabled")
    if call.parameters.keys() == {"TableName"}:
        raise invalid("UpdateTable needs a setting to change.")
    if protection is not None:
        table.details["DeletionProtectionEnabled"] = protection
    if "SSESpecification" in call.parameters:
        table.details.update(_encryption(call))
    _save(call, table)
    return {"TableDescription": _description(table)}


def delete_table(call: Call) -> dict[str, Any]:
    table = find(call, call.parameters["TableName"])
    if table.details["DeletionProtectionEnabled"]:
        raise invalid("Resource cannot be deleted as it is currently protected against deletion.")
    call.connection.execute("DELETE FROM items WHERE table_id = ?", (table.id,))
    call.connection.execute("DELETE FROM tables WHERE id = ?", (table.id,))
    return {"TableDescription": _description(table, TableStatus="DELETING")}


def list_tables(call: Call) -> dict[str, Any]:
    limit = call.parameters.get("Limit", _MAX_LIST)
    if not 1 <= limit <= _MAX_LIST:
        raise invalid("Limit must be between 1 and 100.")
    rows = call.connection.execute(
        "SELECT name FROM tables WHERE region = ? AND name > ? ORDER BY name LIMIT ?",
        (call.region, call.parameters.get("ExclusiveStartTableName", ""), limit + 1),
    )
    names = [name for (name,) in rows]
    more = {"LastEvaluatedTableName": names[limit - 1]} if len(names) > limit else {}
    return {"TableNames": names[:limit], **more}


def describe_continuous_backups(call: Call) -> dict[str, Any]:
    return _backups(find(call, call.parameters["TableName"], missing="TableNotFoundException"))


def update_continuous_backups(call: Call) -> dict[str, Any]:
    """Record the setting, so that provisioning can set and verify it. There is no restore: back up the directory."""
    table = find(call, call.parameters["TableName"], missing="TableNotFoundException")
    recovery = call.parameters["PointInTimeRecoverySpecification"]
    _RECOVERY.check(recovery)
    if not 1 <= recovery.get("RecoveryPeriodInDays", _MAX_RECOVERY_DAYS) <= _MAX_RECOVERY_DAYS:
        raise invalid("RecoveryPeriodInDays must be between 1 and 35.")
    table.details["PointInTimeRecovery"] = recovery
    _save(call, table)
    return _backups(table)


def _backups(table: Table) -> dict[str, Any]:
    recovery = table.details.get("PointInTimeRecovery", {"PointInTimeRecoveryEnabled": False})
    description: dict[str, Any] = {"PointInTimeRecoveryStatus": "DISABLED"}
    if recovery["PointInTimeRecoveryEnabled"]:
        days = recovery.get("RecoveryPeriodInDays", _MAX_RECOVERY_DAYS)
        description = {"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": days}
    return {
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": description,
        }
    }


def tag_resource(call: Call) -> dict[str, Any]:
    table = _find_by_arn(call)
    table.details["Tags"].update({tag["Key"]: tag["Value"] for tag in call.parameters["Tags"]})
    _save(call, table)
    return {}


def list_tags_of_resource(call: Call) -> dict[str, Any]:
    table = _find_by_arn(call)
    return {"Tags": [{"Key": key, "Value": value} for key, value in table.details["Tags"].items()]}


OPERATIONS: Final[dict[str, Operation]] = {
    "CreateTable": Operation(
        create_table,
        Shape(
            ("TableName", "KeySchema", "AttributeDefinitions", "BillingMode"),
            ("DeletionProtectionEnabled", "SSESpecification", "Tags"),
            {"BillingMode": ("PAY_PER_REQUEST",), "TableClass": ("STANDARD",)},
        ),
        writes=True,
    ),
    "DescribeTable": Operation(describe_table, Shape(("TableName",))),
    "UpdateTable": Operation(
        update_table,
        Shape(("TableName",), ("DeletionProtectionEnabled", "SSESpecification"), {"BillingMode": ("PAY_PER_REQUEST",)}),
        writes=True,
    ),
    "DeleteTable": Operation(delete_table, Shape(("TableName",)), writes=True),
    "ListTables": Operation(list_tables, Shape((), ("Limit", "ExclusiveStartTableName"))),
    "DescribeContinuousBackups": Operation(describe_continuous_backups, Shape(("TableName",))),
    "UpdateContinuousBackups": Operation(
        update_continuous_backups, Shape(("TableName", "PointInTimeRecoverySpecification")), writes=True
    ),
    "TagResource": Operation(tag_resource, Shape(("ResourceArn", "Tags")), writes=True),
    "ListTagsOfResource": Operation(list_tags_of_resource, Shape(("ResourceArn",))),
}
