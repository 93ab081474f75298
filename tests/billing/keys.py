"""A passkey in software: what a browser and its key would send, with each claim to be chosen."""

import hashlib
import json
import os
from dataclasses import dataclass, field

from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData

HOST = "testserver"
_Flag = AuthenticatorData.FLAG


@dataclass
class Key:
    """Of one user; `register` puts it into their account."""

    user: object
    secret: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: os.urandom(16))

    def register(self):
        public = ES256.from_cryptography_key(self.secret.public_key())
        attested = AttestedCredentialData.create(Aaguid.NONE, self.id, public)
        data = _authenticator_data(_Flag.UP | _Flag.UV | _Flag.AT, attested)
        credential = {
            **self._named(),
            "response": {
                "clientDataJSON": _client_data("webauthn.create", b"challenge"),
                "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
            },
            "clientExtensionResults": {"credProps": {"rk": True}},
        }
        return Authenticator.objects.create(
            user=self.user, type=Authenticator.Type.WEBAUTHN, data={"name": "Key", "credential": credential}
        )

    def answer(self, options, *, is_verified=True, user=None, is_forged=False) -> str:
        """What it answers to the options that a page asks with."""
        client_data = _client_data("webauthn.get", options["publicKey"]["challenge"])
        data = _authenticator_data(_Flag.UP | (_Flag.UV if is_verified else _Flag(0)))
        signed = data + hashlib.sha256(_decoded(client_data)).digest()
        signature = self.secret.sign(b"other" if is_forged else signed, ec.ECDSA(hashes.SHA256()))
        return json.dumps(
            {
                **self._named(),
                "response": {
                    "clientDataJSON": client_data,
                    "authenticatorData": websafe_encode(data),
                    "signature": websafe_encode(signature),
                    "userHandle": websafe_encode(_handle(user or self.user)),
                },
            }
        )

    def _named(self):
        return {"id": websafe_encode(self.id), "rawId": websafe_encode(self.id), "type": "public-key"}


def _authenticator_data(flags, attested=b""):
    return AuthenticatorData.create(hashlib.sha256(HOST.encode()).digest(), flags, 1, attested)


def _client_data(kind, challenge):
    challenge = challenge if isinstance(challenge, str) else websafe_encode(challenge)
    text = json.dumps({"type": kind, "challenge": challenge, "origin": f"https://{HOST}", "crossOrigin": False})
    return websafe_encode(text.encode())


def _decoded(text):
    from fido2.utils import websafe_decode

    return websafe_decode(text)


def _handle(user):
    from allauth.account.utils import user_pk_to_url_str

    return user_pk_to_url_str(user).encode()
