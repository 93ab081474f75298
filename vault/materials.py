"""Where the keys of an item come from: cryptographic materials providers for AWS's item encryptor."""

from __future__ import annotations

import base64
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from dynamodb_encryption_sdk.delegated_keys.jce import JceNameLocalDelegatedKey
from dynamodb_encryption_sdk.identifiers import EncryptionKeyType, KeyEncodingType
from dynamodb_encryption_sdk.material_providers import CryptographicMaterialsProvider
from dynamodb_encryption_sdk.material_providers.aws_kms import AwsKmsCryptographicMaterialsProvider
from dynamodb_encryption_sdk.material_providers.static import StaticCryptographicMaterialsProvider
from dynamodb_encryption_sdk.materials.raw import RawDecryptionMaterials, RawEncryptionMaterials
from dynamodb_encryption_sdk.structures import EncryptionContext

from vault.exceptions import RecordTampered, Tampering
from vault.fingerprints import FingerprintKey, derive
from vault.keyring import KEY_MARK

if TYPE_CHECKING:
    from botocore.session import Session
    from mypy_boto3_kms import KMSClient

__all__ = ["CardMaterials", "KeyMaterials", "Provider", "ReusedDataKey", "fingerprint_materials", "kms_per_item"]

# The encryption client publishes no types, so to the type checker a provider is anything.
Provider: TypeAlias = CryptographicMaterialsProvider

# Marks an item whose data key is shared with others; its value is the version of this scheme.
_REUSED_MARK: Final = "vault-reused-data-key"
_WRAPPED_KEY: Final = "amzn-ddb-env-key"
_KEY_BYTES: Final = 32
_UNWRAPPED_KEYS_KEPT: Final = 1_000


def kms_per_item(*, kms: KMSClient, key_id: str, session: Session) -> Provider:
    """AWS's own provider: one GenerateDataKey for each item sealed, one Decrypt for each item opened.

    The KMS encryption context names the token and the table, so that CloudTrail has a record for every card touched.
    """
    # The session tells the provider the region of a key that is named by alias, and puts our time-outs, our guard and
    # the KeyId on Decrypt on any client that the provider makes by itself.
    return AwsKmsCryptographicMaterialsProvider(
        key_id=key_id, botocore_session=session, regional_clients={kms.meta.region_name: kms}
    )


def _raw_key(secret: bytes, algorithm: str) -> JceNameLocalDelegatedKey:
    return JceNameLocalDelegatedKey(
        key=secret, algorithm=algorithm, key_type=EncryptionKeyType.SYMMETRIC, key_encoding=KeyEncodingType.RAW
    )


def fingerprint_materials(key: FingerprintKey) -> Provider:
    """Materials of the fingerprint items, derived from the fingerprint secret: no KMS call, and no card key."""
    signing = _raw_key(derive(key.secret, use=b"fingerprint item signing"), "HmacSHA256")
    encryption = _raw_key(derive(key.secret, use=b"fingerprint item encryption"), "AES")
    return StaticCryptographicMaterialsProvider(
        encryption_materials=RawEncryptionMaterials(signing_key=signing, encryption_key=encryption),
        decryption_materials=RawDecryptionMaterials(verification_key=signing, decryption_key=encryption),
    )


@dataclass(slots=True)
class _DataKey:
    wrapped: str
    signing: JceNameLocalDelegatedKey
    encryption: JceNameLocalDelegatedKey
    expires: float
    items_left: int
    # By what stands in the items beside the key: they are checked at length when they are made.
    materials: dict[frozenset[tuple[str, str]], RawEncryptionMaterials] = field(default_factory=dict)

    def sealing(self, description: Mapping[str, str]) -> RawEncryptionMaterials:
        """The materials for items with this description."""
        described = frozenset(description.items())
        if described not in self.materials:
            self.materials[described] = RawEncryptionMaterials(
                signing_key=self.signing,
                encryption_key=self.encryption,
                material_description={**description, _WRAPPED_KEY: self.wrapped, _REUSED_MARK: "1"},
            )
        return self.materials[described]


class ReusedDataKey(CryptographicMaterialsProvider):  # type: ignore[misc]
    """One KMS data key for at most `max_items` cards and `max_age` seconds, wrapped in each item that it seals.

    Opening asks KMS once per wrapped key and forgets it after `max_age` seconds, so that a key disabled in KMS stops
    opening cards within that time. Safe to share between threads. What an item is worth elsewhere than under its own
    token does not rest on the key here: the token is signed with the item.

    :param unwrapping: entered around each Decrypt, which is not asked for if entering it raises
    :param lock: held over each call of KMS; what entering it raises comes as it is
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        *,
        kms: KMSClient,
        key_id: str,
        table: str,
        max_age: float,
        max_items: int,
        unwrapping: Callable[[], AbstractContextManager[object]] = nullcontext,
        lock: AbstractContextManager[object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kms = kms
        self._key_id = key_id
        self._context = {"*aws-kms-table*": table, _REUSED_MARK: "1"}
        self._max_age = max_age
        self._max_items = max_items
        self._unwrapping = unwrapping
        self._clock = clock
        self._lock = lock or threading.Lock()
        self._sealing: _DataKey | None = None
        self._opening: OrderedDict[str, _DataKey] = OrderedDict()

    def encryption_materials(self, encryption_context: EncryptionContext) -> RawEncryptionMaterials:
        """Materials under the current data key; a new one when it is spent. KMS errors come as they are."""
        # The lock is held over the KMS call: threads that need the next key wait for one call and do not each make one.
        with self._lock:
            if self._sealing is None or self._sealing.items_left < 1 or self._sealing.expires <= self._clock():
                answer = self._kms.generate_data_key(
                    KeyId=self._key_id, NumberOfBytes=_KEY_BYTES, EncryptionContext=self._context
                )
                self._sealing = self._data_key(answer["Plaintext"], base64.b64encode(answer["CiphertextBlob"]).decode())
            key = self._sealing
            key.items_left -= 1
            return key.sealing(encryption_context.material_description)

    def decryption_materials(self, encryption_context: EncryptionContext) -> RawDecryptionMaterials:
        """Materials under the data key that the item carries. KMS errors come as they are."""
        description: dict[str, str] = encryption_context.material_description
        wrapped = description[_WRAPPED_KEY]
        with self._lock:
            key = self._opening.get(wrapped)
            if key is None or key.expires <= self._clock():
                with self._unwrapping():
                    answer = self._kms.decrypt(
                        KeyId=self._key_id, CiphertextBlob=base64.b64decode(wrapped), EncryptionContext=self._context
                    )
                key = self._opening[wrapped] = self._data_key(answer["Plaintext"], wrapped)
            self._opening.move_to_end(wrapped)
            if len(self._opening) > _UNWRAPPED_KEYS_KEPT:
                self._opening.popitem(last=False)
        return RawDecryptionMaterials(
            verification_key=key.signing, decryption_key=key.encryption, material_description=description
        )

    def _data_key(self, secret: bytes, wrapped: str) -> _DataKey:
        return _DataKey(
            wrapped=wrapped,
            signing=_raw_key(_subkey(secret, b"signing"), "HmacSHA256"),
            encryption=_raw_key(_subkey(secret, b"encryption"), "AES"),
            expires=self._clock() + self._max_age,
            items_left=self._max_items,
        )


def _subkey(secret: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=b"vault card " + use).derive(secret)


@dataclass(frozen=True, slots=True)
class KeyMaterials:
    """Both strategies under one KMS key."""

    per_item: Provider
    reused: Provider


class CardMaterials(CryptographicMaterialsProvider):  # type: ignore[misc]
    """Seals under one KMS key of a list by the strategy that the operator chose; opens what any of the list sealed.

    Opening raises `RecordTampered` for an item that names a key which is not on the list (PCI DSS 3.7.7).

    :param keys: by what stands in their items; see `CardKey.id`
    """

    def __init__(self, *, keys: Mapping[str, KeyMaterials], sealing: str, seal_with_reused: bool) -> None:
        self._keys = keys
        self._sealing_id = sealing
        self._sealing = keys[sealing].reused if seal_with_reused else keys[sealing].per_item

    def encryption_materials(self, encryption_context: EncryptionContext) -> RawEncryptionMaterials:
        if self._sealing_id:
            encryption_context.material_description[KEY_MARK] = self._sealing_id
        return self._sealing.encryption_materials(encryption_context)

    def decryption_materials(self, encryption_context: EncryptionContext) -> RawDecryptionMaterials:
        # The description is not signed. Changing it picks the wrong keys, and the signature then fails.
        description = encryption_context.material_description
        key = self._keys.get(description.get(KEY_MARK, ""))
        if key is None:
            raise RecordTampered(Tampering.FOREIGN_KEY)
        provider = key.reused if _REUSED_MARK in description else key.per_item
        return provider.decryption_materials(encryption_context)
