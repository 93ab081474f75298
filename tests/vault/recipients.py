"""Recipients of exports: their keys, and how they open an envelope, written from RFC 7516 and 7518 alone."""

import base64
import hashlib
import json
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

MAKE = {
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-3072": lambda: rsa.generate_private_key(65537, 3072),
    "rsa-3072-e3": lambda: rsa.generate_private_key(3, 3072),
    "p-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@cache
def private_key(kind):
    return MAKE[kind]()


def public_pem(kind):
    return private_key(kind).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(kind, form=PrivateFormat.PKCS8):
    return private_key(kind).private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def public_jwk(kind):
    numbers = private_key(kind).public_key().public_numbers()
    if kind.startswith("rsa"):
        return {"kty": "RSA", "n": encoded(as_bytes(numbers.n)), "e": encoded(as_bytes(numbers.e))}
    size = (private_key(kind).key_size + 7) // 8
    x, y = (encoded(number.to_bytes(size, "big")) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": kind.upper(), "x": x, "y": y}


def thumbprint(kind):
    """RFC 7638."""
    text = json.dumps(public_jwk(kind), sort_keys=True, separators=(",", ":"))
    return encoded(hashlib.sha256(text.encode()).digest())


def as_bytes(number):
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def encoded(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def unsealed(kind, jwe):
    """Header and content of an envelope, for the owner of the private key."""
    first, wrapped, nonce, content, tag = jwe.split(".")
    header = json.loads(decoded(first))
    if header["alg"] == "RSA-OAEP-256":
        scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        key = private_key(kind).decrypt(decoded(wrapped), scheme)
    else:
        key = aes_key_unwrap(_agreed(kind, header["epk"]), decoded(wrapped))
    assert header["enc"] == "A256GCM"
    return header, json.loads(AESGCM(key).decrypt(decoded(nonce), decoded(content) + decoded(tag), first.encode()))


def _agreed(kind, epk):
    """ECDH-ES+A256KW: one round of the Concat KDF."""
    x, y = (int.from_bytes(decoded(epk[name]), "big") for name in ("x", "y"))
    curve = private_key(kind).curve
    secret = private_key(kind).exchange(ec.ECDH(), ec.EllipticCurvePublicNumbers(x, y, curve).public_key())
    name = b"ECDH-ES+A256KW"
    other = len(name).to_bytes(4, "big") + name + bytes(4) + bytes(4) + (256).to_bytes(4, "big")
    return hashlib.sha256((1).to_bytes(4, "big") + secret + other).digest()
