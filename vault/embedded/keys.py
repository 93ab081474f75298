"""KMS's keys: their material at rest, their names, and what their state permits."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.embedded import keyfile
from vault.embedded.wire import AWSError, Call

ACCOUNT: Final = "000000000000"
ENCRYPTION: Final = "ENCRYPT_DECRYPT"
MAC: Final = "GENERATE_VERIFY_MAC"
NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Key:
    """A row of `keys`: the material wrapped under the master key, and in `details` all that may change."""

    id: str
    region: str
    wrapped: bytes
    details: dict[str, Any]

    @property
    def arn(self) -> str:
        return f"arn:aws:kms:{self.region}:{ACCOUNT}:key/{self.id}"

    @property
    def usage(self) -> str:
        return str(self.details["KeyUsage"])

    @property
    def is_pending_deletion(self) -> bool:
        return "DeletionDate" in self.details

    @property
    def state(self) -> str:
        if self.is_pending_deletion:
            return "PendingDeletion"
        return "Enabled" if self.details["Enabled"] else "Disabled"

    def material(self, call: Call) -> bytes:
        """The 256 bits of the key in clear. Callers use them at once and keep them nowhere."""
        nonce, sealed = self.wrapped[:NONCE_BYTES], self.wrapped[NONCE_BYTES:]
        try:
            return AESGCM(keyfile.load(call.directory)).decrypt(nonce, sealed, self.id.encode())
        except InvalidTag:
            raise AWSError("KMSInvalidStateException", "The master key file is not the one of this key.") from None


def find(call: Call, key_id: str) -> Key:
    """The key with this id or ARN in the region of the call; the operations that change a key take no alias."""
    prefix = f"arn:aws:kms:{call.region}:{ACCOUNT}:key/"
    row = call.connection.execute(
        "SELECT id, region, wrapped, details FROM keys WHERE region = ? AND id = ?",
        (call.region, key_id.removeprefix(prefix)),
    ).fetchone()
    key = row and Key(row[0], row[1], row[2], json.loads(row[3]))
    # Once its waiting period is over a key is gone, and no cancellation brings it back.
    if key is None or key.details.get("DeletionDate", time.time() + 1) <= time.time():
        raise AWSError("NotFoundException", "The key does not exist.")
    return key


def resolve(call: Call, name: str) -> Key:
    """The key with this id, ARN, alias or alias ARN."""
    alias = name.removeprefix(alias_arn(call, ""))
    if not alias.startswith("alias/"):
        return find(call, name)
    row = call.connection.execute(
        "SELECT key_id FROM aliases WHERE region = ? AND name = ?", (call.region, alias)
    ).fetchone()
    if row is None:
        raise AWSError("NotFoundException", "The alias does not exist.")
    return find(call, row[0])


def usable(call: Call, name: str, usage: str) -> Key:
    """The key that `resolve` finds, if its state and its usage permit cryptographic operations."""
    key = resolve(call, name)
    require_not_pending(key)
    require_enabled(key)
    if key.usage != usage:
        raise AWSError("InvalidKeyUsageException", "The KeyUsage of the key does not permit this operation.")
    return key


def require_not_pending(key: Key) -> None:
    if key.is_pending_deletion:
        raise AWSError("KMSInvalidStateException", "The key is pending deletion.")


def require_enabled(key: Key) -> None:
    if not key.details["Enabled"]:
        raise AWSError("DisabledException", "The key is disabled.")


def alias_arn(call: Call, name: str) -> str:
    return f"arn:aws:kms:{call.region}:{ACCOUNT}:{name}"
