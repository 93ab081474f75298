"""Certificates outside the database: `vault_certificate verify` and what it does not believe."""

import base64
import io
import json
import sys

import pytest
from django.core.management import CommandError, call_command

from tests.factories import make_card, make_user
from tests.vaults import provision
from vault import evidence, services
from vault.backend import current_vault
from vault.exceptions import RecordTampered
from vault.models import AuditEvent, ErasureCertificate

pytestmark = pytest.mark.django_db


@pytest.fixture
def certificate(wire, canary):
    card = make_card(canary("card"))
    return services.erase(card.token, actor=make_user("sue", "vault.erase_card"), reason="Asked for it")


@pytest.fixture
def document(certificate):
    return evidence.document(ErasureCertificate.objects.get())


def verify(*arguments):
    """The exit code, and what was said."""
    out = io.StringIO()
    try:
        call_command("vault_certificate", "verify", *map(str, arguments), stdout=out)
    except CommandError as error:
        return error.returncode, str(error)
    return 0, out.getvalue()


def written(tmp_path, content):
    file = tmp_path / "certificate.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_a_document_is_proved(document):
    evidence.prove(document)


def test_a_downloaded_certificate_is_valid(document, tmp_path):
    code, said = verify(written(tmp_path, document))
    assert code == 0
    assert "The certificate is valid." in said
    assert document["token"] in said
    assert AuditEvent.objects.filter(operation="certificate.verify", outcome="done").count() == 1


def test_it_reads_standard_input(document, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(document)))
    assert verify("-")[0] == 0


def forged(document):
    facts = json.loads(document["content"]) | {"last4": "0000"}
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


CHANGES = {
    "content": lambda document: {"content": forged(document)},
    "one space": lambda document: {"content": document["content"] + " "},
    "signature": lambda document: {"signature": base64.b64encode(b"x" * 32).decode()},
    "short signature": lambda document: {"signature": "AAAA"},
    "no signature": lambda document: {"signature": ""},
    "no base64": lambda document: {"signature": "ä"},
    "number": lambda document: {"number": "era_" + "0" * 32},
    "token": lambda document: {"token": document["token"][:-1] + "x"},
    "time": lambda document: {"erased_at": "2020-01-01T00:00:00+00:00"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_not_valid(document, tmp_path, change):
    changed = document | change(document)
    with pytest.raises(RecordTampered):
        evidence.prove(changed)
    assert verify(written(tmp_path, changed)) == (2, "The certificate is not what was signed.")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "{}", '{"content": 1}', "[" * 90_000],
    ids=["empty", "cut", "list", "null", "no names", "other names", "deep"],
)
def test_what_is_no_certificate_is_not_judged(certificate, tmp_path, content):
    assert verify(written(tmp_path, content)) == (1, "This is not an erasure certificate.")


def test_a_value_that_is_no_text_is_not_judged(document, tmp_path):
    assert verify(written(tmp_path, document | {"token": 7}))[0] == 1


def test_a_file_that_is_not_there_is_not_judged(certificate, tmp_path):
    code, said = verify(tmp_path / "nowhere")
    assert code == 1
    assert "cannot be read" in said


def test_a_key_of_somebody_else_is_not_asked(document, tmp_path, wire):
    wire.calls.clear()
    foreign = document | {"key": document["key"][:-1] + ("0" if document["key"][-1] != "0" else "1")}
    code, said = verify(written(tmp_path, foreign))
    assert code == 1
    assert "--key" in said
    assert not wire.calls["VerifyMac"]


def test_a_key_can_be_named_that_the_vault_had_before(document, tmp_path, settings):
    settings.VAULT = settings.VAULT | {"CERTIFICATE_KEY": "alias/test-audit-2"}
    provision(current_vault())
    file = written(tmp_path, document)
    assert verify(file)[0] == 1
    assert verify("--key", document["key"], file)[0] == 0


def test_a_vault_that_does_not_answer_leaves_it_open(document, tmp_path, wire):
    wire.fail("VerifyMac", "ThrottlingException")
    assert verify(written(tmp_path, document))[0] == 1


def test_a_certificate_changed_in_the_database_raises_an_alarm(certificate):
    ErasureCertificate.objects.update(content=certificate.content.replace("sue", "bob"))
    with pytest.raises(RecordTampered):
        evidence.check(ErasureCertificate.objects.get(), actor=None)
    assert AuditEvent.objects.filter(operation="certificate.forged", is_alarm=True).count() == 1
