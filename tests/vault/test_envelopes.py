import json

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.serialization import PrivateFormat

from tests.vault.recipients import (
    decoded,
    encoded,
    private_key,
    private_pem,
    public_jwk,
    public_pem,
    thumbprint,
    unsealed,
)
from vault.envelopes import RecipientKey
from vault.exceptions import InvalidRecipientKey, KeyProblem
from vault.redaction import contains_pan

TOKEN = "tok1_9b2f6c1e-58a3-4c0f-9d43-2f6f4be1a7c0"
GOOD = {"rsa-3072": "RSA 3072 bits", "p-256": "EC P-256", "p-384": "EC P-384"}


def with_private_part(kind):
    return json.dumps(public_jwk(kind) | {"d": "AQAB"})


# Made when they are needed: a key of RSA takes a while.
BAD = {
    "RSA 2048": (lambda: public_pem("rsa-2048"), KeyProblem.SHORT),
    "RSA 2048 as JWK": (lambda: json.dumps(public_jwk("rsa-2048")), KeyProblem.SHORT),
    "RSA with exponent 3": (lambda: public_pem("rsa-3072-e3"), KeyProblem.SHORT),
    "RSA of one huge number": (
        lambda: json.dumps({"kty": "RSA", "e": "AQAB", "n": encoded(b"\xff" * 1100)}),
        KeyProblem.SHORT,
    ),
    "P-521": (lambda: public_pem("p-521"), KeyProblem.KIND),
    "secp256k1": (lambda: public_pem("secp256k1"), KeyProblem.KIND),
    "Ed25519": (lambda: public_pem("ed25519"), KeyProblem.KIND),
    "for signatures": (lambda: json.dumps(public_jwk("p-256") | {"use": "sig"}), KeyProblem.KIND),
    "private, PKCS 8": (lambda: private_pem("rsa-3072"), KeyProblem.PRIVATE),
    "private, PKCS 1": (lambda: private_pem("rsa-3072", PrivateFormat.TraditionalOpenSSL), KeyProblem.PRIVATE),
    "private, SEC 1": (lambda: private_pem("p-256", PrivateFormat.TraditionalOpenSSL), KeyProblem.PRIVATE),
    "private beside public": (lambda: public_pem("p-256") + private_pem("p-256"), KeyProblem.PRIVATE),
    "private JWK, RSA": (lambda: with_private_part("rsa-3072"), KeyProblem.PRIVATE),
    "private JWK, EC": (lambda: with_private_part("p-256"), KeyProblem.PRIVATE),
    "private in a set": (lambda: f'{{"keys": [{with_private_part("p-256")}]}}', KeyProblem.PRIVATE),
    "secret": (lambda: '{"kty": "oct", "k": "AQAB"}', KeyProblem.PRIVATE),
    "set of public keys": (lambda: json.dumps({"keys": [public_jwk("p-256")]}), KeyProblem.KIND),
    "point off its curve": (
        lambda: json.dumps(public_jwk("p-256") | {"y": encoded(b"\1" * 32)}),
        KeyProblem.UNREADABLE,
    ),
    "JWK without numbers": (lambda: '{"kty": "RSA"}', KeyProblem.UNREADABLE),
    "JWK of other types": (lambda: '{"kty": ["RSA"]}', KeyProblem.UNREADABLE),
    "JWK of numbers": (lambda: '{"kty": "RSA", "n": 5, "e": 3}', KeyProblem.UNREADABLE),
    "broken JSON": (lambda: "{", KeyProblem.UNREADABLE),
    "deep JSON": (lambda: '{"a":' * 1_900, KeyProblem.UNREADABLE),
    "broken PEM": (lambda: public_pem("p-256").replace("M", "A"), KeyProblem.UNREADABLE),
    "ssh": (lambda: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA", KeyProblem.UNREADABLE),
    "letters": (lambda: "hello", KeyProblem.UNREADABLE),
    "no ASCII": (lambda: "ключ", KeyProblem.UNREADABLE),
    "nothing": (lambda: "", KeyProblem.UNREADABLE),
    "too long": (lambda: public_pem("p-256") + " " * 10_000, KeyProblem.UNREADABLE),
}


@pytest.mark.parametrize(("text", "problem"), BAD.values(), ids=BAD)
def test_nothing_is_sealed_to(text, problem):
    with pytest.raises(InvalidRecipientKey) as caught:
        RecipientKey.parse(text())
    assert caught.value.problem is problem
    assert str(caught.value) == problem.message


@pytest.mark.parametrize("kind", GOOD)
def test_a_key_is_the_same_however_it_is_written(kind):
    extra = json.dumps(public_jwk(kind) | {"use": "enc", "kid": "their name"})
    keys = [RecipientKey.parse(text) for text in (public_pem(kind), json.dumps(public_jwk(kind)), extra)]
    assert {key.thumbprint for key in keys} == {thumbprint(kind)}
    assert keys[0].kind == GOOD[kind]
    # What else stood there is not kept.
    assert {key.text for key in keys} == {keys[0].text}
    assert json.loads(keys[2].text) == public_jwk(kind)
    assert not contains_pan(keys[0].text)


@pytest.mark.parametrize("kind", GOOD)
def test_the_recipient_opens_the_envelope(kind, canary):
    payload = {"number": canary("sealed"), "expires": "2027-11"}
    jwe = RecipientKey.parse(public_pem(kind)).seal(payload, token=TOKEN)
    header, content = unsealed(kind, jwe)
    assert content == payload
    assert (header["kid"], header["token"], header["enc"]) == (thumbprint(kind), TOKEN, "A256GCM")
    assert header["alg"] == ("RSA-OAEP-256" if kind.startswith("rsa") else "ECDH-ES+A256KW")


def test_an_envelope_with_another_token_does_not_open(canary):
    jwe = RecipientKey.parse(public_pem("p-256")).seal({"number": canary("sealed")}, token=TOKEN)
    header, _, rest = jwe.partition(".")
    other = encoded(decoded(header).replace(TOKEN.encode(), TOKEN.replace("9b2f", "9b2e").encode()))
    with pytest.raises(InvalidTag):
        unsealed("p-256", f"{other}.{rest}")


def test_the_same_card_is_sealed_otherwise_each_time(canary):
    key, payload = RecipientKey.parse(public_pem("p-256")), {"number": canary("sealed")}
    assert key.seal(payload, token=TOKEN) != key.seal(payload, token=TOKEN)
    assert private_key("p-256").key_size == key.bits
