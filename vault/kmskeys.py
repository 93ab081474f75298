"""KMS keys as an administrator sees them: made, described, named and disabled, and never used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from vault.aws import aws_boundary
from vault.keyring import key_id

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_kms.type_defs import TagTypeDef

_ROTATION_DAYS: Final = 365
# AWS KMS Developer Guide, "Key spec reference".
CARD_KEY_ALGORITHM: Final = "AES-256-GCM"
_ALGORITHMS: Final = {"SYMMETRIC_DEFAULT": CARD_KEY_ALGORITHM, "HMAC_256": "HMAC-SHA-256"}
_BITS: Final = 256


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What KMS says of a key; its strength in bits."""

    arn: str
    algorithm: str
    bits: int
    created_at: datetime
    state: str


class KMSKeys:
    """Every call raises the states of `aws_boundary`."""

    def __init__(self, kms: KMSClient) -> None:
        self._kms = kms

    def describe(self, name: str) -> KeyFacts:
        """The facts of a key by id, ARN or alias."""
        with aws_boundary():
            found = self._kms.describe_key(KeyId=name)["KeyMetadata"]
        spec = str(found.get("KeySpec"))
        return KeyFacts(
            found["Arn"], _ALGORITHMS.get(spec, spec), _BITS, found["CreationDate"], str(found.get("KeyState"))
        )

    def create_like(self, arn: str) -> str:
        """The ARN of a new key with the policy, the tags and the description of another one, rotated every year."""
        with aws_boundary():
            old = self._kms.describe_key(KeyId=arn)["KeyMetadata"]
            new = self._kms.create_key(
                Description=old["Description"],
                KeyUsage=old["KeyUsage"],
                KeySpec=old["KeySpec"],
                # Nothing changes that later.
                MultiRegion=old.get("MultiRegion", False),
                Policy=self._kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"],
                Tags=self._tags(arn),
                # AWS would ask that whoever makes a key may change its policy. It is the policy of the key before,
                # whose administrators are this one's, and who rotates is none of them.
                BypassPolicyLockoutSafetyCheck=True,
            )["KeyMetadata"]["Arn"]
            self._kms.enable_key_rotation(KeyId=new, RotationPeriodInDays=_ROTATION_DAYS)
        return new

    def tag_like(self, arn: str, other: str) -> None:
        """Give a key the tags of another one that it lacks: roles may use a key by its tags."""
        with aws_boundary():
            there = {tag["TagKey"] for tag in self._tags(arn)}
            if missing := [tag for tag in self._tags(other) if tag["TagKey"] not in there]:
                self._kms.tag_resource(KeyId=key_id(arn), Tags=missing)

    def _tags(self, arn: str) -> list[TagTypeDef]:
        """The tags of a key that may be another's as well: those of AWS, which a stack leaves, nobody else may give."""
        pages = self._kms.get_paginator("list_resource_tags").paginate(KeyId=arn)
        return [tag for page in pages for tag in page["Tags"] if not tag["TagKey"].startswith("aws:")]

    def move_alias(self, alias: str, arn: str) -> None:
        """Let an alias stand for another key."""
        with aws_boundary():
            self._kms.update_alias(AliasName=alias, TargetKeyId=arn)

    def disable(self, arn: str) -> None:
        """Let a key open nothing until somebody enables it again."""
        with aws_boundary():
            self._kms.disable_key(KeyId=key_id(arn))
