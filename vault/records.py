"""The form in which a card lies in DynamoDB: encrypted and signed by AWS's item encryptor before anything is sent.

Schema 1 has two kinds of item under one partition key. A card item lies under its token, a fingerprint item under the
fingerprint of the number and holds the token. What is secret is one packed attribute; everything else is signed. While
the fingerprint key is being rotated a card has several fingerprints, with a space between them in its item.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from dynamodb_encryption_sdk.encrypted import CryptoConfig
from dynamodb_encryption_sdk.encrypted.item import decrypt_dynamodb_item, encrypt_dynamodb_item
from dynamodb_encryption_sdk.exceptions import DynamodbEncryptionSdkError, UnwrappingError, WrappingError
from dynamodb_encryption_sdk.identifiers import CryptoAction
from dynamodb_encryption_sdk.internal.formatting.material_description import deserialize
from dynamodb_encryption_sdk.material_providers.static import StaticCryptographicMaterialsProvider
from dynamodb_encryption_sdk.structures import AttributeActions, EncryptionContext

from vault.exceptions import RecordTampered, Tampering
from vault.fingerprints import version_of
from vault.keyring import KEY_MARK
from vault.materials import Provider
from vault.pan import PAN
from vault.tokens import Token

Item = dict[str, dict[str, Any]]

#: What is written. A version that reads the next one is released before any version writes it: docs/upgrades.md.
SCHEMA_VERSION: Final = 1
#: What is opened.
SCHEMA_VERSIONS_READ: Final = frozenset({1})
PARTITION_KEY: Final = "token"
SIGNATURE: Final = "*amzn-ddb-map-sig*"
MATERIAL_DESCRIPTION: Final = "*amzn-ddb-map-desc*"
SECRET: Final = "payload"  # noqa: S105 - a name

# Attribute actions are part of the stored format: an action changed here would make every older item unreadable.
# A new attribute or action is a new schema version beside this one.
_SIGNED: Final = ("token", "schema_version", "created_at", "item_version", "fingerprint")
_ACTIONS: Final = AttributeActions(
    default_action=CryptoAction.ENCRYPT_AND_SIGN, attribute_actions=dict.fromkeys(_SIGNED, CryptoAction.SIGN_ONLY)
)
_READ: Final = [{"N": str(version)} for version in sorted(SCHEMA_VERSIONS_READ)]
# Made once: `json.dumps` makes one each time it is told of separators, which takes longer than to pack a card.
_PACKED: Final = json.JSONEncoder(separators=(",", ":"))
_SEAL: Final = (SECRET, SIGNATURE, MATERIAL_DESCRIPTION)
CARD_ATTRIBUTES: Final = frozenset((*_SIGNED, *_SEAL))
FINGERPRINT_ATTRIBUTES: Final = frozenset(("token", "schema_version", "created_at", *_SEAL))


@dataclass(frozen=True, slots=True)
class CardRecord:
    """A card as the vault keeps it. `version` counts the times the item was written."""

    token: Token
    pan: PAN
    fingerprints: tuple[str, ...]
    created_at: datetime
    version: int = 1


class Sealer:
    """Turns records into items and back, for one table and two kinds of materials.

    Every failure to open is `RecordTampered`; errors of KMS reach the caller as the AWS client raised them.

    :param is_key_per_item: False if the materials that seal a card do not ask which card it is
    """

    def __init__(
        self,
        *,
        table: str,
        card_materials: Provider,
        fingerprint_materials: Mapping[int, Provider],
        is_key_per_item: bool = True,
    ) -> None:
        self._table = table
        self._card_materials = card_materials
        # One for all items where the materials do not depend on the item: to make one takes a tenth of sealing it.
        self._sealing_config = None if is_key_per_item else self._crypto_config({}, card_materials)
        self._fingerprint_configs = {
            version: self._crypto_config({}, materials) for version, materials in fingerprint_materials.items()
        }

    @property
    def is_key_per_item(self) -> bool:
        """True if each card has a data key of its own, which names its token."""
        return self._sealing_config is None

    def card_materials(self, token: Token) -> Any:
        """What will seal the card that gets this token. Errors of KMS come as the AWS client raised them."""
        config = self._crypto_config({PARTITION_KEY: {"S": token.text}}, self._card_materials)
        try:
            return config.encryption_materials()
        except WrappingError as error:
            raise _cause(error) from None

    def seal_card(self, record: CardRecord, materials: Any = None) -> Item:
        """The signed and encrypted item of a card, by the `materials` of its token if they were asked for before."""
        item: Item = {
            "token": {"S": record.token.text},
            "schema_version": {"N": str(SCHEMA_VERSION)},
            "created_at": {"S": record.created_at.isoformat()},
            "item_version": {"N": str(record.version)},
            "fingerprint": {"S": " ".join(record.fingerprints)},
            SECRET: {"B": _packed(pan=record.pan.expose())},
        }
        if materials is not None:
            provider = StaticCryptographicMaterialsProvider(encryption_materials=materials)
            return self._seal(item, self._crypto_config(item, provider))
        return self._seal(item, self._sealing_config or self._crypto_config(item, self._card_materials))

    def open_card(self, item: Mapping[str, Any], *, token: Token) -> CardRecord:
        """The card of `item`, which must lie under `token`."""
        config = self._crypto_config(dict(item), self._card_materials)
        plain = self._open(item, config, key=token.text, attributes=CARD_ATTRIBUTES)
        with _tampered():
            return CardRecord(
                token=token,
                pan=PAN(_unpacked(plain)["pan"]),
                fingerprints=fingerprints_of(plain),
                created_at=datetime.fromisoformat(plain["created_at"]["S"]),
                version=int(plain["item_version"]["N"]),
            )

    def seal_fingerprints(self, record: CardRecord) -> list[Item]:
        """The items by which the card is found again."""
        return [self.seal_fingerprint(record, fingerprint) for fingerprint in record.fingerprints]

    def seal_fingerprint(self, record: CardRecord, fingerprint: str) -> Item:
        """The item by which the card is found again under one of its fingerprints."""
        item: Item = {
            "token": {"S": fingerprint},
            "schema_version": {"N": str(SCHEMA_VERSION)},
            "created_at": {"S": record.created_at.isoformat()},
            SECRET: {"B": _packed(token=record.token.text)},
        }
        return self._seal(item, self._fingerprint_config(fingerprint))

    def open_fingerprint(self, item: Mapping[str, Any], *, fingerprint: str) -> Token:
        """The token of the card whose fingerprint item this is."""
        config = self._fingerprint_config(fingerprint)
        plain = self._open(item, config, key=fingerprint, attributes=FINGERPRINT_ATTRIBUTES)
        with _tampered():
            return Token.parse(_unpacked(plain)["token"])

    def _fingerprint_config(self, fingerprint: str) -> CryptoConfig:
        config = self._fingerprint_configs.get(version_of(fingerprint) or 0)
        if config is None:
            raise RecordTampered(Tampering.FOREIGN_KEY)
        return config

    def _seal(self, item: Item, config: CryptoConfig) -> Item:
        try:
            sealed: Item = encrypt_dynamodb_item(item, config)
        except WrappingError as error:
            raise _cause(error) from None
        return sealed

    def _open(self, item: Mapping[str, Any], config: CryptoConfig, *, key: str, attributes: frozenset[str]) -> Item:
        with _tampered():
            # Checked before KMS is asked: an item that is not of this shape was not written by the vault.
            if item.keys() != attributes or item[PARTITION_KEY] != {"S": key}:
                raise RecordTampered
            if item["schema_version"] not in _READ:
                raise RecordTampered
            # The item encryptor takes attributes out of what it is given.
            opened: Item = decrypt_dynamodb_item(dict(item), config)
            return opened

    def _crypto_config(self, item: Item, materials: Provider) -> CryptoConfig:
        context = EncryptionContext(table_name=self._table, partition_key_name=PARTITION_KEY, attributes=item)
        return CryptoConfig(materials_provider=materials, encryption_context=context, attribute_actions=_ACTIONS)


def fingerprints_of(item: Mapping[str, Any]) -> tuple[str, ...]:
    """The fingerprints that a card item names, as it says; true of an item that was opened."""
    return tuple(item["fingerprint"]["S"].split(" "))


def key_mark(item: Mapping[str, Any]) -> str:
    """The id of the card key that an item names; empty for one of before there was a list of keys.

    Raises `RecordTampered` if the material description cannot be read.
    """
    with _tampered():
        description: dict[str, str] = deserialize(item[MATERIAL_DESCRIPTION])
        return description.get(KEY_MARK, "")


def digest(item: Mapping[str, Any]) -> str:
    """SHA-256 in hex of a sealed item as stored. Only ciphertext and signed metadata go in, so it tells no secret."""
    lines = []
    for name in sorted(item):
        ((kind, value),) = item[name].items()
        lines.append([name, kind, value.hex() if isinstance(value, bytes) else value])
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def _packed(**values: str) -> bytes:
    return _PACKED.encode(values).encode("ascii")


def _unpacked(item: Item) -> dict[str, str]:
    values: dict[str, str] = json.loads(item[SECRET]["B"])
    return values


@contextmanager
def _tampered() -> Iterator[None]:
    """Turns what the item encryptor and the parsing of its output raise into `RecordTampered`.

    A damaged item shows in many ways: a bare TypeError for a dropped material description, a ValueError for a bad
    base64, the encryptor's own errors, a PAN or a token that does not parse. Other errors of the vault pass, and so do
    those of AWS: a throttled KMS says nothing about the item, nor does an audit log that takes no event.
    """
    try:
        yield
    except (WrappingError, UnwrappingError) as error:
        raise _cause(error) from None
    except (DynamodbEncryptionSdkError, *_DAMAGE):
        raise RecordTampered from None


def _cause(error: Exception) -> BaseException:
    """What AWS said, which the KMS provider hides behind an error of its own."""
    cause = error.__context__
    return RecordTampered() if cause is None or isinstance(cause, _DAMAGE) else cause


_DAMAGE: Final = (TypeError, ValueError, KeyError, AttributeError, IndexError)
