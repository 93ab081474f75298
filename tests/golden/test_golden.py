import json
import os
import shutil
import socket
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from dynamodb_encryption_sdk.internal.formatting.material_description import deserialize
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from billing.second_factor import MFAAdapter
from orders.feed.models import Endpoint
from orders.feed.signing import shown_secret, signed_headers
from tests.cards import ALL_NUMBERS
from tests.factories import make_user
from tests.golden.generations import FOLDER, Generation, generations, named, write
from tests.leaks.readings import texts, unpacked
from tests.vault.exporting import ada, ask, bob, cleo, configured
from tests.vault.recipients import encoded, private_key, public_jwk
from vault import evidence, exportruns, exports, journals, services
from vault.audit.verification import export, seal, verify_export
from vault.backend import current_vault
from vault.exceptions import CardErased, RecordTampered
from vault.fingerprints import FingerprintKey, derive
from vault.models import AuditEvent, Card, ErasureCertificate
from vault.pan import PAN
from vault.records import MATERIAL_DESCRIPTION, SCHEMA_VERSION
from vault.rotation import Rotation
from vault.tokens import Token

__all__ = ["ada", "bob", "cleo", "configured"]
pytestmark = [pytest.mark.django_db, pytest.mark.either]
PURPOSE = "settlement: monthly run"
SECRET = bytes(range(32))
USES = ("fingerprint", "fingerprint item signing", "fingerprint item encryption")
NAMES = [f"{brand}:0" for brand in ("visa", "mastercard", "amex", "discover", "diners", "jcb", "unionpay", "maestro")]
ENDPOINT = {"public_id": "whk_golden", "generation": 1}
EXPIRES = date(2030, 12, 31)
MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


# --- How a generation is written ----------------------------------------------------------------------------------


@pytest.fixture
def nowhere(monkeypatch):
    """Which machine writes a generation is nobody's business."""
    monkeypatch.setattr(socket, "gethostname", lambda: "golden")


@pytest.fixture
def written(nowhere, settings, tmp_path, ada, bob, cleo):
    """A new generation, as this version writes it."""
    cards = {
        "visa:0": "per item",
        "amex:0": "reused",
        "jcb:0": "per item, second key",
        "maestro:0": "reused, second key",
    }
    tokens = {}
    for name, kind in cards.items():
        materials = "reused" if kind.startswith("reused") else "per-item"
        settings.VAULT = settings.VAULT | {"MATERIALS": materials}
        if "second key" in kind and len(tokens) == 2:
            rotation = Rotation(current_vault(), sleep=lambda _: None)
            rotation.rotate_card_key()
            rotation.add_fingerprint_key()
        current_vault().reload_keys()
        tokens[name] = services.tokenize(named(name), expires=EXPIRES).token.text
    gone = services.tokenize(named("mastercard:0")).token
    certificate = services.erase(gone, actor=make_user("eve", "vault.erase_card"), reason="Asked for it")
    seal(current_vault().seals)
    journal = tmp_path / "export.jsonl"
    asked = ask(ada, list(tokens.values())[:2])
    for approver in (bob, cleo):
        exports.approve(asked, actor=approver)
    exportruns.run(asked, journal)
    folder = tmp_path / "schema"
    write(
        folder,
        vault_folder=Path(settings.VAULT["EMBEDDED_DIR"]),
        schema_version=SCHEMA_VERSION,
        vault={"TABLE": settings.VAULT["TABLE"]},
        cards={name: {"token": token, "kind": cards[name]} for name, token in tokens.items()},
        erased={"name": "mastercard:0", "token": gone.text},
        fingerprints={name: FingerprintKey(1, SECRET).fingerprint(named(name)) for name in NAMES},
        derived={use: derive(SECRET, use=use.encode()).hex() for use in USES},
        masks={name: named(name).masked for name in NAMES},
        certificate=evidence.document(certificate),
        audit=[json.loads(line) for line in export(AuditEvent.objects.all())],
        export={"key": private_jwk(), "lines": [json.loads(line) for line in journal.read_text().splitlines()]},
        second_factor={"text": "GOLDENSECRET", "sealed": MFAAdapter().encrypt("GOLDENSECRET")},
        webhook={"secret": shown_secret(Endpoint(**ENDPOINT)), "headers": headers()},
    )
    return folder


def private_jwk():
    numbers = private_key("p-256").private_numbers()
    return public_jwk("p-256") | {"d": encoded(numbers.private_value.to_bytes(32, "big"))}


def headers():
    return signed_headers(Endpoint(**ENDPOINT), message_id="evt_1", body=b"{}", now=MOMENT)


def test_a_generation_can_be_written_and_is_complete(written):
    contents = {file.name for file in written.iterdir()}
    assert contents == {"aws.sql", "master.key.base64", "golden.json"}
    assert all({file.name for file in folder.iterdir()} == contents for folder in generations())
    if name := os.environ.get("GOLDEN"):
        # Never over what is there.
        shutil.copytree(written, FOLDER / name)


def test_every_version_of_the_record_schema_has_golden_items():
    versions = {Generation.read(folder).content["schema_version"] for folder in generations()}
    assert versions == set(range(1, SCHEMA_VERSION + 1))


# --- What a generation wrote is read ---------------------------------------------------------------------------------


@pytest.fixture(params=generations(), ids=lambda folder: folder.name)
def golden(request, settings, tmp_path):
    """A generation, put back; what was not in DynamoDB or KMS."""
    generation = Generation.read(request.param)
    generation.restore(settings, tmp_path / "golden")
    return generation.content


@pytest.fixture
def read():
    reader = make_user("ray", "vault.detokenize_pan")
    return lambda token: services.detokenize(token, actor=reader, purpose=PURPOSE)


def test_every_card_is_opened_down_to_kms(golden, read, wire):
    for name, card in golden["cards"].items():
        assert read(card["token"]) == named(name), name
    # The fingerprint keys of two versions, two cards with a data key each, two data keys of several cards.
    assert wire.calls["Decrypt"] == 6


def test_the_cards_are_of_every_kind(golden):
    store = current_vault().store
    items = store.read([Token.parse(card["token"]) for card in golden["cards"].values()])
    kinds = [deserialize(item[MATERIAL_DESCRIPTION]) for item in items.values()]
    assert {("vault-reused-data-key" in kind, "vault-card-key" in kind) for kind in kinds} == {
        (False, False), (False, True), (True, False), (True, True),
    }  # fmt: skip
    assert {len(item["fingerprint"]["S"].split(" ")) for item in items.values()} == {1, 2}


def test_every_card_is_recognized(golden):
    for name, card in golden["cards"].items():
        assert services.find(named(name)) == Token.parse(card["token"])
        found = services.tokenize(named(name))
        assert (found.token.text, found.status, found.card.masked) == (card["token"], "existing", named(name).masked)


def test_an_erased_card_stays_erased(golden, read):
    with pytest.raises(CardErased):
        read(golden["erased"]["token"])
    assert services.find(named(golden["erased"]["name"])) is None
    assert services.tokenize(named(golden["erased"]["name"])).token.text != golden["erased"]["token"]


def test_a_golden_item_that_was_changed_is_noticed(golden, read):
    token = Token.parse(golden["cards"]["visa:0"]["token"])
    vault = current_vault()
    item = vault.store.read([token])[token]
    item["created_at"] = {"S": item["created_at"]["S"].replace("20", "21", 1)}
    vault.session.dynamodb().put_item(TableName=vault.config.TABLE, Item=item)
    with pytest.raises(RecordTampered):
        vault.store.open_item(token, item)
    with pytest.raises(RecordTampered):
        read(token)


def test_masks_are_those_of_then(golden):
    """Fingerprints are compared in tests/vault/test_fingerprints.py, which needs no database."""
    assert {name: named(name).masked for name in NAMES} == golden["masks"]


def test_a_certificate_is_still_proved(golden):
    evidence.prove(golden["certificate"])
    certificate = ErasureCertificate.objects.get()
    assert evidence.document(certificate) == golden["certificate"]
    with pytest.raises(RecordTampered):
        evidence.prove(golden["certificate"] | {"content": golden["certificate"]["content"] + " "})


def test_the_audit_log_still_holds_together_and_is_what_was_sealed(golden):
    lines = golden["audit"]
    assert verify_export(lines).breaks == []
    assert verify_export([*lines[:5], lines[5] | {"actor": "x"}, *lines[6:]]).breaks != []
    digests = {(line["chain"], line["number"]): line["digest"] for line in lines}
    (sealed,) = current_vault().seals.all()
    assert len(sealed.heads) >= 2
    assert all(digests[chain, head.number] == head.digest for chain, head in sealed.heads.items())


def test_the_file_of_an_export_is_still_read(golden, tmp_path):
    file = tmp_path / "export.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in golden["export"]["lines"]))
    with journals.opened(file) as journal:
        assert journal.header["version"] == exportruns._VERSION
        entries = list(journal.entries())
    opened = {entry["token"]: unsealed(golden["export"]["key"], entry["jwe"]) for entry in entries}
    wanted = {card["token"]: named(name) for name, card in list(golden["cards"].items())[:2]}
    assert {token: PAN(payload["number"]) for token, payload in opened.items()} == wanted
    assert {payload["expires"] for payload in opened.values()} == {"2030-12"}


def unsealed(key, jwe):
    """By the library alone, as a recipient does."""
    envelope = JWE()
    envelope.deserialize(jwe, JWK(**key))
    return json.loads(envelope.payload)


def test_what_follows_from_the_secret_key_is_the_same(golden):
    assert MFAAdapter().decrypt(golden["second_factor"]["sealed"]) == golden["second_factor"]["text"]
    assert golden["webhook"] == {"secret": shown_secret(Endpoint(**ENDPOINT)), "headers": headers()}


def test_rows_say_what_they_said(golden):
    for name, card in golden["cards"].items():
        row = Card.objects.get(token=card["token"])
        assert (row.brand, row.last4, row.bin) == (named(name).brand, named(name).last4, named(name).bin)
        assert row.expires == EXPIRES


# --- And none of it is a card number -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file", [file for folder in generations() for file in folder.iterdir()], ids=lambda file: file.name
)
def test_no_card_number_stands_in_a_golden_file(file):
    content = file.read_bytes()
    readings = [text for blob in (content, *unpacked(content)) for _, text in texts(blob)]
    assert len(readings) > 1 or file.suffix == ".base64"
    assert not [digits for digits in ALL_NUMBERS if any(digits[:9].encode() in text for text in readings)]
