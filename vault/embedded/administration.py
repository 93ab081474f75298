"""The operations of KMS that create, describe and change keys and aliases."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import time
import uuid
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.embedded import keyfile
from vault.embedded.keys import (
    ACCOUNT,
    ENCRYPTION,
    MAC,
    NONCE_BYTES,
    Key,
    alias_arn,
    find,
    require_enabled,
    require_not_pending,
    resolve,
)
from vault.embedded.wire import AWSError, Call, Operation, Shape, invalid

_MATERIAL_BYTES: Final = 32
_DAY_SECONDS: Final = 86_400
_ALIAS = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}", re.ASCII)
_SPECS: Final = {ENCRYPTION: "SYMMETRIC_DEFAULT", MAC: "HMAC_256"}
_ALGORITHMS: Final = {
    ENCRYPTION: {"EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"]},
    MAC: {"MacAlgorithms": ["HMAC_SHA_256"]},
}
_DEFAULT_POLICY: Final = {
    "Version": "2012-10-17",
    "Id": "key-default-1",
    "Statement": [
        {
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ],
}


def _save(call: Call, key: Key) -> None:
    call.connection.execute("UPDATE keys SET details = ? WHERE id = ?", (json.dumps(key.details), key.id))


def _metadata(key: Key) -> dict[str, Any]:
    shown = ("Description", "KeyUsage", "KeySpec", "CreationDate", "DeletionDate")
    return {
        "AWSAccountId": ACCOUNT,
        "KeyId": key.id,
        "Arn": key.arn,
        "Enabled": key.state == "Enabled",
        "KeyState": key.state,
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "MultiRegion": False,
        "CustomerMasterKeySpec": key.details["KeySpec"],
        **{name: key.details[name] for name in shown if name in key.details},
        **_ALGORITHMS[key.usage],
    }


def create_key(call: Call) -> dict[str, Any]:
    parameters = call.parameters
    usage = parameters.get("KeyUsage", ENCRYPTION)
    if parameters.get("KeySpec", _SPECS[ENCRYPTION]) != _SPECS[usage]:
        raise invalid("KeyUsage does not fit KeySpec.")
    key_id = str(uuid.uuid4())
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(_master_key(call)).encrypt(nonce, secrets.token_bytes(_MATERIAL_BYTES), key_id.encode())
    details = {
        "Description": parameters.get("Description", ""),
        "KeyUsage": usage,
        "KeySpec": _SPECS[usage],
        "CreationDate": time.time(),
        "Enabled": True,
        "Policy": _policy(parameters.get("Policy", json.dumps(_DEFAULT_POLICY))),
        "Tags": _tags(parameters.get("Tags", [])),
    }
    key = Key(key_id, call.region, nonce + sealed, details)
    call.connection.execute(
        "INSERT INTO keys (id, region, wrapped, details) VALUES (?, ?, ?, ?)",
        (key.id, key.region, key.wrapped, json.dumps(details)),
    )
    return {"KeyMetadata": _metadata(key)}


def _master_key(call: Call) -> bytes:
    # Only the first key brings a master key with it. A file lost later must not be replaced by one that opens nothing.
    if call.connection.execute("SELECT 1 FROM keys LIMIT 1").fetchone():
        return keyfile.load(call.directory)
    return keyfile.create(call.directory)


def _policy(text: str) -> str:
    try:
        is_document = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        is_document = False
    if not is_document:
        raise AWSError("MalformedPolicyDocumentException", "The policy is not a JSON document.")
    return text


def describe_key(call: Call) -> dict[str, Any]:
    return {"KeyMetadata": _metadata(resolve(call, call.parameters["KeyId"]))}


def enable_key(call: Call) -> dict[str, Any]:
    return _set_enabled(call, enabled=True)


def disable_key(call: Call) -> dict[str, Any]:
    return _set_enabled(call, enabled=False)


def _set_enabled(call: Call, *, enabled: bool) -> dict[str, Any]:
    key = find(call, call.parameters["KeyId"])
    require_not_pending(key)
    key.details["Enabled"] = enabled
    _save(call, key)
    return {}


def schedule_key_deletion(call: Call) -> dict[str, Any]:
    key = find(call, call.parameters["KeyId"])
    require_not_pending(key)
    days = call.parameters.get("PendingWindowInDays", 30)
    if not 7 <= days <= 30:  # noqa: PLR2004 - AWS's own limits
        raise invalid("PendingWindowInDays must be between 7 and 30.")
    # A cancelled deletion leaves the key disabled, as in KMS.
    key.details.update(DeletionDate=time.time() + days * _DAY_SECONDS, Enabled=False)
    _save(call, key)
    date = key.details["DeletionDate"]
    return {"KeyId": key.arn, "DeletionDate": date, "KeyState": key.state, "PendingWindowInDays": days}


def cancel_key_deletion(call: Call) -> dict[str, Any]:
    key = find(call, call.parameters["KeyId"])
    if not key.is_pending_deletion:
        raise AWSError("KMSInvalidStateException", "The key is not pending deletion.")
    del key.details["DeletionDate"]
    _save(call, key)
    return {"KeyId": key.arn}


def enable_key_rotation(call: Call) -> dict[str, Any]:
    """Record the setting, so that provisioning can set and verify it. The material is never rotated here."""
    key = _rotatable(call)
    require_not_pending(key)
    require_enabled(key)
    days = call.parameters.get("RotationPeriodInDays", 365)
    if not 90 <= days <= 2560:  # noqa: PLR2004 - AWS's own limits
        raise invalid("RotationPeriodInDays must be between 90 and 2560.")
    key.details["RotationPeriodInDays"] = days
    _save(call, key)
    return {}


def get_key_rotation_status(call: Call) -> dict[str, Any]:
    key = _rotatable(call)
    status: dict[str, Any] = {"KeyId": key.arn, "KeyRotationEnabled": False}
    if "RotationPeriodInDays" in key.details and not key.is_pending_deletion:
        status |= {"KeyRotationEnabled": True, "RotationPeriodInDays": key.details["RotationPeriodInDays"]}
    return status


def _rotatable(call: Call) -> Key:
    key = find(call, call.parameters["KeyId"])
    if key.usage != ENCRYPTION:
        raise AWSError("UnsupportedOperationException", "Keys of this KeySpec do not rotate.")
    return key


def put_key_policy(call: Call) -> dict[str, Any]:
    key = find(call, call.parameters["KeyId"])
    key.details["Policy"] = _policy(call.parameters["Policy"])
    _save(call, key)
    return {}


def get_key_policy(call: Call) -> dict[str, Any]:
    return {"Policy": find(call, call.parameters["KeyId"]).details["Policy"], "PolicyName": "default"}


def tag_resource(call: Call) -> dict[str, Any]:
    key = find(call, call.parameters["KeyId"])
    require_not_pending(key)
    key.details["Tags"].update(_tags(call.parameters["Tags"]))
    _save(call, key)
    return {}


def _tags(given: list[dict[str, str]]) -> dict[str, str]:
    if any(tag["TagKey"].startswith("aws:") for tag in given):
        raise AWSError("TagException", "Tags that begin with aws: are AWS's own.")
    return {tag["TagKey"]: tag["TagValue"] for tag in given}


def list_resource_tags(call: Call) -> dict[str, Any]:
    tags = find(call, call.parameters["KeyId"]).details["Tags"]
    return {"Tags": [{"TagKey": key, "TagValue": value} for key, value in tags.items()], "Truncated": False}


def create_alias(call: Call) -> dict[str, Any]:
    name = call.parameters["AliasName"]
    if not _ALIAS.fullmatch(name) or name.startswith("alias/aws/"):
        raise AWSError(
            "InvalidAliasNameException", "AliasName must begin with alias/ and may not begin with alias/aws/."
        )
    key = find(call, call.parameters["TargetKeyId"])
    require_not_pending(key)
    now = time.time()
    try:
        call.connection.execute("INSERT INTO aliases VALUES (?, ?, ?, ?, ?)", (call.region, name, key.id, now, now))
    except sqlite3.IntegrityError:
        raise AWSError("AlreadyExistsException", "The alias already exists.") from None
    return {}


def update_alias(call: Call) -> dict[str, Any]:
    name = call.parameters["AliasName"]
    key = find(call, call.parameters["TargetKeyId"])
    require_not_pending(key)
    # An alias moves between keys of one kind alone: its users would fail on any other.
    if resolve(call, name).usage != key.usage:
        raise invalid("The key behind the alias and the new key must have the same KeyUsage.")
    call.connection.execute(
        "UPDATE aliases SET key_id = ?, updated = ? WHERE region = ? AND name = ?",
        (key.id, time.time(), call.region, name),
    )
    return {}


def list_aliases(call: Call) -> dict[str, Any]:
    """All aliases of the region, or of one key, in one page."""
    only = find(call, call.parameters["KeyId"]).id if "KeyId" in call.parameters else None
    rows = call.connection.execute(
        "SELECT name, key_id, created, updated FROM aliases WHERE region = ? AND coalesce(key_id = ?, 1) ORDER BY name",
        (call.region, only),
    )
    aliases = [
        {
            "AliasName": name,
            "AliasArn": alias_arn(call, name),
            "TargetKeyId": key_id,
            "CreationDate": created,
            "LastUpdatedDate": updated,
        }
        for name, key_id, created, updated in rows
    ]
    return {"Aliases": aliases, "Truncated": False}


_BY_ID: Final = Shape(("KeyId",))
_ALIAS_SHAPE: Final = Shape(("AliasName", "TargetKeyId"))
_DEFAULT_NAME: Final = {"PolicyName": ("default",)}

OPERATIONS: Final[dict[str, Operation]] = {
    "CreateKey": Operation(
        create_key,
        Shape(
            (),
            ("Policy", "Description", "Tags", "BypassPolicyLockoutSafetyCheck"),
            {
                "KeyUsage": tuple(_SPECS),
                "KeySpec": tuple(_SPECS.values()),
                "Origin": ("AWS_KMS",),
                "MultiRegion": (False,),
            },
        ),
        writes=True,
    ),
    "DescribeKey": Operation(describe_key, _BY_ID),
    "EnableKey": Operation(enable_key, _BY_ID, writes=True),
    "DisableKey": Operation(disable_key, _BY_ID, writes=True),
    "ScheduleKeyDeletion": Operation(schedule_key_deletion, Shape(("KeyId",), ("PendingWindowInDays",)), writes=True),
    "CancelKeyDeletion": Operation(cancel_key_deletion, _BY_ID, writes=True),
    "EnableKeyRotation": Operation(enable_key_rotation, Shape(("KeyId",), ("RotationPeriodInDays",)), writes=True),
    "GetKeyRotationStatus": Operation(get_key_rotation_status, _BY_ID),
    "PutKeyPolicy": Operation(
        put_key_policy,
        Shape(("KeyId", "Policy"), ("BypassPolicyLockoutSafetyCheck",), _DEFAULT_NAME),
        writes=True,
    ),
    "GetKeyPolicy": Operation(get_key_policy, Shape(("KeyId",), (), _DEFAULT_NAME)),
    "TagResource": Operation(tag_resource, Shape(("KeyId", "Tags")), writes=True),
    "ListResourceTags": Operation(list_resource_tags, _BY_ID),
    "CreateAlias": Operation(create_alias, _ALIAS_SHAPE, writes=True),
    "UpdateAlias": Operation(update_alias, _ALIAS_SHAPE, writes=True),
    "ListAliases": Operation(list_aliases, Shape((), ("KeyId",))),
}
