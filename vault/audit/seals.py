"""What fixes the audit log from outside its database: the heads of its chains under a MAC that KMS makes.

A seal lies in the vault's table, under a number of its own, and is never changed. It has the last event of every chain
that was written to since the seal before, and the digest of that seal: so the MAC of the newest one vouches for all.
Whoever can write to the audit database cannot make a MAC, and whoever can delete a seal is contradicted by the event in
the audit log that says it was made.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from vault.audit.chain import TRUNK, Head
from vault.aws import aws_boundary, put_new
from vault.exceptions import RecordTampered
from vault.records import PARTITION_KEY

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient

_FORMAT: Final = b"audit seal 1"
_FIRST: Final = bytes(32)
# Number of the seal, time in microseconds since 1970, last row, digest of the seal before.
_HEADER: Final = struct.Struct(">QQQ32s")
# Chain, number and digest of its last sealed event. Bytes and not text: the guard on the wire looks for card numbers,
# and there is no end to what decimal digits can be found in a list of hexadecimal ones.
_HEAD: Final = struct.Struct(">16sQ32s")
_TRUNK: Final = bytes(16)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: An item of DynamoDB has 400 KB.
MAX_HEADS: Final = 6_000
_KEYS_PER_READ: Final = 100


@dataclass(frozen=True, slots=True)
class Seal:
    """The heads of chains at one time. Every row up to `row` is in it or in a seal before."""

    number: int
    time: datetime
    row: int
    previous: bytes
    heads: Mapping[str, Head] = field(hash=False)

    def body(self) -> bytes:
        """What the MAC is over."""
        microseconds = (self.time - _EPOCH) // timedelta(microseconds=1)
        heads = [
            _HEAD.pack(_TRUNK if chain == TRUNK else bytes.fromhex(chain), head.number, bytes.fromhex(head.digest))
            for chain, head in sorted(self.heads.items())
        ]
        return b"".join([_FORMAT, _HEADER.pack(self.number, microseconds, self.row, self.previous), *heads])

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises `RecordTampered` for anything that `body` did not make."""
        if not body.startswith(_FORMAT):
            raise RecordTampered
        try:
            number, microseconds, row, previous = _HEADER.unpack_from(body, len(_FORMAT))
            heads = {
                TRUNK if chain == _TRUNK else chain.hex(): Head(event, digest.hex())
                for chain, event, digest in _HEAD.iter_unpack(body[len(_FORMAT) + _HEADER.size :])
            }
        except (struct.error, ValueError):
            raise RecordTampered from None
        return cls(number, _EPOCH + timedelta(microseconds=microseconds), row, previous, heads)

    def digest(self) -> bytes:
        """SHA-256 of the body: what the next seal has as `previous`, and what KMS puts its MAC on."""
        return hashlib.sha256(self.body()).digest()


class SealStore:
    """Seals in the vault's table, numbered from 1 without a gap. Raises the states of `aws_boundary`."""

    def __init__(self, *, dynamodb: DynamoDBClient, kms: KMSClient, table: str, key_id: str) -> None:
        self._dynamodb = dynamodb
        self._kms = kms
        self._table = table
        self._key_id = key_id

    def add(self, heads: Mapping[str, Head], *, time: datetime, row: int) -> Seal | None:
        """Seal these heads and give the seal; None if somebody else sealed at the same time and was first.

        Raises `RecordTampered` if the seal before is not one that KMS vouches for: nothing is built on it.
        """
        last = self.latest()
        seal = Seal((last.number if last else 0) + 1, time, row, last.digest() if last else _FIRST, heads)
        with aws_boundary():
            mac = self._kms.generate_mac(KeyId=self._key_id, MacAlgorithm="HMAC_SHA_256", Message=seal.digest())["Mac"]
            item: Any = {
                PARTITION_KEY: {"S": _name(seal.number)},
                "schema_version": {"N": "1"},
                "created_at": {"S": seal.time.isoformat()},
                "seal": {"B": seal.body()},
                "mac": {"B": mac},
            }
            is_first = put_new(self._dynamodb, table=self._table, key=PARTITION_KEY, item=item)
        return seal if is_first else None

    def latest(self) -> Seal | None:
        """The newest seal, after KMS has verified its MAC; None before the first. Raises `RecordTampered`."""
        number = self._latest_number()
        if number == 0:
            return None
        item = self._read([number]).get(number)
        seal = _seal_in(item, number)
        with aws_boundary():
            try:
                self._kms.verify_mac(
                    KeyId=self._key_id, MacAlgorithm="HMAC_SHA_256", Message=seal.digest(), Mac=_bytes(item, "mac")
                )
            except self._kms.exceptions.KMSInvalidMacException:
                raise RecordTampered from None
        return seal

    def older_than(self, moment: datetime) -> Seal | None:
        """The newest seal that was made before this moment. Raises `RecordTampered`."""
        seal = self.latest()
        while seal is not None and seal.time >= moment:
            if seal.number == 1:
                return None
            number = seal.number - 1
            before = _seal_in(self._read([number]).get(number), number)
            if before.digest() != seal.previous:
                raise RecordTampered
            seal = before
        return seal

    def all(self) -> Iterator[Seal]:
        """Every seal, from the first to the newest. Raises `RecordTampered` if one is missing, changed or moved.

        One call to KMS, whose answer the digests carry to all that came before.
        """
        newest = self.latest()
        if newest is None:
            return
        previous = _FIRST
        for start in range(1, newest.number + 1, _KEYS_PER_READ):
            numbers = range(start, min(start + _KEYS_PER_READ, newest.number + 1))
            items = self._read(numbers)
            for number in numbers:
                seal = _seal_in(items.get(number), number)
                if seal.previous != previous:
                    raise RecordTampered
                previous = seal.digest()
                yield seal
        if previous != newest.digest():
            raise RecordTampered

    def _latest_number(self) -> int:
        """Numbers have no gap, so the last one is found by doubling and halving: about 2 log n reads."""
        if not self._read([1]):
            return 0
        low, high = 1, 2
        while self._read([high]):
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._read([middle]) else (low, middle)
        return low

    def _read(self, numbers: Iterable[int]) -> dict[int, Any]:
        names = {_name(number): number for number in numbers}
        found: dict[int, Any] = {}
        request: Any = {self._table: {"Keys": [{PARTITION_KEY: {"S": name}} for name in names], "ConsistentRead": True}}
        while request:
            with aws_boundary():
                answer = self._dynamodb.batch_get_item(RequestItems=request)
            items: list[Any] = answer["Responses"].get(self._table, [])
            found |= {names[item[PARTITION_KEY]["S"]]: item for item in items}
            request = answer.get("UnprocessedKeys")
        return found


def _seal_in(item: Any, number: int) -> Seal:
    """The seal of this number in an item. Raises `RecordTampered` if it is missing, another one, or none at all."""
    seal = Seal.parse(_bytes(item, "seal"))
    if seal.number != number:
        raise RecordTampered
    return seal


def _bytes(item: Any, attribute: str) -> bytes:
    try:
        return bytes(item[attribute]["B"])
    except (KeyError, TypeError):
        raise RecordTampered from None


def _name(number: int) -> str:
    return f"audit-seal#{number:08d}"
