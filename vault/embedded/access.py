"""Which rights an operation of the engine needs, and who has them: what AWS asks IAM before it does anything.

Key policies are not asked. An access key names its role and proves nothing: signatures are not verified.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

from vault.embedded import keys, tables
from vault.embedded.iam import Policy, Request, is_allowed
from vault.embedded.sealing import named_key
from vault.embedded.wire import AWSError, Call

logger = logging.getLogger(__name__)

# As they stand in the actions of policies.
DYNAMODB: Final = "dynamodb"
KMS: Final = "kms"

_Needs: TypeAlias = Callable[[str, Call], Iterator[Request]]
_Context: TypeAlias = dict[str, list[str]]


class RolesRefused(Exception):
    """The file of roles is not a JSON object of lists of policies, by access key."""


class Roles:
    """The policies of each access key."""

    def __init__(self, policies: Mapping[str, Sequence[Policy]]) -> None:
        self._policies = policies

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises `RolesRefused`, and `OSError` for a file that cannot be read."""
        try:
            policies = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            raise RolesRefused from None
        if not isinstance(policies, dict) or not all(map(_is_list_of_policies, policies.values())):
            raise RolesRefused
        return cls(policies)

    def require(self, operation: str, call: Call) -> None:
        """Return if the role of the call may do all that the operation is made of, as `DynamoDB.Scan`.

        Raises `AWSError` as AWS does: for an access key that nobody has, and for what a role may not.
        """
        policies = self._policies.get(call.access_key)
        if policies is None:
            raise AWSError("UnrecognizedClientException", "The security token included in the request is invalid.")
        needs = _NEEDS.get(operation)
        if needs is None:
            # Nobody may do what nothing is known of.
            raise _denied()
        for request in needs(operation, call):
            verdict = is_allowed(policies, request)
            # Action and role alone: a resource or a condition may name a token.
            logger.info("%s %s %s", call.access_key, "may" if verdict else "may not", request.action)
            if not verdict:
                raise _denied()


def _is_list_of_policies(given: object) -> bool:
    return isinstance(given, list) and all(isinstance(each, dict) and "Statement" in each for each in given)


def _denied() -> AWSError:
    return AWSError("AccessDeniedException", "The role is not authorized to perform this action.")


# --- KMS --------------------------------------------------------------------------------------------------------------


def _tags(prefix: str, tags: Mapping[str, str]) -> _Context:
    return {f"aws:{prefix}/{name.lower()}": [value] for name, value in tags.items()}


def _requested_tags(call: Call) -> _Context:
    given = {tag["TagKey"]: tag["TagValue"] for tag in call.parameters.get("Tags", [])}
    return _tags("requesttag", given) | ({"aws:tagkeys": list(given)} if given else {})


def _encryption_context(call: Call) -> _Context:
    given = call.parameters.get("EncryptionContext", {})
    each = {f"kms:encryptioncontext:{name.lower()}": [value] for name, value in given.items()}
    return each | ({"kms:encryptioncontextkeys": list(given)} if given else {})


def _key(call: Call, name: str) -> Iterator[tuple[str, _Context]]:
    """The resource that a key, named in one of the ways of KMS, is, and its tags; nothing if there is no such key.

    What names no key is answered as such, whoever asks.
    """
    try:
        key = keys.resolve(call, name)
    except AWSError:
        return
    yield key.arn, _tags("resourcetag", key.details["Tags"])


def _of_key(operation: str, call: Call) -> Iterator[Request]:
    for arn, context in _key(call, call.parameters["KeyId"]):
        yield Request(operation, arn, context | _encryption_context(call) | _requested_tags(call))


def _of_ciphertext(operation: str, call: Call) -> Iterator[Request]:
    # Without a KeyId it is the key that the ciphertext names.
    name = call.parameters.get("KeyId") or named_key(call)
    for arn, context in _key(call, name):
        yield Request(operation, arn, context | _encryption_context(call))


def _of_new_key(operation: str, call: Call) -> Iterator[Request]:
    tags = _requested_tags(call)
    yield Request(operation, "*", tags)
    if tags:
        # Tags at birth need the right to tag as well.
        yield Request("kms:TagResource", f"{keys.alias_arn(call, 'key/')}new", tags)


def _of_alias(operation: str, call: Call) -> Iterator[Request]:
    """An alias is moved by who may move it, away from the key of before, and to the new one."""
    alias = call.parameters["AliasName"]
    yield Request(operation, keys.alias_arn(call, alias))
    for name in (alias, call.parameters["TargetKeyId"]):
        for arn, context in _key(call, name):
            yield Request(operation, arn, context)


def _of_everything(operation: str, call: Call) -> Iterator[Request]:
    yield Request(operation, "*")


# --- DynamoDB ---------------------------------------------------------------------------------------------------------


def _of_table(operation: str, call: Call) -> Iterator[Request]:
    yield Request(operation, tables.table_arn(call, call.parameters["TableName"]))


def _of_arn(operation: str, call: Call) -> Iterator[Request]:
    yield Request(operation, call.parameters["ResourceArn"])


def _items(operation: str, call: Call, table: str, items: Sequence[Mapping[str, Any]]) -> Request:
    """What is done to items of a table, by the values of their partition key."""
    try:
        name = tables.find(call, table).key_names[0]
    except AWSError:
        # There is no such table, which is what the operation answers.
        return Request(operation, tables.table_arn(call, table))
    values = [str(value) for item in items for value in item.get(name, {}).values()]
    return Request(operation, tables.table_arn(call, table), {"dynamodb:leadingkeys": values})


def _named(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """What names an item: itself where it is written, else its key."""
    named: Mapping[str, Any] = part["Item"] if "Item" in part else part["Key"]
    return named


def _of_item(operation: str, call: Call) -> Iterator[Request]:
    yield _items(operation, call, call.parameters["TableName"], [_named(call.parameters)])


def _of_read_batch(operation: str, call: Call) -> Iterator[Request]:
    for table, request in call.parameters["RequestItems"].items():
        yield _items(operation, call, table, request["Keys"])


def _of_written_batch(operation: str, call: Call) -> Iterator[Request]:
    for table, requests in call.parameters["RequestItems"].items():
        parts = [part for request in requests for part in request.values()]
        yield _items(operation, call, table, [_named(part) for part in parts])


_PARTS: Final = {
    "Put": "dynamodb:PutItem",
    "Delete": "dynamodb:DeleteItem",
    "Update": "dynamodb:UpdateItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}


def _of_transaction(operation: str, call: Call) -> Iterator[Request]:
    """A transaction has no right of its own: its parts have theirs."""
    for action in call.parameters["TransactItems"]:
        for name, part in action.items():
            yield _items(_PARTS[name], call, part["TableName"], [_named(part)])


def _by_action(service: str, needs: _Needs, *names: str) -> dict[str, _Needs]:
    return {f"{service}:{name}": needs for name in names}


_NEEDS: Final[dict[str, _Needs]] = {
    **_by_action(
        KMS,
        _of_key,
        *("DescribeKey", "EnableKey", "DisableKey", "ScheduleKeyDeletion", "CancelKeyDeletion", "EnableKeyRotation"),
        *("GetKeyRotationStatus", "PutKeyPolicy", "GetKeyPolicy", "TagResource", "ListResourceTags"),
        *("GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "Encrypt", "GenerateMac", "VerifyMac"),
    ),
    **_by_action(KMS, _of_ciphertext, "Decrypt"),
    **_by_action(KMS, _of_new_key, "CreateKey"),
    **_by_action(KMS, _of_alias, "CreateAlias", "UpdateAlias"),
    **_by_action(KMS, _of_everything, "ListAliases"),
    **_by_action(
        DYNAMODB,
        _of_table,
        *("CreateTable", "DescribeTable", "UpdateTable", "DeleteTable", "Scan"),
        *("DescribeContinuousBackups", "UpdateContinuousBackups"),
    ),
    **_by_action(DYNAMODB, _of_everything, "ListTables"),
    **_by_action(DYNAMODB, _of_arn, "TagResource", "ListTagsOfResource"),
    **_by_action(DYNAMODB, _of_item, "GetItem", "PutItem", "DeleteItem"),
    **_by_action(DYNAMODB, _of_read_batch, "BatchGetItem"),
    **_by_action(DYNAMODB, _of_written_batch, "BatchWriteItem"),
    **_by_action(DYNAMODB, _of_transaction, "TransactWriteItems"),
}
