"""What KMS does with its keys: data keys, ciphertexts and MACs.

A ciphertext blob is

    version (1 byte) | key id (16) | nonce (12) | AES-256-GCM ciphertext and tag

with the version, the key id and the encryption context in canonical form as associated data.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.embedded.keys import ENCRYPTION, MAC, NONCE_BYTES, Key, usable
from vault.embedded.wire import AWSError, Call, Operation, Shape, invalid

_VERSION: Final = b"\x01"
_HEADER_BYTES: Final = len(_VERSION) + 16
_TAG_BYTES: Final = 16
_MAX_DATA_KEY_BYTES: Final = 1024
_MAX_MESSAGE_BYTES: Final = 4096
_DATA_KEY_BYTES: Final = {"AES_256": 32, "AES_128": 16}


def generate_data_key(call: Call) -> dict[str, Any]:
    key = usable(call, call.parameters["KeyId"], ENCRYPTION)
    data_key = secrets.token_bytes(_data_key_bytes(call))
    return {"KeyId": key.arn, "Plaintext": _encode(data_key), "CiphertextBlob": _encode(_seal(call, key, data_key))}


def generate_data_key_without_plaintext(call: Call) -> dict[str, Any]:
    answer = generate_data_key(call)
    del answer["Plaintext"]
    return answer


def _data_key_bytes(call: Call) -> int:
    parameters = call.parameters
    if ("KeySpec" in parameters) == ("NumberOfBytes" in parameters):
        raise invalid("Please specify either number of bytes or key spec.")
    length: int = _DATA_KEY_BYTES[parameters["KeySpec"]] if "KeySpec" in parameters else parameters["NumberOfBytes"]
    if not 1 <= length <= _MAX_DATA_KEY_BYTES:
        raise invalid("NumberOfBytes must be between 1 and 1024.")
    return length


def encrypt(call: Call) -> dict[str, Any]:
    key = usable(call, call.parameters["KeyId"], ENCRYPTION)
    blob = _seal(call, key, _message(call, "Plaintext"))
    return {"KeyId": key.arn, "CiphertextBlob": _encode(blob), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}


def decrypt(call: Call) -> dict[str, Any]:
    """Open a blob with the key that it names, which must be the one in KeyId if the request gives one."""
    blob = _decode(call, "CiphertextBlob")
    key_id = named_key(call)
    key = usable(call, call.parameters["KeyId"], ENCRYPTION) if "KeyId" in call.parameters else _named(call, key_id)
    if key.id != key_id:
        raise AWSError("IncorrectKeyException", "The key in the request did not encrypt this ciphertext.")
    plaintext = _encode(_open(call, key, blob))
    return {"KeyId": key.arn, "Plaintext": plaintext, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}


def named_key(call: Call) -> str:
    """The id of the key that a ciphertext names, be there one or not."""
    blob = _decode(call, "CiphertextBlob")
    if len(blob) <= _HEADER_BYTES + NONCE_BYTES + _TAG_BYTES or not blob.startswith(_VERSION):
        raise AWSError("InvalidCiphertextException")
    return str(uuid.UUID(bytes=blob[len(_VERSION) : _HEADER_BYTES]))


def _named(call: Call, key_id: str) -> Key:
    try:
        return usable(call, key_id, ENCRYPTION)
    except AWSError as error:
        if error.code != "NotFoundException":
            raise
    # KMS does not tell a caller who names no key whether the key of a ciphertext exists.
    raise AWSError("AccessDeniedException", "The key of this ciphertext does not exist, or you may not access it.")


def _seal(call: Call, key: Key, plaintext: bytes) -> bytes:
    header = _VERSION + uuid.UUID(key.id).bytes
    nonce = secrets.token_bytes(NONCE_BYTES)
    return header + nonce + AESGCM(key.material(call)).encrypt(nonce, plaintext, header + _context(call))


def _open(call: Call, key: Key, blob: bytes) -> bytes:
    header, rest = blob[:_HEADER_BYTES], blob[_HEADER_BYTES:]
    cipher = AESGCM(key.material(call))
    try:
        return cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], header + _context(call))
    except InvalidTag:
        raise AWSError("InvalidCiphertextException") from None


def _context(call: Call) -> bytes:
    # Sorted JSON is one text per mapping; no context and an empty one are the same, as in KMS.
    return json.dumps(call.parameters.get("EncryptionContext", {}), sort_keys=True, separators=(",", ":")).encode()


def generate_mac(call: Call) -> dict[str, Any]:
    key, mac = _mac(call)
    return {"KeyId": key.arn, "Mac": _encode(mac), "MacAlgorithm": "HMAC_SHA_256"}


def verify_mac(call: Call) -> dict[str, Any]:
    key, mac = _mac(call)
    if not hmac.compare_digest(mac, _decode(call, "Mac")):
        raise AWSError("KMSInvalidMacException", "The MAC is not the one of this message.")
    return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": "HMAC_SHA_256"}


def _mac(call: Call) -> tuple[Key, bytes]:
    key = usable(call, call.parameters["KeyId"], MAC)
    return key, hmac.digest(key.material(call), _message(call, "Message"), hashlib.sha256)


def _message(call: Call, name: str) -> bytes:
    message = _decode(call, name)
    if not 1 <= len(message) <= _MAX_MESSAGE_BYTES:
        raise invalid(f"{name} must have between 1 and 4096 bytes.")
    return message


def _decode(call: Call, name: str) -> bytes:
    try:
        return base64.b64decode(call.parameters[name], validate=True)
    except ValueError:
        raise AWSError("SerializationException", f"{name} is not in base64.") from None


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


_DATA_KEY: Final = Shape(("KeyId",), ("EncryptionContext", "NumberOfBytes"), {"KeySpec": tuple(_DATA_KEY_BYTES)})
_SYMMETRIC: Final = {"EncryptionAlgorithm": ("SYMMETRIC_DEFAULT",)}
_HMAC: Final = {"MacAlgorithm": ("HMAC_SHA_256",)}

OPERATIONS: Final[dict[str, Operation]] = {
    "GenerateDataKey": Operation(generate_data_key, _DATA_KEY),
    "GenerateDataKeyWithoutPlaintext": Operation(generate_data_key_without_plaintext, _DATA_KEY),
    "Encrypt": Operation(encrypt, Shape(("KeyId", "Plaintext"), ("EncryptionContext",), _SYMMETRIC)),
    "Decrypt": Operation(decrypt, Shape(("CiphertextBlob",), ("KeyId", "EncryptionContext"), _SYMMETRIC)),
    "GenerateMac": Operation(generate_mac, Shape(("KeyId", "Message", "MacAlgorithm"), (), _HMAC)),
    "VerifyMac": Operation(verify_mac, Shape(("KeyId", "Message", "Mac", "MacAlgorithm"), (), _HMAC)),
}
