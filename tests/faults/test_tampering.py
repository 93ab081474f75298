"""Items that somebody changed in DynamoDB, read through the API (trial A12); and tokens of no card (trial A13)."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from dynamodb_encryption_sdk.internal.formatting.material_description import serialize

from orders.models import Order
from tests.factories import client_of, make_card, make_order, make_user
from tests.vault.embedded.sessions import embedded_session
from tests.vault.fsck.broken import raw, rewritten, sealed_under
from vault.models import AuditEvent, Card
from vault.records import MATERIAL_DESCRIPTION, SIGNATURE, deserialize
from vault.tokens import Token

pytestmark = [pytest.mark.django_db, pytest.mark.either]
TOKENS, ORDERS = "/api/v1/tokens/", "/api/v1/orders/"
PURPOSE = {"purpose": "refund", "reason": "charged twice"}


@pytest.fixture
def reader():
    return client_of(make_user("reader", "vault.detokenize_pan", "vault.detokenize_unattended", "vault.view_card"))


@pytest.fixture
def cards(canary):
    return [make_card(canary("first")), make_card(canary("second"))]


def plant(vault, item):
    """Write an item as somebody does who has the table, and is not held up by the guard of the vault's own session."""
    dynamodb = embedded_session(Path(vault.config.EMBEDDED_DIR)).client("dynamodb")
    dynamodb.put_item(TableName=vault.config.TABLE, Item=item)


def read(reader, card):
    return reader.post(f"{TOKENS}{card.token}/detokenize/", PURPOSE)


# --- What can be done to an item: the item of the first card, and all else there is, to what is planted ---------------


def flipped(name):
    def flip(item, **_):
        content = item[name]["B"]
        return item | {name: {"B": content[:-1] + bytes([content[-1] ^ 1])}}

    return flip


def dropped(name):
    return lambda item, **_: {each: value for each, value in item.items() if each != name}


def rewrapped(item, other, **_):
    """The data key of another card, in its description."""
    return item | {MATERIAL_DESCRIPTION: other[MATERIAL_DESCRIPTION]}


def renamed_key(item, **_):
    described = deserialize(item[MATERIAL_DESCRIPTION]) | {"vault-card-key": "another"}
    return item | {MATERIAL_DESCRIPTION: serialize(described)}


def in_plaintext(item, vault, card, **_):
    from vault.opening import open_cards

    digits = open_cards([Token(card.token)])[0].expose()
    return item | {"payload": {"B": b'{"pan":"%s"}' % digits.encode()}}


def under_a_foreign_key(item, vault, card, **_):
    return sealed_under(vault, vault.session.kms().create_key()["KeyMetadata"]["KeyId"], card)


def older(item, vault, card, **_):
    after = rewritten(vault, card).after
    Card.objects.filter(token=card.token).update(item_version=after.version, item_digest=after.digest)
    return item


def never_recorded(item, vault, card, **_):
    rewritten(vault, card)
    return raw(vault, card.token)


TAMPERED = {
    "ciphertext changed": (flipped("payload"), "signature"),
    "ciphertext dropped": (dropped("payload"), "signature"),
    "signed attribute changed": (lambda item, **_: item | {"created_at": {"S": "2020-01-01"}}, "signature"),
    "signed attribute dropped": (dropped("fingerprint"), "signature"),
    "signature changed": (flipped(SIGNATURE), "signature"),
    "signature dropped": (dropped(SIGNATURE), "signature"),
    "material description changed": (rewrapped, "signature"),
    "material description of another key": (renamed_key, "foreign_key"),
    "material description dropped": (dropped(MATERIAL_DESCRIPTION), "signature"),
    "attribute added": (lambda item, **_: item | {"extra": {"S": "x"}}, "signature"),
    "planted in plaintext": (in_plaintext, "signature"),
    "item of another token": (lambda item, other, **_: other | {"token": item["token"]}, "other_card"),
    "wrapped by a foreign key": (under_a_foreign_key, "foreign_key"),
    "older version restored": (older, "older"),
    "state that was never recorded": (never_recorded, "unrecorded"),
}


@pytest.mark.parametrize("change", TAMPERED)
def test_nothing_is_given_out_and_an_alarm_is_raised(vault, reader, cards, leaks, change):
    tamper, kind = TAMPERED[change]
    if tamper is in_plaintext:
        for sink in ("aws", "dynamodb", "file"):
            leaks.allow("first", sink=sink, reason="somebody else planted it")
    card, other = cards
    items = {"item": raw(vault, card.token), "other": raw(vault, other.token)}
    plant(vault, tamper(**items, vault=vault, card=card))
    answer = read(reader, card)
    assert (answer.status_code, answer.json()["code"]) == (500, "record_tampered")
    assert "pan" not in answer.json()
    alarm = AuditEvent.objects.get(operation="card.tampered")
    assert (alarm.is_alarm, alarm.token, alarm.details["kind"]) == (True, card.token, kind)
    events = AuditEvent.objects.filter(operation="detokenize").order_by("pk")
    assert list(events.values_list("outcome", flat=True)) == ["intent", "failed"]


def test_the_other_card_is_read_as_before(vault, reader, cards, leaks):
    leaks.allow("second", sink="http", reason="it is what was asked for")
    plant(vault, flipped("payload")(raw(vault, cards[0].token)))
    assert read(reader, cards[0]).status_code == 500
    assert read(reader, cards[1]).status_code == 200


# --- Tokens of no card --------------------------------------------------------------------------------------------------


def cost(vault_wire, call):
    """What an answer takes: statements on each connection and calls of AWS."""
    vault_wire.calls.clear()
    with ExitStack() as stack:
        logs = [stack.enter_context(CaptureQueriesContext(connections[alias])) for alias in ("default", "audit")]
        answer = call()
    return answer, [len(log) for log in logs], dict(vault_wire.calls)


@pytest.mark.parametrize("operation", ["detokenize", "describe"])
def test_unknown_and_erased_tokens_cost_the_same_and_ask_nothing_of_aws(wire, reader, cards, operation):
    Card.objects.filter(token=cards[0].token).update(status=Card.Status.ERASED)

    def call(token):
        address = f"{TOKENS}{token}/"
        return reader.post(f"{address}detokenize/", PURPOSE) if operation == "detokenize" else reader.get(address)

    # What is done once, such as opening a chain of the audit log, is done.
    call(Token.generate())
    unknown, *unknown_cost = cost(wire, lambda: call(Token.generate()))
    erased, *erased_cost = cost(wire, lambda: call(cards[0].token))
    assert unknown_cost == erased_cost
    assert unknown_cost[1] == {}
    assert unknown.status_code == 404
    assert erased.status_code == (410 if operation == "detokenize" else 200)
    if operation == "detokenize":
        assert unknown.json().keys() == erased.json().keys()


@pytest.mark.parametrize("malformed", ["tok1_x", "x", "TOK1_00000000-0000-4000-8000-000000000000"])
def test_a_malformed_token_is_answered_as_an_unknown_one_and_no_store_is_asked(wire, reader, cards, malformed):
    unknown = reader.post(f"{TOKENS}{Token.generate()}/detokenize/", PURPOSE)
    answer, _, calls = cost(wire, lambda: reader.post(f"{TOKENS}{malformed}/detokenize/", PURPOSE))
    assert answer.status_code == unknown.status_code == 404
    assert answer.json().keys() == unknown.json().keys()
    assert (answer.json()["code"], answer.json()["detail"]) == (unknown.json()["code"], unknown.json()["detail"])
    assert calls == {}


def test_whoever_may_not_read_learns_nothing_of_whether_a_card_is_there(wire, cards):
    nobody = client_of(make_user("nobody"))
    nobody.post(f"{TOKENS}{Token.generate()}/detokenize/", PURPOSE)
    tokens = [cards[0].token, str(Token.generate())]
    told = [cost(wire, lambda token=token: nobody.post(f"{TOKENS}{token}/detokenize/", PURPOSE)) for token in tokens]
    bodies = [{name: value for name, value in answer.json().items() if name != "request_id"} for answer, *_ in told]
    assert bodies[0] == bodies[1]
    assert told[0][1:] == told[1][1:]
    assert told[0][0].status_code == 403


def test_paying_with_a_token_of_nobody_and_with_one_of_somebody_else_cost_the_same(wire, cards):
    shop = make_user("shop", "orders.add_order")
    make_order(make_user("bob"), cards[0])
    api = client_of(shop)
    body = {"name": "Milk jug", "amount": "24.90", "currency": "EUR"}
    api.post(ORDERS, body | {"token": str(Token.generate())})
    tokens = [cards[0].token, str(Token.generate())]
    told = [cost(wire, lambda token=token: api.post(ORDERS, body | {"token": token})) for token in tokens]
    assert [answer.status_code for answer, *_ in told] == [400, 400]
    assert told[0][0].json()["errors"] == told[1][0].json()["errors"]
    assert told[0][1:] == told[1][1:]
    assert Order.objects.count() == 1
