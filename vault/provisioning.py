"""Creating what the vault needs in an AWS account, or verifying that it is there; as often as one likes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

from vault.aws import aws_boundary
from vault.conf import VaultConfig
from vault.exceptions import VaultError
from vault.fingerprint_secrets import FingerprintKeys
from vault.records import PARTITION_KEY

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient

_ROTATION_DAYS: Final = 365
#: The tags of a KMS key: the table whose cards it is for, and what it does for them.
TABLE_TAG: Final = "vault-table"
KEY_TAG: Final = "vault-key"
_KEY_SCHEMA: Final = [{"AttributeName": PARTITION_KEY, "KeyType": "HASH"}]
_ATTRIBUTES: Final = [{"AttributeName": PARTITION_KEY, "AttributeType": "S"}]
# What the application does with a key, by the key's job; everything else is administration.
_CARD_USE: Final = ("kms:GenerateDataKey", "kms:Decrypt")
_FINGERPRINT_USE: Final = ("kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt")
_MAC_USE: Final = ("kms:GenerateMac", "kms:VerifyMac")
_SPECS: Final = {"ENCRYPT_DECRYPT": "SYMMETRIC_DEFAULT", "GENERATE_VERIFY_MAC": "HMAC_256"}
_ADMINISTRATION: Final = tuple(
    f"kms:{action}"
    for action in [
        "CancelKeyDeletion",
        "CreateAlias",
        "DeleteAlias",
        "DescribeKey",
        "DisableKey",
        "DisableKeyRotation",
        "EnableKey",
        "EnableKeyRotation",
        "GetKeyPolicy",
        "GetKeyRotationStatus",
        "ListAliases",
        "ListKeyPolicies",
        "ListResourceTags",
        "PutKeyPolicy",
        "RotateKeyOnDemand",
        "ScheduleKeyDeletion",
        "TagResource",
        "UntagResource",
        "UpdateAlias",
        "UpdateKeyDescription",
    ]
)


class ForeignTable(VaultError):
    """A table of this name has another schema. It was not touched; choose another VAULT_TABLE."""


class KeyUnusable(VaultError):
    """A KMS key of the vault is disabled, pending deletion, of another kind or of another region than the table."""


class KeyMissing(VaultError):
    """A KMS key named by id or ARN does not exist. Only a key named by alias can be created."""


class Action(StrEnum):
    UNCHANGED = "unchanged"
    CREATED = "created"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """What was done about one property of one resource, or what would be in a dry run."""

    resource: str
    action: Action
    detail: str


@dataclass(frozen=True, slots=True)
class Principals:
    """ARNs of those who may administer the keys and of those who may use them, kept apart (PCI DSS 3.6.1.3, 3.7.6).

    Where none are named, a key's policy leaves the choice to the account's IAM policies.
    """

    administration: tuple[str, ...] = ()
    use: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.administration or self.use)


@dataclass(frozen=True, slots=True)
class _Key:
    """One of the four keys: the name it is configured by, what it is for, and that in a word, as its tag has it."""

    name: str
    job: Literal["card", "fingerprint", "audit", "certificate"]
    description: str
    use: tuple[str, ...]
    condition: dict[str, str]
    usage: Literal["ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC"] = "ENCRYPT_DECRYPT"


class Provisioner:
    """Brings keys and table of one configuration to the state that the vault needs.

    :param fingerprint_version: of the secret that cards are found by now; a retired one is not made again
    :param dry_run: look at everything, change nothing, and report what would be done
    """

    def __init__(
        self,
        *,
        config: VaultConfig,
        dynamodb: DynamoDBClient,
        kms: KMSClient,
        fingerprint_keys: FingerprintKeys,
        fingerprint_version: int = 1,
        principals: Principals = Principals(),
        dry_run: bool = False,
    ) -> None:
        self._config = config
        self._dynamodb = dynamodb
        self._kms = kms
        self._fingerprint_keys = fingerprint_keys
        self._fingerprint_version = fingerprint_version
        self._principals = principals
        self._dry_run = dry_run

    def run(self) -> Iterator[Change]:
        """Do what is missing and yield each change as it was made.

        Raises `ForeignTable` before anything is touched, `KeyUnusable`, `KeyMissing`, and the states of `aws_boundary`.
        """
        table = self._table()
        for key in self._keys():
            yield from self._provision_key(key)
        yield from self._provision_table(table)
        yield from self._provision_fingerprint_secret()

    def _keys(self) -> tuple[_Key, ...]:
        table = self._config.TABLE
        card = _Key(
            self._config.CARD_KEY,
            "card",
            f"Wraps the data keys of the cards in {table}",
            _CARD_USE,
            {"kms:EncryptionContext:*aws-kms-table*": table},
        )
        fingerprint = _Key(
            self._config.FINGERPRINT_KEY,
            "fingerprint",
            f"Wraps the fingerprint secret of {table}",
            _FINGERPRINT_USE,
            {"kms:EncryptionContext:purpose": "fingerprint", "kms:EncryptionContext:table": table},
        )
        audit = _Key(
            self._config.AUDIT_KEY,
            "audit",
            f"Seals the audit log of {table}",
            _MAC_USE,
            {},
            usage="GENERATE_VERIFY_MAC",
        )
        certificate = _Key(
            self._config.CERTIFICATE_KEY,
            "certificate",
            f"Signs what was erased from {table}",
            _MAC_USE,
            {},
            usage="GENERATE_VERIFY_MAC",
        )
        return card, fingerprint, audit, certificate

    # --- Keys ----------------------------------------------------------------------------------------------------

    def _provision_key(self, key: _Key) -> Iterator[Change]:
        found = self._describe_key(key.name)
        if found is None:
            if not key.name.startswith("alias/"):
                raise KeyMissing
            yield Change(key.name, Action.CREATED, key.description)
            if self._dry_run:
                return
            found = self._create_key(key)
        self._require_usable(key, found)
        # KMS rotates no HMAC keys (AWS KMS Developer Guide, "Rotating AWS KMS keys").
        if key.usage == "ENCRYPT_DECRYPT":
            yield from self._provision_rotation(key, found["KeyId"])
        yield from self._provision_tags(key, found["KeyId"])
        yield from self._provision_policy(key, found)

    def _describe_key(self, name: str) -> dict[str, Any] | None:
        with aws_boundary():
            try:
                return dict(self._kms.describe_key(KeyId=name)["KeyMetadata"])
            except self._kms.exceptions.NotFoundException:
                return None

    def _create_key(self, key: _Key) -> dict[str, Any]:
        with aws_boundary():
            created = self._kms.create_key(
                Description=key.description,
                KeyUsage=key.usage,
                KeySpec=_SPECS[key.usage],  # type: ignore[arg-type]
                Tags=_listed(self._tags(key)),
            )["KeyMetadata"]
            try:
                self._kms.create_alias(AliasName=key.name, TargetKeyId=created["KeyId"])
            except self._kms.exceptions.AlreadyExistsException:
                # Somebody else provisions at the same time and was first; theirs is the key, ours has wrapped nothing.
                self._kms.schedule_key_deletion(KeyId=created["KeyId"], PendingWindowInDays=7)
                return dict(self._kms.describe_key(KeyId=key.name)["KeyMetadata"])
        return dict(created)

    def _require_usable(self, key: _Key, found: dict[str, Any]) -> None:
        region = found["Arn"].split(":")[3]
        is_usable = found["KeyState"] == "Enabled" and found["KeyUsage"] == key.usage
        if not is_usable or region != self._config.REGION:
            raise KeyUnusable

    def _provision_rotation(self, key: _Key, key_id: str) -> Iterator[Change]:
        with aws_boundary():
            is_rotated = self._kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"]
        yield from self._ensure(
            key.name,
            f"rotated every {_ROTATION_DAYS} days",
            is_met=is_rotated,
            change=lambda: self._kms.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=_ROTATION_DAYS),
        )

    def _tags(self, key: _Key) -> dict[str, str]:
        # Policies of roles choose keys by these, see docs/adr/0015.
        return {TABLE_TAG: self._config.TABLE, KEY_TAG: key.job}

    def _provision_tags(self, key: _Key, key_id: str) -> Iterator[Change]:
        with aws_boundary():
            pages = self._kms.get_paginator("list_resource_tags").paginate(KeyId=key_id)
            there = {tag["TagKey"]: tag["TagValue"] for page in pages for tag in page["Tags"]}
        missing = dict(self._tags(key).items() - there.items())
        yield from self._ensure(
            key.name,
            "tagged with its table and its purpose",
            is_met=not missing,
            change=lambda: self._kms.tag_resource(KeyId=key_id, Tags=_listed(missing)),
        )

    def _provision_policy(self, key: _Key, found: dict[str, Any]) -> Iterator[Change]:
        if not self._principals:
            return
        wanted = key_policy(
            account=found["Arn"].split(":")[4], principals=self._principals, use=key.use, condition=key.condition
        )
        with aws_boundary():
            current = json.loads(self._kms.get_key_policy(KeyId=found["KeyId"], PolicyName="default")["Policy"])
        yield from self._ensure(
            key.name,
            "policy names its administrators and its users",
            is_met=current == wanted,
            change=lambda: self._kms.put_key_policy(
                KeyId=found["KeyId"], PolicyName="default", Policy=json.dumps(wanted)
            ),
        )

    # --- Table ---------------------------------------------------------------------------------------------------

    def _table(self) -> dict[str, Any] | None:
        with aws_boundary():
            try:
                table: dict[str, Any] = dict(self._dynamodb.describe_table(TableName=self._config.TABLE)["Table"])
            except self._dynamodb.exceptions.ResourceNotFoundException:
                return None
        if table["KeySchema"] != _KEY_SCHEMA or table["AttributeDefinitions"] != _ATTRIBUTES:
            raise ForeignTable
        return table

    def _provision_table(self, table: dict[str, Any] | None) -> Iterator[Change]:
        name = self._config.TABLE
        if table is None:
            detail = "on demand, encrypted under KMS, deletion protection"
            yield Change(name, Action.CREATED, detail)
            if self._dry_run:
                return
            table = self._create_table()
        for detail, is_met, setting in self._table_settings(table):
            yield from self._ensure(
                name,
                detail,
                is_met=is_met,
                change=lambda setting=setting: self._update_table(setting),  # type: ignore[misc]
            )
        yield from self._provision_recovery()

    def _create_table(self) -> dict[str, Any]:
        name = self._config.TABLE
        with aws_boundary():
            # Somebody else may provision at the same time and be first; what they made is looked at next.
            with suppress(self._dynamodb.exceptions.ResourceInUseException):
                self._dynamodb.create_table(
                    TableName=name,
                    KeySchema=_KEY_SCHEMA,  # type: ignore[arg-type]
                    AttributeDefinitions=_ATTRIBUTES,  # type: ignore[arg-type]
                    BillingMode="PAY_PER_REQUEST",
                    SSESpecification={"Enabled": True, "SSEType": "KMS"},
                    DeletionProtectionEnabled=True,
                )
            self._dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 60})
        table = self._table()
        if table is None:
            raise ForeignTable
        return table

    @staticmethod
    def _table_settings(table: dict[str, Any]) -> list[tuple[str, bool, dict[str, Any]]]:
        billing = table.get("BillingModeSummary", {}).get("BillingMode")
        sse = table.get("SSEDescription", {})
        return [
            ("billed on demand", billing == "PAY_PER_REQUEST", {"BillingMode": "PAY_PER_REQUEST"}),
            (
                "encrypted under KMS",
                sse.get("Status") in {"ENABLED", "ENABLING", "UPDATING"} and sse.get("SSEType") == "KMS",
                {"SSESpecification": {"Enabled": True, "SSEType": "KMS"}},
            ),
            (
                "protected from deletion",
                bool(table.get("DeletionProtectionEnabled")),
                {"DeletionProtectionEnabled": True},
            ),
        ]

    def _update_table(self, setting: dict[str, Any]) -> None:
        self._dynamodb.update_table(TableName=self._config.TABLE, **setting)
        # DynamoDB takes one change of a table at a time.
        self._dynamodb.get_waiter("table_exists").wait(
            TableName=self._config.TABLE, WaiterConfig={"Delay": 2, "MaxAttempts": 60}
        )

    def _provision_recovery(self) -> Iterator[Change]:
        name = self._config.TABLE
        with aws_boundary():
            described = self._dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        status = described.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
        yield from self._ensure(
            name,
            "point-in-time recovery",
            is_met=status == "ENABLED",
            change=lambda: self._dynamodb.update_continuous_backups(
                TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
            ),
        )

    def _provision_fingerprint_secret(self) -> Iterator[Change]:
        if self._dry_run:
            try:
                is_there = self._fingerprint_keys.exists(self._fingerprint_version)
            except VaultError:
                is_there = False  # without the table, which a dry run does not create
            yield self._change("fingerprint secret", is_met=is_there, action=Action.CREATED)
        else:
            is_new = self._fingerprint_keys.create(self._fingerprint_version)
            yield self._change("fingerprint secret", is_met=not is_new, action=Action.CREATED)

    # --- Both ----------------------------------------------------------------------------------------------------

    def _ensure(self, resource: str, detail: str, *, is_met: bool, change: Callable[[], object]) -> Iterator[Change]:
        if not is_met and not self._dry_run:
            with aws_boundary():
                change()
        yield Change(resource, Action.UNCHANGED if is_met else Action.CHANGED, detail)

    def _change(self, detail: str, *, is_met: bool, action: Action) -> Change:
        return Change(self._config.TABLE, Action.UNCHANGED if is_met else action, detail)


def _listed(tags: dict[str, str]) -> Any:
    return [{"TagKey": name, "TagValue": value} for name, value in tags.items()]


def key_policy(
    *, account: str, principals: Principals, use: Sequence[str], condition: dict[str, str]
) -> dict[str, Any]:
    """A key policy in which no statement both administers and uses the key.

    Use is bound to the encryption context, so that the key opens items of this table alone. Where one of the two lists
    is empty, its statement names the account, and the account's IAM policies decide.
    """
    root = f"arn:aws:iam::{account}:root"

    def statement(sid: str, arns: Sequence[str], actions: Sequence[str], **more: Any) -> dict[str, Any]:
        principal = {"AWS": sorted(arns) or [root]}
        return {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": "*"} | more

    bound = {"Condition": {"StringEquals": condition}} if condition else {}
    return {
        "Version": "2012-10-17",
        "Statement": [
            statement("Administration", principals.administration, _ADMINISTRATION),
            statement("Use", principals.use, use, **bound),
            statement("Look", principals.use, ["kms:DescribeKey"]),
        ],
    }
