"""The card table: what is written where, under which condition, and what an answer of AWS means."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import ClientError, ParamValidationError

from vault.ahead import Drawn, DrawnAhead
from vault.aws import aws_boundary, classify
from vault.exceptions import RecordTampered, Tampering, TokenNotFound, VaultUnavailable
from vault.fingerprints import FingerprintKey, version_of
from vault.keyring import KeyRing
from vault.pan import PAN
from vault.records import (
    PARTITION_KEY,
    SECRET,
    CardRecord,
    Item,
    Sealer,
    digest,
    fingerprints_of,
    key_mark,
)
from vault.sidebyside import side_by_side
from vault.tokens import Token

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Limits of DynamoDB: 100 keys in a BatchGetItem, 100 actions in a TransactWriteItems.
_KEYS_PER_READ: Final = 100
_ACTIONS_PER_WRITE: Final = 100
_ITEMS_PER_PAGE: Final = 100
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
        """Raises `RecordTampered` for an item that has no version."""
        try:
            return cls(version=int(item["item_version"]["N"]), digest=digest(item))
        except (KeyError, TypeError, ValueError):
            raise RecordTampered from None


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


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A card sealed anew and not yet written: what it replaces, and what it will be.

    :param ring: the keys that it was sealed under
    :param added: fingerprint items that the card does not have yet
    :param removed: fingerprints by which it is not found any more
    """

    token: Token
    ring: KeyRing
    before: ItemState
    after: ItemState
    item: Item
    added: tuple[Item, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _NewCards:
    """Cards that are sealed and not yet written, and the items by which they will be found."""

    records: list[CardRecord]
    cards: list[Item]
    fingerprints: list[Item]

    def kept(self) -> dict[PAN, KeptCard]:
        """What they are once they were written."""
        return {
            record.pan: KeptCard(record.token, written=ItemState.of(card))
            for record, card in zip(self.records, self.cards, strict=True)
        }


@dataclass(frozen=True, slots=True)
class Page:
    """Items of a scan, and the key after which the next page begins; empty when there is none."""

    items: list[Item]
    last: str


class CardStore:
    """Keeps cards in one DynamoDB table, each number once.

    It takes and gives `PAN`s, and only sealed items leave it. Every refusal is a `VaultError`; `VaultUnavailable` is
    the one worth another try. Safe to share between threads.

    :param ring: which keys seal, and which fingerprints are written and looked up
    :param fingerprint_keys: by version; those of the ring are among them
    :param are_keys_current: asked between sealing and writing; False if the ring is not the one of now
    :param ahead: for how many seconds the data key of the next new card may lie ready, where each has its own; 0 is not
        at all
    :param sleep: waits for seconds; tests give their own
    """

    def __init__(
        self,
        *,
        dynamodb: DynamoDBClient,
        table: str,
        sealer: Sealer,
        ring: KeyRing,
        fingerprint_keys: Mapping[int, FingerprintKey],
        are_keys_current: Callable[[], bool] = lambda: True,
        ahead: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._sealer = sealer
        self._ring = ring
        self._written = [fingerprint_keys[version] for version in ring.written]
        self._recognized = [fingerprint_keys[version] for version in ring.recognized]
        self._are_keys_current = are_keys_current
        self._sleep = sleep
        self._ahead = DrawnAhead(self._draw, max_age=ahead) if ahead and sealer.is_key_per_item else None

    # --- Cards ---------------------------------------------------------------------------------------------------

    def keep(self, pans: Sequence[PAN]) -> list[KeptCard]:
        """Keep every card and say under which token, in the order given.

        One number has one token, however many processes keep it at once: card item and fingerprint items are written in
        one conditional transaction, so that a race has one winner and leaves no orphan. A write whose answer was lost
        is found by the next look, as a card that is kept already. Raises `VaultUnavailable` as well if the keys changed
        meanwhile; what was sealed by then is not written.
        """
        kept: dict[PAN, KeptCard] = {}
        for _ in self._attempts():
            self._keep_once([pan for pan in dict.fromkeys(pans) if pan not in kept], kept)
            if all(pan in kept for pan in pans):
                break
        return [kept[pan] for pan in pans]

    def find(self, pan: PAN) -> Token | None:
        """The token of a card that is kept already, else None. Writes nothing and needs no right on the card key."""
        return self.find_many([pan])[0]

    def find_many(self, pans: Sequence[PAN]) -> list[Token | None]:
        """The tokens of cards that are kept already, in the order given. See `find`."""
        found: dict[PAN, KeptCard] = {}
        for some in self._look_up(list(dict.fromkeys(pans))):
            found |= some
        return [found[pan].token if pan in found else None for pan in pans]

    def open(self, tokens: Sequence[Token]) -> list[OpenedCard]:
        """The cards under `tokens`, decrypted, in the order given. Raises `TokenNotFound` if one is not there."""
        items = self.read(tokens)
        return [self.open_item(token, items.get(token)) for token in tokens]

    def read(self, tokens: Sequence[Token]) -> dict[Token, Item]:
        """The sealed items of those cards that are there."""
        items = self._read(token.text for token in tokens)
        return {token: items[token.text] for token in tokens if token.text in items}

    def open_item(self, token: Token, item: Item | None) -> OpenedCard:
        """The card of an item that was read under `token`. Raises `RecordTampered`, and `TokenNotFound` for None."""
        if item is None:
            raise TokenNotFound
        with aws_boundary():
            try:
                return OpenedCard(self._sealer.open_card(item, token=token), ItemState.of(item))
            except RecordTampered as tampered:
                if tampered.kind is Tampering.SIGNATURE and self._is_of_another(token, item):
                    raise RecordTampered(Tampering.OTHER_CARD) from None
                raise
            except ParamValidationError:
                # A description lacks what KMS is asked with. It says nothing about the vault: one item would seal it.
                raise RecordTampered from None
            except ClientError as error:
                # An item that KMS does not unwrap in this place may unwrap in its own.
                if isinstance(classify(error), RecordTampered) and self._is_of_another(token, item):
                    raise RecordTampered(Tampering.OTHER_CARD) from None
                raise

    def state(self, token: Token) -> ItemState:
        """The state of a card's item, read without opening it. Raises `TokenNotFound`."""
        item = self.read([token]).get(token)
        if item is None:
            raise TokenNotFound
        return ItemState.of(item)

    def remove(self, token: Token, *, pan: PAN | None = None) -> int:
        """Remove a card's item and its fingerprint items, all or none, without opening it; how many there were.

        A fingerprint item goes if it says itself that it is of this card: what a damaged card item names may be
        another's. Give the number where it is known, and fingerprints that the item does not name go too.
        """
        doomed: list[Item] = []
        for _ in self._attempts():
            item = self.read([token]).get(token)
            fingerprints = set(self._named_fingerprints(item) if item else ())
            if pan is not None:
                fingerprints |= {key.fingerprint(pan) for key in self._recognized}
            doomed = [found for found in self._read(fingerprints).values() if self.owner(found) == token]
            doomed += [item] if item is not None else []
            with aws_boundary():
                if not doomed or self._transact([self._delete_as_read(each) for each in doomed]):
                    break
        return len(doomed)

    # --- Upkeep --------------------------------------------------------------------------------------------------

    def scan(self, *, segment: int = 0, total_segments: int = 1, after: str = "", limit: int = _ITEMS_PER_PAGE) -> Page:
        """One page of all items of a segment, of every kind and sealed as they are. Reads what was last written."""
        start: Any = {"ExclusiveStartKey": _key(after)} if after else {}
        with aws_boundary():
            answer = self._dynamodb.scan(
                TableName=self._table,
                Segment=segment,
                TotalSegments=total_segments,
                Limit=limit,
                ConsistentRead=True,
                **start,
            )
        items: list[Any] = answer["Items"]
        return Page(items, last=str(answer.get("LastEvaluatedKey", {}).get(PARTITION_KEY, {}).get("S", "")))

    def item_count(self) -> int:
        """About how many items the table has: DynamoDB counts them every six hours."""
        with aws_boundary():
            return self._dynamodb.describe_table(TableName=self._table)["Table"].get("ItemCount", 0)

    def owners(self, fingerprints: Collection[str]) -> dict[str, Token | None]:
        """Whose those fingerprint items are that are there; None if one cannot be believed."""
        return {fingerprint: self.owner(item) for fingerprint, item in self._read(fingerprints).items()}

    def owner(self, item: Item) -> Token | None:
        """Whose a fingerprint item is; None if it cannot be believed."""
        try:
            return self._sealer.open_fingerprint(item, fingerprint=item[PARTITION_KEY]["S"])
        except RecordTampered:
            return None

    def fingerprints(self, pan: PAN) -> tuple[str, ...]:
        """The fingerprints under which the card with this number is to be found."""
        return tuple(key.fingerprint(pan) for key in self._written)

    def is_current(self, item: Item) -> bool:
        """True if a card item is sealed under the key and found by the fingerprints of now. Opens nothing.

        Raises `RecordTampered` for an item of which that cannot be said.
        """
        versions = {version_of(fingerprint) for fingerprint in self._named_fingerprints(item)}
        return key_mark(item) == self._ring.sealing.id and versions == set(self._ring.written)

    def rewrite(self, token: Token, item: Item) -> Rewrite:
        """Open a card and seal it anew, under the key and the fingerprints of now; nothing is written yet.

        Raises `RecordTampered` for an item that does not open: what is damaged is not sealed again.
        """
        opened = self.open_item(token, item)
        old = opened.record
        record = replace(old, fingerprints=self.fingerprints(old.pan), version=old.version + 1)
        there = self.owners({*record.fingerprints, *old.fingerprints})
        if any(owner != token for name, owner in there.items() if name in record.fingerprints):
            raise RecordTampered(Tampering.OTHER_CARD)
        with aws_boundary():
            sealed = self._sealer.seal_card(record)
            added = [self._sealer.seal_fingerprint(record, name) for name in record.fingerprints if name not in there]
        return Rewrite(
            token=token,
            ring=self._ring,
            before=opened.state,
            after=ItemState.of(sealed),
            item=sealed,
            added=tuple(added),
            removed=tuple(
                # Not one that is another card's by now, which would not be recognized any more.
                name
                for name in old.fingerprints
                if name not in record.fingerprints and there.get(name, token) in (None, token)
            ),
        )

    def commit(self, rewrite: Rewrite) -> bool:
        """Write a card that was sealed anew.

        False, and nothing is written, if its item is not the one of before, or the keys are not those it was sealed
        under: by then the alias that KMS was asked for may be another key's.
        """
        if rewrite.ring != self._ring or not self._are_keys_current():
            return False
        put: Any = {
            "Put": {
                "TableName": self._table,
                "Item": rewrite.item,
                "ConditionExpression": "#version = :version",
                "ExpressionAttributeNames": {"#version": "item_version"},
                "ExpressionAttributeValues": {":version": {"N": str(rewrite.before.version)}},
            }
        }
        added = [self._put_new(item) for item in rewrite.added]
        removed = [self._delete(fingerprint) for fingerprint in rewrite.removed]
        with aws_boundary():
            return self._transact([put, *added, *removed])

    def restore_fingerprints(self, token: Token, pan: PAN) -> int:
        """Write the fingerprint items that a card lacks; how many there were. Raises `RecordTampered` for another's."""
        record = CardRecord(token, pan, self.fingerprints(pan), datetime.now(UTC))
        there = self.owners(record.fingerprints)
        if any(owner != token for owner in there.values()):
            raise RecordTampered(Tampering.OTHER_CARD)
        missing = [self._sealer.seal_fingerprint(record, name) for name in record.fingerprints if name not in there]
        if missing:
            with aws_boundary():
                if not self._transact([self._put_new(item) for item in missing]):
                    raise VaultUnavailable
        return len(missing)

    def remove_fingerprint(self, fingerprint: str) -> None:
        """Remove one fingerprint item."""
        with aws_boundary():
            self._dynamodb.delete_item(TableName=self._table, Key=_key(fingerprint))

    # --- Inside --------------------------------------------------------------------------------------------------

    def _keep_once(self, pans: list[PAN], kept: dict[PAN, KeptCard]) -> None:
        """Add what is kept by now. Cards in a transaction that was cancelled are left out: the caller looks again.

        Everything is sealed before the first is sent: sealing is all processor, and beside threads that send it takes
        longer than it would save.
        """
        for found in self._look_up(pans):
            kept.update(found)
        chunks = _chunks([pan for pan in pans if pan not in kept], _ACTIONS_PER_WRITE // (1 + len(self._written)))
        with aws_boundary():
            sealed = [self._seal(some) for some in chunks]
            if self._ahead and sealed and len(pans) == 1:
                # KMS is waited for while DynamoDB is. Known cards, for which nothing was sealed, draw none.
                self._ahead.prepare()
            for cards, is_written in side_by_side(self._put, self._while_current(sealed), is_one=len(sealed) == 1):
                if is_written:
                    kept.update(cards.kept())

    def _look_up(self, pans: Sequence[PAN]) -> Iterator[dict[PAN, KeptCard]]:
        """Those of the cards that are there, some at a time."""
        groups = _chunks(pans, _KEYS_PER_READ // len(self._recognized))
        wanted = [{key.fingerprint(pan): pan for pan in group for key in self._recognized} for group in groups]
        for by_fingerprint, items in side_by_side(self._read_some, wanted, is_one=len(wanted) == 1):
            yield {
                by_fingerprint[name]: KeptCard(self._sealer.open_fingerprint(item, fingerprint=name), written=None)
                for name, item in items.items()
            }

    def _seal(self, pans: Sequence[PAN]) -> _NewCards:
        now = datetime.now(UTC)
        drawn = self._ahead.take() if self._ahead and len(pans) == 1 else None
        tokens = [drawn.token] if drawn else [Token.generate() for _ in pans]
        records = [CardRecord(token, pan, self.fingerprints(pan), now) for token, pan in zip(tokens, pans, strict=True)]
        cards = [self._sealer.seal_card(record, drawn and drawn.materials) for record in records]
        fingerprints = [item for record in records for item in self._sealer.seal_fingerprints(record)]
        return _NewCards(records, cards, fingerprints)

    def _draw(self) -> Drawn:
        token = Token.generate()
        return Drawn(token, self._sealer.card_materials(token))

    def _while_current(self, sealed: Iterable[_NewCards]) -> Iterator[_NewCards]:
        """Raises `VaultUnavailable` before the first that may not be written any more, as the keys have changed."""
        for cards in sealed:
            # KMS may have taken its time, and an alias is another key's as soon as a rotation is through.
            if not self._are_keys_current():
                raise VaultUnavailable
            yield cards

    def _put(self, new: _NewCards) -> bool:
        return self._transact([self._put_new(item) for item in (*new.cards, *new.fingerprints)])

    def _put_new(self, item: Item) -> Any:
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                # Every item has it. The key is the usual attribute to ask for, but its name is a reserved word and
                # would have to be declared in each of a hundred actions.
                "ConditionExpression": "attribute_not_exists(schema_version)",
            }
        }

    def _delete(self, key: str) -> Any:
        return {"Delete": {"TableName": self._table, "Key": _key(key)}}

    def _delete_as_read(self, item: Item) -> Any:
        """Delete an item unless it was written since it was read: by then it may be another card's."""
        delete: dict[str, Any] = {
            "TableName": self._table,
            "Key": _key(item[PARTITION_KEY]["S"]),
            "ConditionExpression": "attribute_not_exists(#payload)",
            "ExpressionAttributeNames": {"#payload": SECRET},
        }
        if SECRET in item:
            delete["ConditionExpression"] = "#payload = :payload"
            delete["ExpressionAttributeValues"] = {":payload": item[SECRET]}
        return {"Delete": delete}

    def _transact(self, actions: list[Any]) -> bool:
        """Write all or nothing. False if a condition did not hold, or DynamoDB was busy with one of the items."""
        try:
            self._dynamodb.transact_write_items(TransactItems=actions)
        except ClientError as error:
            reasons: list[dict[str, str]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
            if reasons and _WORTH_ANOTHER_LOOK.issuperset(reason.get("Code", "") for reason in reasons):
                return False
            raise
        return True

    def _is_of_another(self, token: Token, item: Item) -> bool:
        """True if the fingerprints that an item names are another card's: the item was moved under this token."""
        return any(owner not in (None, token) for owner in self.owners(self._named_fingerprints(item)).values())

    @staticmethod
    def _named_fingerprints(item: Item) -> tuple[str, ...]:
        """The fingerprints that an item names, which need not be true; none if it names none."""
        try:
            return tuple(name for name in fingerprints_of(item) if version_of(name))
        except (AttributeError, KeyError, TypeError):
            return ()

    def _read(self, keys: Iterable[str]) -> dict[str, Item]:
        """The items under `keys` by key, as they were last written."""
        found: dict[str, Item] = {}
        chunks = _chunks(list(dict.fromkeys(keys)), _KEYS_PER_READ)
        for _, items in side_by_side(self._read_some, chunks, is_one=len(chunks) == 1):
            found |= items
        return found

    def _read_some(self, keys: Collection[str]) -> dict[str, Item]:
        found: dict[str, Item] = {}
        request: Any = {self._table: {"Keys": [_key(key) for key in keys], "ConsistentRead": True}}
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


def _key(text: str) -> dict[str, Any]:
    return {PARTITION_KEY: {"S": text}}


def _chunks(things: Sequence[_T], size: int) -> list[Sequence[_T]]:
    return [things[start : start + size] for start in range(0, len(things), size)]
