"""Reading CloudTrail: one JSON object with a list of records, plain or gzip, as AWS delivers it.

The form of a record: AWS CloudTrail User Guide, "CloudTrail record contents"; AWS KMS Developer Guide, "Decrypt" and
"ReEncrypt" under "Logging AWS KMS API calls".
"""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final, cast

from vault.exceptions import VaultError

_CHUNK: Final = 1 << 20
# CloudTrail's own limit is 1 MB for an event; what goes on for longer is none.
_LONGEST_RECORD: Final = 1 << 22
_GZIP: Final = b"\x1f\x8b"
_OPENING: Final = re.compile(r'\s*\{\s*"Records"\s*:\s*\[')
_CLOSING: Final = re.compile(r"\s*\]\s*\}\s*")
_GAP: Final = re.compile(r"[\s,]*")

# What turns something wrapped under a key into something that the caller can use. The application never re-encrypts:
# somebody who does has moved a data key under a key of their own.
_OPENS: Final = {"Decrypt": "encryptionContext", "ReEncrypt": "sourceEncryptionContext"}


class MalformedTrail(VaultError):
    """This is no CloudTrail log file: it must be {"Records": [...]}, plain or gzip."""


class UnreadableTrail(VaultError):
    """A CloudTrail file cannot be read."""


@dataclass(frozen=True, slots=True)
class Decryption:
    """What one record says of a call of KMS that opens something, or tried to.

    :param id: the same for one call, also where it was recorded in two accounts
    :param key: the ARN of the KMS key that opened; empty where CloudTrail does not say it
    :param error: AWS's error code; empty if it was opened
    :param refusal: AWS's sentence with the error, which alone names the key where access was denied
    """

    id: str
    event_id: str
    time: datetime
    event: str
    principal: str
    source: str
    context: dict[str, str]
    key: str
    error: str
    refusal: str


def read_decryptions(stream: BinaryIO) -> Iterator[Decryption]:
    """The calls of KMS in a log file that open something; other services and operations are passed over.

    Holds one record in memory at a time. Raises `MalformedTrail`, also for a file that ends early: what is missing may
    be what somebody looks for; `UnreadableTrail`.
    """
    try:
        for record in _records(_texts(stream)):
            if record.get("eventSource") == "kms.amazonaws.com" and record.get("eventName") in _OPENS:
                yield _decryption(record)
    except (OSError, EOFError, zlib.error):
        raise UnreadableTrail from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        raise MalformedTrail from None


def _texts(stream: BinaryIO) -> Iterator[str]:
    head = stream.read(len(_GZIP))
    source = cast("BinaryIO", _Joined(head, stream))
    if head == _GZIP:
        source = cast("BinaryIO", gzip.GzipFile(fileobj=source))
    decoder = codecs.getincrementaldecoder("utf-8")()
    while chunk := source.read(_CHUNK):
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


class _Joined:
    """A stream of which the beginning was read already: standard input cannot be rewound."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int) -> bytes:
        if not self._head:
            return self._rest.read(size)
        head, self._head = self._head[:size], self._head[size:]
        return head


def _records(texts: Iterator[str]) -> Iterator[dict[str, Any]]:
    decode = json.JSONDecoder().raw_decode
    text, place, is_open = "", 0, False
    for more in texts:
        text, place = text[place:] + more, 0
        if not is_open and (opening := _OPENING.match(text)):
            place, is_open = opening.end(), True
        while is_open and (start := _GAP.match(text, place).end()) < len(text):  # type: ignore[union-attr]
            if text[start] == "]":
                break
            try:
                record, place = decode(text, start)
            except json.JSONDecodeError:
                # Cut off by the end of the chunk, as far as can be seen from here.
                break
            if not isinstance(record, dict):
                raise MalformedTrail
            yield record
        if len(text) - place > _LONGEST_RECORD + _CHUNK:
            raise MalformedTrail
    if not is_open or not _CLOSING.fullmatch(text, place):
        raise MalformedTrail


def _decryption(record: dict[str, Any]) -> Decryption:
    asked = record.get("requestParameters") or {}
    context = asked.get(_OPENS[record["eventName"]]) or {}
    identity = record.get("userIdentity") or {}
    # For ReEncrypt the key that opens stands before the one that seals.
    resources = record.get("resources") or [{}]
    time = datetime.fromisoformat(record["eventTime"])
    return Decryption(
        id=str(record.get("sharedEventID") or record["eventID"]),
        event_id=str(record["eventID"]),
        time=time if time.tzinfo else time.replace(tzinfo=UTC),
        event=record["eventName"],
        principal=str(identity.get("arn") or identity.get("invokedBy") or identity.get("type") or ""),
        source=str(record.get("sourceIPAddress") or ""),
        context={str(name): str(value) for name, value in context.items()},
        key=str(resources[0].get("ARN") or asked.get("keyId") or ""),
        error=str(record.get("errorCode") or ""),
        refusal=str(record.get("errorMessage") or ""),
    )
