"""Somebody else's public key, and what is sealed to it: compact JWE (RFC 7516).

Only the owner of the private key opens an envelope. The token and the key's thumbprint stand in its protected header,
so that no envelope passes for another card's.
"""

from __future__ import annotations

import json
from typing import Any, Final, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwcrypto.common import JWException, json_encode
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from vault.exceptions import InvalidRecipientKey, KeyProblem

#: Content encryption of every envelope.
ENCRYPTION: Final = "A256GCM"
_RSA_ALGORITHM: Final = "RSA-OAEP-256"
_EC_ALGORITHM: Final = "ECDH-ES+A256KW"
_RSA_BITS: Final = range(3072, 8192 + 1)
_RSA_EXPONENT: Final = 65537
_CURVES: Final = frozenset({"P-256", "P-384"})
_PUBLIC_MEMBERS: Final = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}
# RFC 7518: private parts of RSA, EC and OKP keys, and a secret.
_SECRET_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# A key of 8192 bits takes about 1,500.
_MAX_TEXT: Final = 10_000


class RecipientKey:
    """A public key that cards may be sealed to. Holds nothing but its public numbers."""

    def __init__(self, jwk: JWK, *, bits: int, curve: str = "") -> None:
        self._jwk = jwk
        self.bits = bits
        self.curve = curve

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key in `text`, in PEM or as one JWK. Raises `InvalidRecipientKey` with the problem."""
        members = _members(text)
        names = _PUBLIC_MEMBERS.get(members.get("kty", ""))
        if names is None or members.get("use", "enc") != "enc":
            raise InvalidRecipientKey(KeyProblem.KIND)
        if members["kty"] == "EC" and members.get("crv") not in _CURVES:
            raise InvalidRecipientKey(KeyProblem.KIND)
        try:
            jwk = JWK(**{name: members[name] for name in names})
            # Whether the numbers are a key at all, and a point is on its curve, is found out here.
            key: Any = load_pem_public_key(jwk.export_to_pem())
        except (JWException, KeyError, TypeError, ValueError):
            raise InvalidRecipientKey(KeyProblem.UNREADABLE) from None
        if isinstance(key, RSAPublicKey) and (key.key_size not in _RSA_BITS or key.public_numbers().e < _RSA_EXPONENT):
            raise InvalidRecipientKey(KeyProblem.SHORT)
        return cls(jwk, bits=key.key_size, curve=members["crv"] if members["kty"] == "EC" else "")

    @property
    def algorithm(self) -> str:
        """How the content key of an envelope reaches the recipient: `alg` in its header."""
        return _EC_ALGORITHM if self.curve else _RSA_ALGORITHM

    @property
    def kind(self) -> str:
        """Type and size, for people."""
        return f"EC {self.curve}" if self.curve else f"RSA {self.bits} bits"

    @property
    def thumbprint(self) -> str:
        """RFC 7638, SHA-256: the same for one key however it was written down."""
        return str(self._jwk.thumbprint())

    @property
    def text(self) -> str:
        """The key as a JWK; `parse` reads it."""
        return str(self._jwk.export_public())

    def seal(self, payload: dict[str, str], *, token: str) -> str:
        """`payload` as a compact JWE that only the recipient opens."""
        header = {"alg": self.algorithm, "enc": ENCRYPTION, "kid": self.thumbprint, "token": token}
        envelope = JWE(json_encode(payload).encode(), json_encode(header))
        envelope.add_recipient(self._jwk)
        return str(envelope.serialize(compact=True))


def _members(text: str) -> dict[str, Any]:
    """The members of the JWK that `text` is, or that the PEM in it stands for."""
    if len(text) > _MAX_TEXT:
        raise InvalidRecipientKey(KeyProblem.UNREADABLE)
    # First of all: whatever else is pasted with it, a private key is named as such.
    if "PRIVATE KEY" in text:
        raise InvalidRecipientKey(KeyProblem.PRIVATE)
    try:
        if text.strip().startswith("{"):
            members = json.loads(text)
        else:
            members = JWK.from_pyca(load_pem_public_key(text.strip().encode("ascii"))).export_public(as_dict=True)
    except (JWException, ValueError, TypeError, RecursionError, UnsupportedAlgorithm):
        raise InvalidRecipientKey(KeyProblem.UNREADABLE) from None
    keys = members.get("keys")
    if _SECRET_MEMBERS.intersection(members) or (isinstance(keys, list) and _has_secret(keys)):
        raise InvalidRecipientKey(KeyProblem.PRIVATE)
    if not all(isinstance(members.get(name, ""), str) for name in ("kty", "crv", "use")):
        raise InvalidRecipientKey(KeyProblem.UNREADABLE)
    return dict(members)


def _has_secret(keys: list[Any]) -> bool:
    return any(isinstance(key, dict) and _SECRET_MEMBERS.intersection(key) for key in keys)
