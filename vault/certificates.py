"""Erasure certificates: what was erased, when, by whom and why, under a MAC that KMS makes.

The key is one of its own: every process that erases may sign with it, and none of these may seal the audit log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from vault.aws import aws_boundary
from vault.exceptions import RecordTampered

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

# Set before what is signed, so that no other text under the same key can pass for a certificate.
_FORMAT: Final = b"erasure certificate 1\n"
_ALGORITHM: Final = "HMAC_SHA_256"


class Notary:
    """Signs certificates and verifies them, both by asking KMS."""

    def __init__(self, *, kms: KMSClient, key_id: str) -> None:
        self._kms = kms
        self._key_id = key_id

    def sign(self, facts: Mapping[str, Any]) -> tuple[str, str, str]:
        """The text of a certificate, its signature in base64, and the ARN of the key. Raises as `aws_boundary`."""
        content = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        with aws_boundary():
            answer = self._kms.generate_mac(KeyId=self._key_id, MacAlgorithm=_ALGORITHM, Message=_message(content))
        return content, base64.b64encode(answer["Mac"]).decode(), answer["KeyId"]

    def verify(self, *, content: str, signature: str, key: str) -> None:
        """Return if the text was signed with this key. Raises `RecordTampered`, and the states of `aws_boundary`."""
        try:
            mac = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            raise RecordTampered from None
        with aws_boundary():
            try:
                self._kms.verify_mac(KeyId=key, MacAlgorithm=_ALGORITHM, Message=_message(content), Mac=mac)
            except self._kms.exceptions.KMSInvalidMacException:
                raise RecordTampered from None


def _message(content: str) -> bytes:
    # The digest, as KMS takes 4 KB.
    return hashlib.sha256(_FORMAT + content.encode()).digest()
