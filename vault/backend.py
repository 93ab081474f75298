"""The vault of this process: clients, keys and store, put together from the settings on first use."""

from __future__ import annotations

import os
import threading
import time
from functools import cached_property

from vault.audit import audited
from vault.audit.seals import SealStore
from vault.aws import AWSSession, aws_boundary, client_config
from vault.certificates import Notary
from vault.conf import Backend, Materials, VaultConfig, vault_config
from vault.fingerprint_secrets import FingerprintKeys
from vault.fingerprints import FingerprintKey
from vault.gate import Gate, Turn
from vault.keylist import key_ring
from vault.keyring import CardKey, KeyRing
from vault.materials import CardMaterials, KeyMaterials, ReusedDataKey, fingerprint_materials, kms_per_item
from vault.reconciliation.matching import DATA_KEY, FINGERPRINT_KEY
from vault.records import Sealer
from vault.store import CardStore


class Vault:
    """One configuration of the vault, with everything in it built when it is first needed.

    Nothing here is thrown away on an error: a vault that was sealed is asked again at the next use.
    """

    def __init__(self, config: VaultConfig) -> None:
        self.config = config
        # The embedded engine waits for a disk alone, and a laptop's may well be slower than AWS when it answers.
        self._gate = Gate(0 if config.BACKEND is Backend.EMBEDDED else config.CALLS_AT_ONCE)
        self._lock = Turn(self._gate)
        self._store: CardStore | None = None
        self._ring: KeyRing | None = None
        self._read_at = 0.0
        self._fingerprint_keys: dict[int, FingerprintKey] = {}

    @cached_property
    def session(self) -> AWSSession:
        config = self.config
        # A profile that is not there is found out here.
        with aws_boundary():
            return AWSSession(
                region=config.REGION,
                decrypt_key=config.CARD_KEY,
                profile=config.PROFILE,
                endpoint_url=config.ENDPOINT_URL,
                embedded_dir=config.EMBEDDED_DIR if config.BACKEND is Backend.EMBEDDED else None,
                gate=self._gate,
                config=client_config(
                    connect_timeout=config.CONNECT_TIMEOUT,
                    read_timeout=config.READ_TIMEOUT,
                    max_attempts=config.MAX_ATTEMPTS,
                    max_connections=config.MAX_CONNECTIONS,
                ),
            )

    @cached_property
    def fingerprint_keys(self) -> FingerprintKeys:
        return FingerprintKeys(
            dynamodb=self.session.dynamodb(),
            kms=self.session.kms(),
            table=self.config.TABLE,
            key_id=self.config.FINGERPRINT_KEY,
        )

    @cached_property
    def seals(self) -> SealStore:
        config = self.config
        return SealStore(
            dynamodb=self.session.dynamodb(), kms=self.session.kms(), table=config.TABLE, key_id=config.AUDIT_KEY
        )

    @cached_property
    def notary(self) -> Notary:
        return Notary(kms=self.session.kms(), key_id=self.config.CERTIFICATE_KEY)

    @property
    def store(self) -> CardStore:
        """The card table, with the keys that are on the list. Raises `VaultError` if it cannot be opened.

        The first use unwraps the fingerprint key. The list is read again after half of KEYS_MAX_AGE: the other half
        is for what goes on with it then.
        """
        with self._lock:
            if self._store is None or self._read_at + self.config.KEYS_MAX_AGE / 2 <= time.monotonic():
                self.reload_keys()
            assert self._store is not None  # noqa: S101 - for the type checker
            return self._store

    def _is_current(self, ring: KeyRing) -> bool:
        """True if this is the list of keys of now, or was for less than half of KEYS_MAX_AGE."""
        with self._lock:
            if self._read_at + self.config.KEYS_MAX_AGE / 2 <= time.monotonic():
                self.reload_keys()
            return self._ring == ring

    @property
    def ring(self) -> KeyRing:
        """The list of keys that the store works with. Raises `VaultError` if there is none yet."""
        with self._lock:
            if self._ring is None:
                self.reload_keys()
            assert self._ring is not None  # noqa: S101 - for the type checker
            return self._ring

    def reload_keys(self) -> bool:
        """Read the list of keys now; True if it changed since this process last did."""
        with self._lock:
            # Before the question: the answer may be changed on its way, and fingerprint keys take a while to unwrap.
            asked_at = time.monotonic()
            ring = key_ring(self.config)
            has_changed = ring != self._ring
            if has_changed or self._store is None:
                self._store = self._build_store(ring)
            self._ring, self._read_at = ring, asked_at
            return has_changed

    def unwrap_fingerprint_key(self, version: int = 1) -> FingerprintKey:
        """The fingerprint key, asked of KMS. CloudTrail has the Decrypt, so the audit log has it too."""
        with audited(FINGERPRINT_KEY):
            return self.fingerprint_keys.load(version)

    def _build_store(self, ring: KeyRing) -> CardStore:
        config = self.config
        for version in ring.recognized:
            if version not in self._fingerprint_keys:
                self._fingerprint_keys[version] = self.unwrap_fingerprint_key(version)
        prints = {version: self._fingerprint_keys[version] for version in ring.recognized}
        card_materials = CardMaterials(
            keys={key.id: self._materials(key) for key in ring.opening},
            sealing=ring.sealing.id,
            seal_with_reused=config.MATERIALS is Materials.REUSED,
        )
        return CardStore(
            dynamodb=self.session.dynamodb(),
            table=config.TABLE,
            ring=ring,
            fingerprint_keys=prints,
            are_keys_current=lambda: self._is_current(ring),
            ahead=config.DATA_KEY_MAX_AGE if self._draws_ahead else 0,
            sealer=Sealer(
                table=config.TABLE,
                card_materials=card_materials,
                is_key_per_item=config.MATERIALS is Materials.PER_ITEM,
                fingerprint_materials={version: fingerprint_materials(key) for version, key in prints.items()},
            ),
        )

    @property
    def _draws_ahead(self) -> bool:
        # The only place in the gate is for those who wait.
        return self.config.DATA_KEY_AHEAD and self.config.BACKEND is Backend.AWS and self.config.CALLS_AT_ONCE != 1

    def _materials(self, key: CardKey) -> KeyMaterials:
        config = self.config
        kms = self.session.kms(decrypt_key=key.name)
        return KeyMaterials(
            per_item=kms_per_item(kms=kms, key_id=key.name, session=self.session.botocore),
            reused=ReusedDataKey(
                kms=kms,
                key_id=key.name,
                table=config.TABLE,
                max_age=config.DATA_KEY_MAX_AGE,
                max_items=config.DATA_KEY_MAX_ITEMS,
                unwrapping=lambda: audited(DATA_KEY),
                lock=Turn(self._gate),
            ),
        )


_vaults: dict[VaultConfig, Vault] = {}
_lock = threading.Lock()


def current_vault() -> Vault:
    """The vault that `settings.VAULT` describes now; the same object for the same settings within a process."""
    config = vault_config()
    with _lock:
        if config not in _vaults:
            _vaults[config] = Vault(config)
        return _vaults[config]


def _forget() -> None:
    """A forked child shares neither sockets, nor unwrapped keys, nor a lock that another thread held."""
    global _lock  # noqa: PLW0603 - a lock copied while held never opens again
    _lock = threading.Lock()
    _vaults.clear()


os.register_at_fork(after_in_child=_forget)
