import copy
import dataclasses
import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError
from dynamodb_encryption_sdk.internal.formatting.material_description import deserialize, serialize
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st

from tests.cards import NUMBERS
from tests.drawn import digits
from tests.vaults import SETTINGS
from vault.backend import current_vault
from vault.exceptions import AuditUnavailable, RecordTampered, Tampering
from vault.fingerprints import FingerprintKey
from vault.keyring import CardKey, KeyRing
from vault.materials import CardMaterials, KeyMaterials, ReusedDataKey, fingerprint_materials, kms_per_item
from vault.pan import PAN
from vault.records import (
    CARD_ATTRIBUTES,
    FINGERPRINT_ATTRIBUTES,
    MATERIAL_DESCRIPTION,
    CardRecord,
    Sealer,
    digest,
    fingerprints_of,
    key_mark,
)
from vault.store import CardStore
from vault.tokens import Token

KEY = FingerprintKey(version=1, secret=b"k" * 32)
FOREIGN = FingerprintKey(version=1, secret=b"f" * 32)


def sealer_under(key, table="cards"):
    # Static materials stand for KMS: what is tested here is what the item and its signature hold.
    return Sealer(
        table=table, card_materials=fingerprint_materials(key), fingerprint_materials={1: fingerprint_materials(key)}
    )


SEALER = sealer_under(KEY)


def record(digits=NUMBERS["visa"][0]):
    pan = PAN(digits)
    return CardRecord(Token.generate(), pan, (KEY.fingerprint(pan),), datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize("digits", [numbers[0] for numbers in NUMBERS.values()], ids=list(NUMBERS))
def test_what_was_sealed_opens_to_the_same(digits):
    card = record(digits)
    item = SEALER.seal_card(card)
    assert SEALER.open_card(item, token=card.token) == card
    assert SEALER.open_fingerprint(SEALER.seal_fingerprints(card)[0], fingerprint=card.fingerprints[0]) == card.token


def test_the_secret_is_one_encrypted_attribute_and_the_rest_is_signed_in_clear():
    card = record()
    item = SEALER.seal_card(card)
    assert item.keys() == CARD_ATTRIBUTES
    assert SEALER.seal_fingerprints(card)[0].keys() == FINGERPRINT_ATTRIBUTES
    assert item["token"] == {"S": card.token.text}
    assert item["schema_version"] == {"N": "1"}
    assert card.pan.expose().encode() not in item["payload"]["B"]
    assert len(item["payload"]["B"]) % 16 == 0


@pytest.mark.parametrize("attribute", sorted(CARD_ATTRIBUTES))
def test_a_dropped_attribute_is_noticed(attribute):
    card = record()
    item = SEALER.seal_card(card)
    del item[attribute]
    with pytest.raises(RecordTampered):
        SEALER.open_card(item, token=card.token)


@pytest.mark.parametrize("attribute", sorted(CARD_ATTRIBUTES - {"*amzn-ddb-map-desc*"}))
def test_a_changed_attribute_is_noticed(attribute):
    card = record()
    item = SEALER.seal_card(card)
    item[attribute] = changed(item[attribute])
    with pytest.raises(RecordTampered):
        SEALER.open_card(item, token=card.token)


def changed(value):
    ((kind, content),) = value.items()
    if kind == "B":
        return {"B": content[:-1] + bytes([content[-1] ^ 1])}
    return {kind: "2" if kind == "N" else content[:-1] + ("a" if content[-1] != "a" else "b")}


@pytest.mark.parametrize("junk", [b"", b"\x00", b"\x00\x00\x00\x00\x00\x00\x00\xff" * 3, b"junk" * 10])
def test_a_damaged_material_description_is_noticed(junk):
    card = record()
    item = SEALER.seal_card(card) | {"*amzn-ddb-map-desc*": {"B": junk}}
    with pytest.raises(RecordTampered):
        SEALER.open_card(item, token=card.token)


def test_an_added_attribute_is_noticed():
    card = record()
    item = SEALER.seal_card(card) | {"extra": {"S": "x"}}
    with pytest.raises(RecordTampered):
        SEALER.open_card(item, token=card.token)


def test_an_item_under_another_token_is_noticed():
    card, other = record(), record(NUMBERS["amex"][0])
    moved = SEALER.seal_card(card) | {"token": {"S": other.token.text}}
    for item, token in [(moved, other.token), (SEALER.seal_card(card), other.token)]:
        with pytest.raises(RecordTampered):
            SEALER.open_card(item, token=token)


def test_a_fingerprint_item_that_was_swapped_is_noticed():
    card, other = record(), record(NUMBERS["amex"][0])
    moved = SEALER.seal_fingerprints(card)[0] | {"token": {"S": other.fingerprints[0]}}
    with pytest.raises(RecordTampered):
        SEALER.open_fingerprint(moved, fingerprint=other.fingerprints[0])


@pytest.mark.parametrize("writer", [sealer_under(FOREIGN), sealer_under(KEY, table="elsewhere")], ids=["key", "table"])
def test_an_item_of_a_foreign_key_or_table_is_noticed(writer):
    card = record()
    with pytest.raises(RecordTampered):
        SEALER.open_card(writer.seal_card(card), token=card.token)


def test_a_planted_plaintext_item_is_noticed():
    card = record()
    planted = {name: {"S": "x"} for name in CARD_ATTRIBUTES} | {
        "token": {"S": card.token.text},
        "schema_version": {"N": "1"},
        "payload": {"B": json.dumps({"pan": card.pan.expose()}).encode()},
    }
    with pytest.raises(RecordTampered):
        SEALER.open_card(planted, token=card.token)


def test_an_unknown_schema_is_refused():
    card = record()
    item = SEALER.seal_card(card) | {"schema_version": {"N": "2"}}
    with pytest.raises(RecordTampered):
        SEALER.open_card(item, token=card.token)


def test_opening_leaves_the_item_as_it_was():
    card = record()
    item = SEALER.seal_card(card)
    before = copy.deepcopy(item)
    SEALER.open_card(item, token=card.token)
    assert item == before


def test_the_digest_tells_two_writings_of_one_card_apart():
    card = record()
    first, second = SEALER.seal_card(card), SEALER.seal_card(card)
    assert digest(first) == digest(dict(reversed(first.items())))
    assert digest(first) != digest(second)


FINGERPRINTS = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=3).map(
    lambda macs: tuple(f"fp{version}_{mac.hex()}" for version, mac in enumerate(macs, 1))
)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
RECORDS = st.builds(
    CardRecord,
    token=st.builds(Token.generate),
    pan=digits().map(PAN),
    fingerprints=FINGERPRINTS,
    created_at=st.datetimes(timezones=ZONES),
    version=st.integers(1, 10**9),
)
MATERIALS = {
    "static": lambda session: fingerprint_materials(KEY),
    "KMS per item": lambda session: kms_per_item(kms=session.kms(), key_id=KMS_KEY, session=session.botocore),
    "KMS reused": lambda session: ReusedDataKey(
        kms=session.kms(), key_id=KMS_KEY, table="cards", max_age=60, max_items=50
    ),
}
KMS_KEY = SETTINGS["CARD_KEY"]


@pytest.fixture(params=MATERIALS.values(), ids=MATERIALS)
def store(request):
    """Under each kind of materials; KMS is the embedded one. In the store, errors of KMS get their meaning."""
    session, key = current_vault().session, CardKey(KMS_KEY)
    materials = request.param(session)
    both = CardMaterials(keys={"": KeyMaterials(materials, materials)}, sealing="", seal_with_reused=False)
    return CardStore(
        dynamodb=session.dynamodb(),
        table=SETTINGS["TABLE"],
        ring=KeyRing(sealing=key, opening=(key,)),
        fingerprint_keys={1: KEY},
        sealer=Sealer(table="cards", card_materials=both, fingerprint_materials={}),
    )


once_for_all_examples = hypothesis_settings(
    max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(card=RECORDS)
@once_for_all_examples
def test_any_card_opens_to_the_same(store, card):
    item = store._sealer.seal_card(card)
    assert store.open_item(card.token, item).record == card
    stored = [value.get("B") or "".join(value.values()).encode() for value in item.values()]
    assert not any(card.pan.expose()[:9].encode() in content for content in stored)


@given(card=RECORDS, data=st.data())
@once_for_all_examples
def test_no_flipped_bit_makes_another_card(store, card, data):
    item = store._sealer.seal_card(card)
    name = data.draw(st.sampled_from(sorted(CARD_ATTRIBUTES)))
    item[name] = data.draw(flipped(item[name]))
    # The description is not signed in AWS's format: a change in what nobody reads there is none.
    assert outcome(store, item, card.token) in {"tampered", card if name == MATERIAL_DESCRIPTION else None}


def outcome(store, item, token):
    try:
        return store.open_item(token, item).record
    except RecordTampered:
        return "tampered"


DESCRIBED = ["amzn-ddb-env-alg", "amzn-ddb-env-key", "amzn-ddb-sig-alg"]


@pytest.mark.parametrize("value", [None, "", "x", "AES/128"])
@pytest.mark.parametrize("name", DESCRIBED)
@pytest.mark.parametrize("store", [MATERIALS["KMS per item"]], indirect=True, ids=["KMS per item"])
def test_a_description_that_kms_cannot_be_asked_with_is_noticed(store, name, value):
    card = record()
    item = store._sealer.seal_card(card)
    description = deserialize(item[MATERIAL_DESCRIPTION])
    assert description.pop(name)
    item[MATERIAL_DESCRIPTION] = serialize(description | ({} if value is None else {name: value}))
    assert outcome(store, item, card.token) == "tampered"


@st.composite
def flipped(draw, value):
    """An attribute in which one bit is another one; of text it stays ASCII."""
    ((kind, content),) = value.items()
    changed = bytearray(content if kind == "B" else content.encode())
    changed[draw(st.integers(0, len(changed) - 1))] ^= 1 << draw(st.integers(0, 7 if kind == "B" else 6))
    return {kind: bytes(changed) if kind == "B" else changed.decode()}


# --- Under KMS ------------------------------------------------------------------------------------------------------


def under_kms(mark=""):
    """A sealer whose data keys come from KMS, one for each item, and whose items name `mark` as their key."""
    provider = MATERIALS["KMS per item"](current_vault().session)
    materials = CardMaterials(keys={mark: KeyMaterials(provider, provider)}, sealing=mark, seal_with_reused=False)
    return Sealer(table="cards", card_materials=materials, fingerprint_materials={})


def test_kms_is_told_which_card_of_which_table_it_is_for(wire):
    card = record()
    under_kms().seal_card(card)
    (asked,) = [json.loads(body) for body in wire.bodies]
    context = asked["EncryptionContext"]
    assert (context["token"], context["*aws-kms-table*"]) == (card.token.text, "cards")


@pytest.mark.parametrize(
    "change", [{"extra": {"S": "x"}}, {"token": {"S": Token.generate().text}}], ids=["shape", "key"]
)
def test_kms_is_not_asked_for_an_item_that_the_vault_did_not_write(wire, change):
    card = record()
    item = under_kms().seal_card(card)
    wire.calls.clear()
    with pytest.raises(RecordTampered):
        under_kms().open_card(item | change, token=card.token)
    assert not wire.calls


def test_what_kms_says_reaches_the_caller_as_it_is(wire):
    card, sealer = record(), under_kms()
    item = sealer.seal_card(card)
    wire.fail("GenerateDataKey", "AccessDeniedException")
    wire.fail("Decrypt", "AccessDeniedException")
    for call in (lambda: sealer.seal_card(card), lambda: sealer.open_card(item, token=card.token)):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def test_an_answer_of_kms_without_a_key_is_no_bare_error(wire):
    card, sealer = record(), under_kms()
    item = sealer.seal_card(card)
    wire.fail("GenerateDataKey", "Empty", status=200)
    wire.fail("Decrypt", "Empty", status=200)
    for call in (lambda: sealer.seal_card(card), lambda: sealer.open_card(item, token=card.token)):
        with pytest.raises(RecordTampered):
            call()


@pytest.mark.parametrize("value", [None, "x", "AES/128"])
def test_a_data_key_that_kms_cannot_be_asked_for_is_damage(value):
    card, sealer = record(), under_kms()
    item = sealer.seal_card(card)
    description = deserialize(item[MATERIAL_DESCRIPTION])
    del description["amzn-ddb-env-key"]
    named = {} if value is None else {"amzn-ddb-env-key": value}
    item[MATERIAL_DESCRIPTION] = serialize(description | named)
    with pytest.raises(RecordTampered):
        sealer.open_card(item, token=card.token)


@contextmanager
def unrecorded():
    raise AuditUnavailable
    yield


def test_an_audit_log_that_takes_no_event_says_nothing_about_the_item():
    kms = current_vault().session.kms()
    provider = ReusedDataKey(kms=kms, key_id=KMS_KEY, table="cards", max_age=60, max_items=50, unwrapping=unrecorded)
    sealer, card = Sealer(table="cards", card_materials=provider, fingerprint_materials={}), record()
    item = sealer.seal_card(card)
    with pytest.raises(AuditUnavailable):
        sealer.open_card(item, token=card.token)


def test_what_is_no_card_and_no_token_was_not_written_by_the_vault():
    """Not even by somebody who has the keys."""
    card, materials = record(), fingerprint_materials(KEY)
    common = {"schema_version": {"N": "1"}, "created_at": {"S": card.created_at.isoformat()}}
    numbered = {"item_version": {"N": "1"}, "fingerprint": {"S": card.fingerprints[0]}}
    of_card = {"token": {"S": card.token.text}, "payload": {"B": b'{"pan":"nonsense"}'}, **common, **numbered}
    of_fingerprint = {"token": {"S": card.fingerprints[0]}, "payload": {"B": b'{"token":"nonsense"}'}, **common}

    def sealed(item):
        return SEALER._seal(item, SEALER._crypto_config(item, materials))

    with pytest.raises(RecordTampered):
        SEALER.open_card(sealed(of_card), token=card.token)
    with pytest.raises(RecordTampered):
        SEALER.open_fingerprint(sealed(of_fingerprint), fingerprint=card.fingerprints[0])


def test_an_item_names_the_key_that_it_was_sealed_under():
    assert key_mark(under_kms("key-7").seal_card(record())) == "key-7"
    assert key_mark(under_kms().seal_card(record())) == ""


@pytest.mark.parametrize("junk", [{}, {MATERIAL_DESCRIPTION: {"B": b"junk" * 10}}, {MATERIAL_DESCRIPTION: {"S": "x"}}])
def test_an_item_whose_description_cannot_be_read_names_none(junk):
    with pytest.raises(RecordTampered):
        key_mark(junk)


@pytest.mark.parametrize("fingerprint", ["nonsense", "fp2_" + "0" * 64], ids=["no fingerprint", "another key"])
def test_a_fingerprint_of_no_key_at_hand_is_foreign(fingerprint):
    card = record()
    item = SEALER.seal_fingerprint(card, card.fingerprints[0])
    with pytest.raises(RecordTampered) as refused:
        SEALER.open_fingerprint(item, fingerprint=fingerprint)
    assert refused.value.kind is Tampering.FOREIGN_KEY


def test_a_card_under_several_fingerprints_is_found_under_each():
    sealer = sealer_under(KEY)
    card = dataclasses.replace(record(), fingerprints=(f"fp1_{'0' * 64}", f"fp1_{'1' * 64}"), version=3)
    item = sealer.seal_card(card)
    assert item["fingerprint"] == {"S": " ".join(card.fingerprints)}
    assert fingerprints_of(item) == card.fingerprints
    assert sealer.open_card(item, token=card.token) == card
    for fingerprint, each in zip(card.fingerprints, sealer.seal_fingerprints(card), strict=True):
        assert sealer.open_fingerprint(each, fingerprint=fingerprint) == card.token
