"""The card table: what is written where, under which condition, and what an answer of AWS means."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import ClientError

from vault.aws import aws_boundary, put_new
from vault.exceptions import TokenNotFound, VaultSealed, VaultUnavailable
from vault.fingerprints import SECRET_BYTES, FingerprintKey
from vault.pan import PAN
from vault.records import PARTITION_KEY, SCHEMA_VERSION, CardRecord, Item, Sealer, digest
from vault.tokens import Token

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient

# Limits of DynamoDB: 100 keys in a BatchGetItem, 100 actions in a TransactWriteItems; a card takes two.
_KEYS_PER_READ: Final = 100
_CARDS_PER_WRITE: Final = 50
_ATTEMPTS: Final = 6
_FIRST_PAUSE: Final = 0.02  # seconds

# What a cancelled transaction may say of an action when the next attempt, which first looks again, can do better:
# nothing, that another writer was first, or that DynamoDB is busy with the item.
_WORTH_ANOTHER_LOOK: Final = frozenset(
    {"None", "ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ItemState:
    """What tells one written state of a card item from another: its version and the digest of the sealed item."""

    version: int
    digest: str

    @classmethod
    def of(cls, item: Item) -> ItemState:
        return cls(version=int(item["item_version"]["N"]), digest=digest(item))


@dataclass(frozen=True, slots=True)
class KeptCard:
    """The token that a card is kept under and, if it was written just now, the state of its item."""

    token: Token
    written: ItemState | None


@dataclass(frozen=True, slots=True)
class OpenedCard:
    """A decrypted card and the state of the item that it came from."""

    record: CardRecord
    state: ItemState


class CardStore:
    """Keeps cards in one DynamoDB table, each number once.

    It takes and gives `PAN`s, and only sealed items leave it. Every refusal is a `VaultError`; `VaultUnavailable` is
    the one worth another try. Safe to share between threads.

    :param sleep: waits for seconds; tests give their own
    """

    def __init__(
        self,
        *,
        dynamodb: DynamoDBClient,
        table: str,
        sealer: Sealer,
        fingerprint_key: FingerprintKey,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._sealer = sealer
        self._fingerprint_key = fingerprint_key
        self._sleep = sleep

    def keep(self, pans: Sequence[PAN]) -> list[KeptCard]:
        """Keep every card and say under which token, in the order given.

        One number has one token, however many processes keep it at once: card item and fingerprint item are written in
        one conditional transaction, so that a race has one winner and leaves no orphan. A write whose answer was lost
        is found by the next look, as a card that is kept already.
        """
        fingerprints = [self._fingerprint_key.fingerprint(pan) for pan in pans]
        wanted = dict(zip(fingerprints, pans, strict=True))
        kept: dict[str, KeptCard] = {}
        for _ in self._attempts():
            kept |= self._look_up([fingerprint for fingerprint in wanted if fingerprint not in kept])
            missing = {fingerprint: pan for fingerprint, pan in wanted.items() if fingerprint not in kept}
            kept |= self._write(missing)
            if len(kept) == len(wanted):
                break
        return [kept[fingerprint] for fingerprint in fingerprints]

    def find(self, pan: PAN) -> Token | None:
        """The token of a card that is kept already, else None. Writes nothing and needs no right on the card key."""
        fingerprint = self._fingerprint_key.fingerprint(pan)
        found = self._look_up([fingerprint]).get(fingerprint)
        return found.token if found else None

    def open(self, tokens: Sequence[Token]) -> list[OpenedCard]:
        """The cards under `tokens`, decrypted, in the order given. Raises `TokenNotFound` if one is not there."""
        items = self._read(token.text for token in tokens)
        return [self._opened(token, items.get(token.text)) for token in tokens]

    def state(self, token: Token) -> ItemState:
        """The state of a card's item, read without opening it. Raises `TokenNotFound`."""
        item = self._read([token.text]).get(token.text)
        if item is None:
            raise TokenNotFound
        return ItemState.of(item)

    def delete(self, record: CardRecord) -> None:
        """Remove a card and its fingerprint item, both or neither. A card that is gone already is no error."""
        keys = (record.token.text, record.fingerprint)
        with aws_boundary():
            self._dynamodb.transact_write_items(
                TransactItems=[{"Delete": {"TableName": self._table, "Key": _key(key)}} for key in keys]
            )

    def _look_up(self, fingerprints: Iterable[str]) -> dict[str, KeptCard]:
        items = self._read(fingerprints)
        return {
            fingerprint: KeptCard(self._sealer.open_fingerprint(item, fingerprint=fingerprint), written=None)
            for fingerprint, item in items.items()
        }

    def _write(self, pans: dict[str, PAN]) -> dict[str, KeptCard]:
        """Write new cards. Those in a cancelled transaction are left out: the caller looks again."""
        written: dict[str, KeptCard] = {}
        now = datetime.now(UTC)
        for chunk in _chunks(list(pans.items()), _CARDS_PER_WRITE):
            records = [CardRecord(Token.generate(), pan, fingerprint, now) for fingerprint, pan in chunk]
            with aws_boundary():
                cards = [self._sealer.seal_card(record) for record in records]
                fingerprints = [self._sealer.seal_fingerprint(record) for record in records]
                if self._put_new(cards + fingerprints):
                    written |= {
                        record.fingerprint: KeptCard(record.token, written=ItemState.of(card))
                        for record, card in zip(records, cards, strict=True)
                    }
        return written

    def _put_new(self, items: list[Item]) -> bool:
        """Write all items or none, and only where nothing is. False if another look is worth while."""
        puts: list[Any] = [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": item,
                    "ConditionExpression": "attribute_not_exists(#key)",
                    "ExpressionAttributeNames": {"#key": PARTITION_KEY},
                }
            }
            for item in items
        ]
        try:
            self._dynamodb.transact_write_items(TransactItems=puts)
        except ClientError as error:
            reasons: list[dict[str, str]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
            if reasons and _WORTH_ANOTHER_LOOK.issuperset(reason.get("Code", "") for reason in reasons):
                return False
            raise
        return True

    def _opened(self, token: Token, item: Item | None) -> OpenedCard:
        if item is None:
            raise TokenNotFound
        with aws_boundary():
            return OpenedCard(self._sealer.open_card(item, token=token), ItemState.of(item))

    def _read(self, keys: Iterable[str]) -> dict[str, Item]:
        """The items under `keys` by key, as they were last written."""
        found: dict[str, Item] = {}
        for chunk in _chunks(list(dict.fromkeys(keys)), _KEYS_PER_READ):
            request: Any = {self._table: {"Keys": [_key(key) for key in chunk], "ConsistentRead": True}}
            for _ in self._attempts():
                with aws_boundary():
                    answer = self._dynamodb.batch_get_item(RequestItems=request)
                items: list[Any] = answer["Responses"].get(self._table, [])
                found |= {item[PARTITION_KEY]["S"]: item for item in items}
                request = answer.get("UnprocessedKeys")
                if not request:
                    break
        return found

    def _attempts(self) -> Iterator[int]:
        """Count the attempts, with growing pauses between them; `VaultUnavailable` when there were enough."""
        for attempt in range(_ATTEMPTS):
            if attempt:
                # Jitter, so that two writers who collided do not collide again.
                self._sleep(_FIRST_PAUSE * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            yield attempt
        raise VaultUnavailable


class FingerprintKeys:
    """The fingerprint secret where it rests: wrapped under a KMS key of its own, in an item beside the cards."""

    _VERSION: Final = 1

    def __init__(self, *, dynamodb: DynamoDBClient, kms: KMSClient, table: str, key_id: str) -> None:
        self._dynamodb = dynamodb
        self._kms = kms
        self._table = table
        self._key_id = key_id
        self._name = f"fingerprint-key#{self._VERSION}"
        self._context = {"purpose": "fingerprint", "table": table, "version": str(self._VERSION)}

    def exists(self) -> bool:
        """True if the wrapped secret lies in the table."""
        return self._item() is not None

    def create(self) -> bool:
        """Make the secret if there is none; False if there was one. It is never replaced: cards are found by it."""
        if self.exists():
            return False
        with aws_boundary():
            wrapped = self._kms.generate_data_key_without_plaintext(
                KeyId=self._key_id, NumberOfBytes=SECRET_BYTES, EncryptionContext=self._context
            )["CiphertextBlob"]
            item: Any = {
                **_key(self._name),
                "schema_version": {"N": str(SCHEMA_VERSION)},
                "created_at": {"S": datetime.now(UTC).isoformat()},
                "wrapped_key": {"B": wrapped},
            }
            return put_new(self._dynamodb, table=self._table, key=PARTITION_KEY, item=item)

    def load(self) -> FingerprintKey:
        """The unwrapped key: one DynamoDB and one KMS call.

        Raises `VaultSealed` if there is none or KMS refuses, `RecordTampered` if it was changed or wrapped elsewhere.
        """
        item = self._item()
        if item is None:
            raise VaultSealed
        with aws_boundary():
            answer = self._kms.decrypt(
                KeyId=self._key_id, CiphertextBlob=item["wrapped_key"]["B"], EncryptionContext=self._context
            )
        return FingerprintKey(version=self._VERSION, secret=answer["Plaintext"])

    def _item(self) -> Any:
        with aws_boundary():
            answer = self._dynamodb.get_item(TableName=self._table, Key=_key(self._name), ConsistentRead=True)
        return answer.get("Item")


def _key(text: str) -> dict[str, Any]:
    return {PARTITION_KEY: {"S": text}}


def _chunks(things: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(things), size):
        yield things[start : start + size]
