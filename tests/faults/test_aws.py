"""AWS fails while an order is placed: trials A1 to A7, through the API and the pages, with boto's own retries."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from billing import gunicorn_conf
from orders.models import Order
from tests.factories import client_of, make_card, make_order, make_user
from tests.faults import Point
from tests.vault.embedded.sessions import embedded_session
from tests.vault.importing_files import imported, write_csv
from vault import services
from vault.backend import Vault
from vault.exceptions import VaultUnavailable
from vault.importing import running
from vault.models import AuditEvent, Card
from vault.pan import PAN
from vault.tokens import Token

# What AWS does is the same whichever database there is.
pytestmark = [pytest.mark.django_db, pytest.mark.either]
ORDERS = "/api/v1/orders/"
CONTENT = {"name": "Milk jug", "amount": "24.90", "currency": "EUR"}
#: What AWS is asked while an order with a new card is placed.
CALLS = ["BatchGetItem", "GenerateDataKey", "TransactWriteItems"]


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """How long boto would wait between its attempts, in seconds."""
    waited = []
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=waited.append))
    return waited


@pytest.fixture
def shop():
    return make_user("shop", "orders.add_order")


@pytest.fixture
def api(shop):
    return client_of(shop)


def place(api, digits, key="a-key"):
    return api.post(ORDERS, CONTENT | {"pan": digits}, headers={"Idempotency-Key": key})


def cards_in(vault):
    pages = vault.session.dynamodb().get_paginator("scan").paginate(TableName=vault.config.TABLE)
    return [item["token"]["S"] for page in pages for item in page["Items"] if Token.is_token(item["token"]["S"])]


def items_of(vault):
    """How many items belong to cards: each has one, and one for its fingerprint."""
    keys = [item["token"]["S"] for item in vault.session.dynamodb().scan(TableName=vault.config.TABLE)["Items"]]
    return len([key for key in keys if not key.startswith("fingerprint-key")])


def outcomes(operation="tokenize"):
    return list(AuditEvent.objects.filter(operation=operation).order_by("pk").values_list("outcome", flat=True))


def assert_nothing_is_kept(vault):
    assert (Order.objects.count(), Card.objects.count(), items_of(vault)) == (0, 0, 0)
    assert outcomes() == ["intent", "failed"]


# --- A1, A4: once -------------------------------------------------------------------------------------------------------

PASSING = {
    "throttled once": ("ThrottlingException", 400, 1),
    "throttled in DynamoDB's words": ("ProvisionedThroughputExceededException", 400, 1),
    "two errors of AWS": ("InternalServerError", 500, 2),
    "two that are busy": ("ServiceUnavailable", 503, 2),
    "no answer in time": ("Timeout", 0, 1),
    "no connection": ("Refused", 0, 1),
}


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_not_seen(api, wire, vault, canary, operation, fault):
    code, status, times = PASSING[fault]
    wire.fail(operation, code, status=status, times=times)
    answer = place(api, canary("order"))
    assert answer.status_code == 201, answer.json()
    assert cards_in(vault) == [answer.json()["card"]["token"]]
    assert (Order.objects.count(), items_of(vault)) == (1, 2)
    assert outcomes() == ["intent", "done"]


# --- A2, A4: for ever ---------------------------------------------------------------------------------------------------

STAYING = {
    "throttled": ("ThrottlingException", 400),
    "errors of AWS": ("InternalServerError", 500),
    "no answer": ("Timeout", 0),
    "no connection": ("Refused", 0),
}


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("fault", STAYING)
def test_a_fault_that_stays_is_503_and_nothing_is_kept(api, wire, vault, canary, pauses, operation, fault):
    _ = vault.store
    code, status = STAYING[fault]
    wire.fail(operation, code, status=status)
    digits = canary("order")
    answer = place(api, digits)
    assert (answer.status_code, answer.json()["code"]) == (503, "vault_unavailable")
    assert answer["Retry-After"] == "5"
    assert_says_nothing_of_aws(answer)
    # What a request may take: it ends by itself before its worker is replaced.
    longest = vault.config.MAX_ATTEMPTS * (vault.config.CONNECT_TIMEOUT + vault.config.READ_TIMEOUT) + sum(pauses)
    assert longest < gunicorn_conf.timeout
    wire.heal()
    assert_nothing_is_kept(vault)
    assert place(api, digits).status_code == 201


def assert_says_nothing_of_aws(answer):
    said = f"{answer.text} {dict(answer.items())}".lower()
    assert not [word for word in ("arn:", "kms", "dynamodb", "alias/", "aws", "injected") if word in said]


# --- A3, A14: sealed ----------------------------------------------------------------------------------------------------


def a_right_is_taken_away(vault, wire):
    for operation in (*CALLS, "Decrypt"):
        wire.fail(operation, "AccessDeniedException")


def the_card_key_is_disabled(vault, wire):
    kms = vault.session.kms()
    kms.disable_key(KeyId=kms.describe_key(KeyId=vault.config.CARD_KEY)["KeyMetadata"]["KeyId"])


def the_card_key_is_about_to_be_deleted(vault, wire):
    kms = vault.session.kms()
    key = kms.describe_key(KeyId=vault.config.CARD_KEY)["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def the_table_is_deleted(vault, wire):
    # By somebody else: the guard of the vault's own session lets nobody do it.
    dynamodb = embedded_session(Path(vault.config.EMBEDDED_DIR)).client("dynamodb")
    dynamodb.update_table(TableName=vault.config.TABLE, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=vault.config.TABLE)


@pytest.mark.parametrize(
    "seal",
    [a_right_is_taken_away, the_card_key_is_disabled, the_card_key_is_about_to_be_deleted, the_table_is_deleted],
    ids=lambda seal: seal.__name__,
)
def test_a_sealed_vault_takes_and_gives_no_card_and_the_orders_are_shown(api, shop, client, wire, vault, canary, seal):
    digits = canary("kept before")
    order = make_order(shop, make_card(digits))
    seal(vault, wire)
    reader = client_of(make_user("reader", "vault.detokenize_pan", "vault.detokenize_unattended"))
    reading = {"purpose": "refund", "reason": "charged twice"}
    refused = [
        place(api, canary("new")),
        reader.post(f"/api/v1/tokens/{order.card.token}/detokenize/", reading),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (503, "vault_sealed")
        assert_says_nothing_of_aws(answer)
    assert outcomes("tokenize")[-2:] == ["intent", "failed"]
    assert outcomes("detokenize") == ["intent", "failed"]
    assert (Order.objects.count(), Card.objects.count()) == (1, 1)
    assert_the_order_is_shown(api, shop, client, order, digits)


def assert_the_order_is_shown(api, shop, client, order, digits):
    client.force_login(shop)
    pages = [client.get(address) for address in ("/", "/orders/", f"/orders/{order.public_id}/")]
    lists = [api.get(address) for address in (ORDERS, f"{ORDERS}{order.public_id}/")]
    for answer in (*pages, *lists):
        assert answer.status_code == 200
        assert digits[-4:] in answer.text
        assert "visa" in answer.text.lower()


# --- A5: an answer that was lost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", CALLS)
def test_what_landed_and_was_not_answered_is_found_by_the_retry(api, wire, vault, canary, operation):
    wire.lose_answer(operation)
    answer = place(api, canary("order"))
    assert answer.status_code == 201
    assert cards_in(vault) == [answer.json()["card"]["token"]] == [Card.objects.get().token]
    assert items_of(vault) == 2


def test_what_landed_and_was_never_answered_is_found_by_the_same_request_again(api, wire, vault, canary):
    digits = canary("order")
    wire.lose_answer("TransactWriteItems", times=vault.config.MAX_ATTEMPTS)
    first = place(api, digits)
    assert (first.status_code, first["Retry-After"], Order.objects.count()) == (503, "5", 0)
    (landed,) = cards_in(vault)
    again = place(api, digits)
    assert (again.status_code, again.json()["card"]["token"]) == (201, landed)
    assert (Order.objects.count(), Card.objects.count(), items_of(vault)) == (1, 1, 2)


# --- A6: somebody else was first ----------------------------------------------------------------------------------------


def test_a_number_that_another_process_kept_just_before_has_the_token_of_that_one(faults, vault, api, canary):
    """The look-up finds nothing; then the other one is done; then the condition on the fingerprint fails."""
    digits = canary("order")
    other = Vault(vault.config)
    winners = []

    def keep(moment):
        winners.extend(other.store.keep([PAN(digits)]))

    _ = vault.store
    faults.at(Point("before", "call TransactWriteItems"), keep)
    answer = place(api, digits)
    assert answer.status_code == 201
    assert [answer.json()["card"]["token"]] == [winner.token.text for winner in winners] == cards_in(vault)
    assert items_of(vault) == 2


def test_a_token_that_is_taken_when_it_is_written_is_drawn_again(faults, vault, api, canary):
    """The item of another card turns up under the very token that is about to be written."""
    other = Vault(vault.config)
    (kept,) = other.store.keep([PAN(canary("other"))])
    taken = []

    def take(moment):
        drawn = json.loads(moment.request.body)["TransactItems"][0]["Put"]["Item"]["token"]["S"]
        taken.append(drawn)
        dynamodb = other.session.dynamodb()
        item = dynamodb.get_item(TableName=vault.config.TABLE, Key={"token": {"S": kept.token.text}})["Item"]
        dynamodb.put_item(TableName=vault.config.TABLE, Item=item | {"token": {"S": drawn}})

    _ = vault.store
    faults.at(Point("before", "call TransactWriteItems"), take)
    digits = canary("order")
    answer = place(api, digits)
    assert answer.status_code == 201
    assert answer.json()["card"]["token"] not in taken
    # The three that there are, two of them the other card's: none is left of the attempt that failed.
    assert sorted(cards_in(vault)) == sorted([answer.json()["card"]["token"], kept.token.text, *taken])
    assert other.store.find(PAN(digits)) == Token(answer.json()["card"]["token"])


# --- A7: part of a batch ------------------------------------------------------------------------------------------------

BATCH = "/api/v1/tokens/batch/"


@pytest.fixture
def keeper():
    return client_of(make_user("keeper", "vault.tokenize_pan"))


def keys_asked(wire):
    """How many keys each BatchGetItem asked for."""
    requests = [json.loads(body) for body in wire.bodies if b'"RequestItems"' in body]
    return [len(next(iter(request["RequestItems"].values()))["Keys"]) for request in requests]


def test_of_a_batch_only_what_was_not_processed_is_asked_for_again(keeper, wire, vault, canary):
    known = [canary(f"row {number}") for number in range(4)]
    for digits in known:
        make_card(digits)
    wire.bodies.clear()
    wire.halve("BatchGetItem", times=2)
    answer = keeper.post(BATCH, {"rows": [{"pan": digits} for digits in known]})
    assert [row["status"] for row in answer.json()["rows"]] == ["existing"] * 4
    assert keys_asked(wire) == [4, 2, 1]
    # Not by trying to write what was not read.
    assert wire.calls["TransactWriteItems"] == 4
    assert items_of(vault) == 8


def test_of_a_batch_that_was_cut_off_half_way_the_next_attempt_finds_what_was_written(
    faults, wire, vault, canary, monkeypatch
):
    monkeypatch.setattr("vault.store._ACTIONS_PER_WRITE", 2)
    # Else the second would be on its way before the first has failed.
    monkeypatch.setattr("vault.sidebyside.CALLS_AT_ONCE", 1)
    pans = [PAN(canary(f"row {number}")) for number in range(2)]
    faults.at(
        Point("after", "call TransactWriteItems"), lambda moment: wire.fail("TransactWriteItems", "ThrottlingException")
    )
    with pytest.raises(VaultUnavailable):
        services.tokenize_many(pans)
    assert Card.objects.count() == 0
    (written,) = cards_in(vault)
    wire.heal()
    assert services.tokenize_many(pans)[0].token.text == written
    assert (Card.objects.count(), items_of(vault)) == (2, 4)


def test_of_a_batch_that_is_never_processed_each_row_says_so_by_its_number(faults, wire, keeper, canary, monkeypatch):
    monkeypatch.setattr(services, "_CARDS_TRIED_AT_ONCE", 1)
    known, new = canary("known"), canary("new")
    make_card(known)
    # The first row is answered; of the second nothing ever is.
    faults.at(Point("after", "call BatchGetItem"), lambda moment: wire.halve("BatchGetItem", times=float("inf")))
    answer = keeper.post(BATCH, {"rows": [{"pan": known}, {"pan": new}], "continue_on_error": True})
    assert answer.status_code == 207
    assert [row["status"] for row in answer.json()["rows"]] == ["existing", "failed"]
    assert answer.json()["rows"][1]["problem"]["code"] == "vault_unavailable"
    assert not [digits for digits in (known, new) if digits in answer.text]


def test_an_import_whose_batches_are_never_processed_ends_with_1_and_names_the_row(
    faults, wire, canary, monkeypatch, tmp_path, leaks
):
    monkeypatch.setattr(running, "BATCH", 2)
    monkeypatch.setattr(running, "PAUSES", (0, 0))
    rows = [(canary(f"row {number}"), "02/30", f"r{number}") for number in range(4)]
    for number in range(4):
        leaks.allow(f"row {number}", sink="file", reason="the file that is imported")
    table = write_csv(tmp_path / "cards.csv", rows)
    make_card(rows[0][0])
    faults.at(Point("after", "event tokenize done"), lambda moment: wire.halve("BatchGetItem", times=float("inf")))
    code, _, said = imported(table, tmp_path / "tokens.jsonl")
    assert (code, "Rows up to 3 are settled." in said) == (1, True)
    assert not [digits for digits, _, _ in rows if digits in said]
    wire.heal()
    assert imported(table, tmp_path / "tokens.jsonl")[0] == 0
    assert Card.objects.count() == 4
