"""Where the secrets rest that cards are recognized by."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vault.aws import aws_boundary, put_new
from vault.exceptions import VaultSealed
from vault.fingerprints import SECRET_BYTES, FingerprintKey
from vault.records import PARTITION_KEY, SCHEMA_VERSION

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient


class FingerprintKeys:
    """The fingerprint secrets where they rest: each version wrapped under KMS, in an item beside the cards."""

    def __init__(self, *, dynamodb: DynamoDBClient, kms: KMSClient, table: str, key_id: str) -> None:
        self._dynamodb = dynamodb
        self._kms = kms
        self._table = table
        self._key_id = key_id

    def exists(self, version: int = 1) -> bool:
        """True if the wrapped secret lies in the table."""
        return self._item(version) is not None

    def create(self, version: int = 1) -> bool:
        """Make the secret if there is none; False if there was one. It is never replaced: cards are found by it."""
        if self.exists(version):
            return False
        with aws_boundary():
            wrapped = self._kms.generate_data_key_without_plaintext(
                KeyId=self._key_id, NumberOfBytes=SECRET_BYTES, EncryptionContext=self._context(version)
            )["CiphertextBlob"]
            item: Any = {
                **self._key(version),
                "schema_version": {"N": str(SCHEMA_VERSION)},
                "created_at": {"S": datetime.now(UTC).isoformat()},
                "wrapped_key": {"B": wrapped},
            }
            return put_new(self._dynamodb, table=self._table, key=PARTITION_KEY, item=item)

    def load(self, version: int = 1) -> FingerprintKey:
        """The unwrapped key: one DynamoDB and one KMS call.

        Raises `VaultSealed` if there is none or KMS refuses, `RecordTampered` if it was changed or wrapped elsewhere.
        """
        item = self._item(version)
        if item is None:
            raise VaultSealed
        with aws_boundary():
            answer = self._kms.decrypt(
                KeyId=self._key_id, CiphertextBlob=item["wrapped_key"]["B"], EncryptionContext=self._context(version)
            )
        return FingerprintKey(version=version, secret=answer["Plaintext"])

    def created_at(self, version: int = 1) -> datetime | None:
        """When the secret was made; None if there is none."""
        item = self._item(version)
        return datetime.fromisoformat(item["created_at"]["S"]) if item else None

    def destroy(self, version: int) -> None:
        """Remove the wrapped secret for good: nobody recognizes a card by it any more (PCI DSS 3.7.5)."""
        with aws_boundary():
            self._dynamodb.delete_item(TableName=self._table, Key=self._key(version))

    @staticmethod
    def _key(version: int) -> Any:
        return {PARTITION_KEY: {"S": f"fingerprint-key#{version}"}}

    def _context(self, version: int) -> dict[str, str]:
        return {"purpose": "fingerprint", "table": self._table, "version": str(version)}

    def _item(self, version: int) -> Any:
        with aws_boundary():
            answer = self._dynamodb.get_item(TableName=self._table, Key=self._key(version), ConsistentRead=True)
        return answer.get("Item")
