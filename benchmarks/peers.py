"""What the vault is measured beside: AWS's own table helper, one card at a time, and bare cryptography."""

from __future__ import annotations

import hashlib
import hmac
import os
import uuid
from collections.abc import Iterable
from typing import Any, Final

import boto3
from botocore.config import Config
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from dynamodb_encryption_sdk.encrypted.table import EncryptedTable
from dynamodb_encryption_sdk.identifiers import CryptoAction
from dynamodb_encryption_sdk.material_providers.aws_kms import AwsKmsCryptographicMaterialsProvider
from dynamodb_encryption_sdk.structures import AttributeActions

from vault.pan import PAN

_REGION: Final = "eu-central-1"
_BLOCK_BITS: Final = 128


class Loop:
    """`EncryptedTable.put_item` and `get_item` in a loop with AWS's own KMS provider: the usual way.

    It recognizes no card that it has already, keeps nothing in SQL and writes no audit log.
    """

    def __init__(self, endpoint: str) -> None:
        session = boto3.session.Session(region_name=_REGION)
        config = Config(tcp_keepalive=True)
        kms = session.client("kms", endpoint_url=endpoint, config=config)
        key = f"arn:aws:kms:{_REGION}:000000000000:key/peer"
        materials = AwsKmsCryptographicMaterialsProvider(key_id=key, regional_clients={_REGION: kms})
        actions = AttributeActions(
            default_action=CryptoAction.ENCRYPT_AND_SIGN, attribute_actions={"created_at": CryptoAction.SIGN_ONLY}
        )
        self._table = EncryptedTable(
            table=session.resource("dynamodb", endpoint_url=endpoint, config=config).Table("peer"),
            materials_provider=materials,
            attribute_actions=actions,
        )

    def put(self, pans: Iterable[PAN]) -> list[str]:
        """Their tokens."""
        tokens = []
        for pan in pans:
            token = str(uuid.uuid4())
            self._table.put_item(Item={"token": token, "pan": pan.expose(), "created_at": "2026-01-02T03:04:05"})
            tokens.append(token)
        return tokens

    def get(self, tokens: Iterable[str]) -> list[Any]:
        """Their cards."""
        return [self._table.get_item(Key={"token": token})["Item"]["pan"] for token in tokens]


class Bare:
    """AES-CBC and HMAC-SHA256 over the same bytes, and nothing else."""

    def __init__(self) -> None:
        self._encryption, self._signing = os.urandom(32), os.urandom(32)

    def seal(self, secret: bytes, signed: bytes) -> tuple[bytes, bytes]:
        """The ciphertext, behind its initialization vector, and the signature over it and what is `signed`."""
        padder = PKCS7(_BLOCK_BITS).padder()
        padded = padder.update(secret) + padder.finalize()
        start = os.urandom(_BLOCK_BITS // 8)
        encryptor = Cipher(AES(self._encryption), CBC(start)).encryptor()
        sealed = start + encryptor.update(padded) + encryptor.finalize()
        return sealed, hmac.digest(self._signing, signed + sealed, hashlib.sha256)
