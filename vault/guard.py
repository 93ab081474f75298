"""The guard on the wire: nothing readable leaves for AWS, whoever built the request."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from vault.exceptions import PlaintextRefused
from vault.pan import MIN_DIGITS
from vault.redaction import contains_pan

# Attributes of the two kinds of sealed item and of the wrapped fingerprint key. Kept here as literals on purpose:
# the guard must not follow a mistake in the module that it guards.
_CARD: Final = frozenset(
    {"token", "schema_version", "created_at", "item_version", "fingerprint", "payload"}
    | {"*amzn-ddb-map-sig*", "*amzn-ddb-map-desc*"}
)
_FINGERPRINT: Final = _CARD - {"item_version", "fingerprint"}
_WRAPPED_KEY: Final = frozenset({"token", "schema_version", "created_at", "wrapped_key"})
_AUDIT_SEAL: Final = frozenset({"token", "schema_version", "created_at", "seal", "mac"})

# What is spoken to in nothing else.
_IN_JSON: Final = frozenset({"dynamodb", "kms"})
_AES_BLOCK: Final = 16
# The texts, with their quotation marks, and the numbers of JSON (RFC 8259), which must be valid.
_NUMBER: Final = re.compile(r"[-+.0-9eE]{2,}")
_TEXT: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|' + _NUMBER.pattern)
# A token and a fingerprint, in which redaction sees no number: a UUID, and a digest. There are three for each card.
_NAME: Final = re.compile(
    r"tok1_[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|fp[0-9]{1,9}_(?=[0-9]*[a-f])[0-9a-f]{64}", re.ASCII
)
_READS: Final = frozenset(
    {
        "GetItem",
        "BatchGetItem",
        "Scan",
        "DescribeTable",
        "DescribeContinuousBackups",
        "ListTables",
        "ListTagsOfResource",
    }
)
_TABLE_CHANGES: Final = frozenset({"CreateTable", "UpdateTable", "UpdateContinuousBackups", "TagResource"})


def _puts(operation: str, body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The items that a request would write. Raises `PlaintextRefused` for a way of writing that is not known."""
    if operation == "PutItem":
        yield body["Item"]
    elif operation == "TransactWriteItems":
        for action in body["TransactItems"]:
            if action.keys() - {"Put", "Delete", "ConditionCheck"}:
                raise PlaintextRefused
            if "Put" in action:
                yield action["Put"]["Item"]
    elif operation == "BatchWriteItem":
        for requests in body["RequestItems"].values():
            yield from (request["PutRequest"]["Item"] for request in requests if "PutRequest" in request)
    elif operation != "DeleteItem" and operation not in _READS | _TABLE_CHANGES:
        raise PlaintextRefused


def _is_sealed(item: Mapping[str, Any]) -> bool:
    if item.keys() == _WRAPPED_KEY:
        return bool(item["wrapped_key"].keys() == {"B"})
    if item.keys() == _AUDIT_SEAL:
        return bool(item["seal"].keys() == item["mac"].keys() == {"B"})
    return item.keys() in (_CARD, _FINGERPRINT) and item["payload"].keys() == {"B"} and _is_ciphertext(item["payload"])


def _is_ciphertext(payload: Mapping[str, str]) -> bool:
    """True for what AES-CBC gives: whole blocks behind the block of the initialization vector."""
    size = len(base64.b64decode(payload["B"]))
    return size > _AES_BLOCK and size % _AES_BLOCK == 0


def _texts(body: str) -> set[str]:
    """Every name, text and number in a request that is long enough for a card number, however deep.

    Each once: of a hundred items most texts are names, and those of the next item. They are read off the JSON itself,
    which takes a third of the time that walking through what it says would take.
    """
    if "\\" in body:
        found = {str(json.loads(text)) if "\\" in text else text.strip('"') for text in set(_TEXT.findall(body))}
    else:
        # No text has a quotation mark in it: what stands behind an odd one is a text, behind an even one is none.
        pieces = body.split('"')
        found = {*pieces[1::2], *_NUMBER.findall(" ".join({*pieces[::2]}))}
    return {each for each in found if len(each) >= MIN_DIGITS}


def _decoded(text: str) -> str:
    """What is readable behind base64: empty for ciphertext, which has a digit in 26 bytes and not a dozen together."""
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        return ""
    digits = len(content) - len(content.translate(None, b"0123456789"))
    return content.decode("ascii", errors="replace") if digits >= MIN_DIGITS else ""


def refuse_plaintext(**event: Any) -> None:
    """Stop a request that is about to carry a readable card, whoever built it.

    The AWS client's own EncryptedClient passes transactions and PartiQL through in plaintext; so would any code that
    forgot to seal. This looks at the bytes that would be sent, after every layer above has had its say.
    """
    model = event["model"]
    service = model.service_model.service_name
    body = event["params"].get("body") or b"{}"
    # A form, which is encoded later. STS takes one, and credentials of a role come from there through the same session.
    if isinstance(body, dict) and service not in _IN_JSON:
        body = json.dumps(body)
    try:
        text = body if isinstance(body, str) else body.decode()
        body = json.loads(text)
    except (AttributeError, ValueError):
        # What cannot be read cannot be let through.
        raise PlaintextRefused from None
    # Text by text and not the body at once: half the time, and nothing is mistaken for one number across two values.
    for each in _texts(text):
        if not _NAME.fullmatch(each) and (contains_pan(each) or ((plain := _decoded(each)) and contains_pan(plain))):
            raise PlaintextRefused
    if service == "dynamodb" and not all(map(_is_sealed, _puts(model.name, body))):
        raise PlaintextRefused
