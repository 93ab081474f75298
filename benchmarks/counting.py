"""What goes over the wire to AWS, counted in calls and in the units that DynamoDB bills."""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import botocore.session


@dataclass
class Counts:
    """Calls by operation, and units as DynamoDB bills them: a write per KB, a read per 4 KB, a transaction twice.

    A deletion is billed by the size of what it deletes, which is not on the wire: it counts as one KB, which the items
    of the vault are below. So does a read count as one unit.
    """

    calls: Counter[str] = field(default_factory=Counter)
    read_units: int = 0
    write_units: int = 0
    #: Bytes of the items written, by the form of their key: a token or a fingerprint.
    item_bytes: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)

    def listen(self, session: botocore.session.Session) -> None:
        """Count what this session sends, its retries included. Call it before the session's clients are made."""
        session.get_component("event_emitter").register_first("before-send", self._count)

    def forget(self) -> None:
        """Begin anew."""
        for counter in (self.calls, self.item_bytes, self.items):
            counter.clear()
        self.read_units = self.write_units = 0

    @property
    def kms(self) -> int:
        return sum(number for name, number in self.calls.items() if name in _OF_KMS)

    @property
    def dynamodb(self) -> int:
        return sum(self.calls.values()) - self.kms

    def _count(self, request: Any, event_name: str, **_: Any) -> None:
        operation = event_name.rpartition(".")[2]
        self.calls[operation] += 1
        if operation in _OF_KMS:
            return
        parameters = json.loads(request.body)
        match operation:
            case "GetItem":
                self.read_units += 1
            case "BatchGetItem":
                self.read_units += sum(len(each["Keys"]) for each in parameters["RequestItems"].values())
            case "PutItem":
                self._write(parameters["Item"], times=1)
            case "DeleteItem":
                self.write_units += 1
            case "TransactWriteItems":
                for action in parameters["TransactItems"]:
                    ((kind, what),) = action.items()
                    if kind == "Put":
                        self._write(what["Item"], times=2)
                    else:
                        self.write_units += 2
            case _:
                raise ValueError(operation)

    def _write(self, item: Mapping[str, Any], *, times: int) -> None:
        size = item_size(item)
        self.write_units += times * math.ceil(size / 1024)
        kind = "card" if "fingerprint" in item else "fingerprint"
        self.items[kind] += 1
        self.item_bytes[kind] += size


_OF_KMS = frozenset({"GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "Decrypt", "GenerateMac", "VerifyMac"})


def item_size(item: Mapping[str, Any]) -> int:
    """Bytes of an item as DynamoDB counts them, from its form on the wire.

    Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats": names and texts in UTF-8, binary as it is, a
    number about a byte per two digits and one more.
    """
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, str]) -> int:
    ((kind, content),) = value.items()
    if kind == "B":
        return len(base64.b64decode(content))
    return len(content) // 2 + 1 if kind == "N" else len(content.encode())
