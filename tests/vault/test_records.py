import copy
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st

from tests.cards import NUMBERS
from vault.exceptions import RecordTampered
from vault.fingerprints import FingerprintKey
from vault.materials import fingerprint_materials
from vault.pan import PAN
from vault.records import CARD_ATTRIBUTES, FINGERPRINT_ATTRIBUTES, CardRecord, Sealer, digest
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


@given(flip=st.integers(0, 10_000))
@hypothesis_settings(database=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_of_ciphertext_or_signature_is_noticed(flip):
    card = record()
    item = SEALER.seal_card(card)
    name = ("payload", "*amzn-ddb-map-sig*")[flip % 2]
    content = bytearray(item[name]["B"])
    content[flip % len(content)] ^= 1 << (flip % 8)
    with pytest.raises(RecordTampered):
        SEALER.open_card(item | {name: {"B": bytes(content)}}, token=card.token)
