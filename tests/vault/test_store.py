import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cards import CANARY_BIN, NUMBERS, with_check_digit
from vault.exceptions import RecordTampered, TokenNotFound, VaultSealed, VaultUnavailable
from vault.pan import PAN
from vault.store import ItemState
from vault.tokens import Token

PANS = [PAN(numbers[0]) for numbers in NUMBERS.values()]
VISA = PANS[0]


def items(vault):
    return vault.session.dynamodb().scan(TableName=vault.config.TABLE)["Items"]


def raw(vault, key):
    return vault.session.dynamodb().get_item(TableName=vault.config.TABLE, Key={"token": {"S": str(key)}}).get("Item")


def put_raw(vault, item):
    vault.session.dynamodb().put_item(TableName=vault.config.TABLE, Item=item)


# --- The contract, on the embedded engine and on moto ---------------------------------------------------------------


def test_a_card_is_kept_found_and_opened(any_vault):
    (kept,) = any_vault.store.keep([VISA])
    assert any_vault.store.find(VISA) == kept.token
    (opened,) = any_vault.store.open([kept.token])
    assert opened.record.pan == VISA
    assert opened.state == kept.written == any_vault.store.state(kept.token)


def test_the_same_number_has_the_same_token_and_is_written_once(any_vault):
    before = len(items(any_vault))
    first, again = any_vault.store.keep([VISA]), any_vault.store.keep([VISA, VISA])
    assert {kept.token for kept in first + again} == {first[0].token}
    assert again[0].written is None
    assert len(items(any_vault)) == before + 2


def test_many_cards_come_back_in_order(any_vault):
    kept = any_vault.store.keep([*PANS, VISA])
    assert len({card.token for card in kept}) == len(PANS)
    opened = any_vault.store.open([card.token for card in reversed(kept)])
    assert [card.record.pan for card in opened] == [VISA, *reversed(PANS)]


def test_what_is_not_there_is_not_found(any_vault):
    assert any_vault.store.find(VISA) is None
    for ask in (any_vault.store.state, lambda token: any_vault.store.open([token])):
        with pytest.raises(TokenNotFound):
            ask(Token.generate())


def test_a_deleted_card_is_gone_with_its_fingerprint(any_vault):
    before = len(items(any_vault))
    (kept,) = any_vault.store.keep([VISA])
    assert any_vault.store.remove(kept.token) == 2
    assert any_vault.store.remove(kept.token) == 0
    assert any_vault.store.find(VISA) is None
    assert len(items(any_vault)) == before


def test_what_is_stored_is_sealed(any_vault):
    (kept,) = any_vault.store.keep([VISA])
    stored = str(items(any_vault))
    assert VISA.expose() not in stored
    assert stored.count(kept.token.text) == 1  # the fingerprint item holds the token, encrypted


# --- Races and faults -----------------------------------------------------------------------------------------------


def test_threads_that_keep_one_card_get_one_token(vault):
    store, before = vault.store, len(items(vault))
    with ThreadPoolExecutor(16) as pool:
        tokens = {kept.token for (kept,) in pool.map(lambda _: store.keep([VISA]), range(32))}
    assert len(tokens) == 1
    assert len(items(vault)) == before + 2


RACER = """
import sys
from vault.conf import VaultConfig
from vault.backend import Vault
from vault.pan import PAN
from tests.vaults import SETTINGS
from tests.cards import CANARY_BIN, NUMBERS, with_check_digit
vault = Vault(VaultConfig.from_settings(SETTINGS | {"BACKEND": "embedded", "EMBEDDED_DIR": sys.argv[1]}))
vault.store
sys.stdin.readline()
pans = [PAN(digits) for numbers in NUMBERS.values() for digits in numbers]
print(" ".join(kept.token.text for kept in vault.store.keep(pans)))
"""


def test_processes_that_keep_the_same_cards_get_the_same_tokens(vault):
    before = len(items(vault))
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(vault.config.EMBEDDED_DIR)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": "."},
        )
        for _ in range(4)
    ]  # fmt: skip
    answers = {racer.communicate("go\n", timeout=60)[0] for racer in racers}
    assert len(answers) == 1
    assert len(items(vault)) == before + 2 * len(answers.pop().split())


def test_a_card_kept_by_another_in_between_is_theirs(vault, wire, monkeypatch):
    """The look-up finds nothing, the write finds the winner's fingerprint."""
    (winner,) = vault.store.keep([VISA])
    look_up, answers = vault.store._look_up, iter([{}])
    monkeypatch.setattr(vault.store, "_look_up", lambda names: next(answers, None) or look_up(names))
    before = len(items(vault))
    (kept,) = vault.store.keep([VISA])
    assert (kept.token, kept.written) == (winner.token, None)
    assert len(items(vault)) == before


def test_a_token_that_is_taken_is_drawn_again(vault, monkeypatch):
    (taken,) = vault.store.keep([VISA])
    fresh = Token.generate()
    draws = iter([taken.token, fresh])
    monkeypatch.setattr("vault.store.Token.generate", lambda: next(draws))
    (kept,) = vault.store.keep([PANS[1]])
    assert kept.token == fresh
    assert vault.store.open([taken.token])[0].record.pan == VISA


@pytest.mark.parametrize("operation", ["BatchGetItem", "GenerateDataKey", "TransactWriteItems"])
@pytest.mark.parametrize(
    ("code", "status"), [("ThrottlingException", 400), ("InternalServerError", 500), ("Timeout", 0)]
)
def test_one_failure_that_passes_is_retried(vault, wire, operation, code, status):
    wire.fail(operation, code, status=status, times=1)
    (kept,) = vault.store.keep([VISA])
    assert vault.store.find(VISA) == kept.token


@pytest.mark.parametrize("operation", ["BatchGetItem", "GenerateDataKey", "TransactWriteItems"])
@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("ThrottlingException", VaultUnavailable),
        ("Timeout", VaultUnavailable),
        ("AccessDeniedException", VaultSealed),
        ("ResourceNotFoundException", VaultSealed),
    ],
)
def test_a_failure_that_stays_leaves_nothing_behind(vault, wire, operation, code, state):
    before = len(items(vault))
    wire.fail(operation, code)
    with pytest.raises(state):
        vault.store.keep([VISA])
    wire.heal()
    assert vault.store.find(VISA) is None
    assert len(items(vault)) == before


MANY = [PAN(with_check_digit(f"{CANARY_BIN}{number:07d}")) for number in range(260)]


@pytest.mark.parametrize("operation", ["BatchGetItem", "TransactWriteItems"])
def test_of_many_cards_that_failed_in_the_middle_none_is_lost_and_none_is_kept_twice(vault, wire, operation):
    before = len(scanned(vault))
    vault.store.keep(MANY[:30])
    wire.fail(operation, "AccessDeniedException", times=1)
    with pytest.raises(VaultSealed):
        vault.store.keep(MANY)
    kept = vault.store.keep(MANY)
    assert vault.store.find_many(MANY) == [card.token for card in kept]
    assert [card.record.pan for card in vault.store.open([card.token for card in kept])] == MANY
    assert len(scanned(vault)) == before + 2 * len(MANY)


def scanned(vault):
    pages = vault.session.dynamodb().get_paginator("scan").paginate(TableName=vault.config.TABLE)
    return [item for page in pages for item in page["Items"]]


def test_keys_that_changed_while_many_cards_were_kept_stop_what_is_not_yet_on_its_way(vault, monkeypatch):
    answers = iter([True, True])
    monkeypatch.setattr(vault.store, "_are_keys_current", lambda: next(answers, False))
    with pytest.raises(VaultUnavailable):
        vault.store.keep(MANY)
    # Two transactions of fifty cards each.
    assert len([token for token in vault.store.find_many(MANY) if token]) == 100


def test_the_time_to_give_up_is_bounded(vault, wire):
    wire.fail("TransactWriteItems", "ThrottlingException")
    with pytest.raises(VaultUnavailable):
        vault.store.keep([VISA])
    assert wire.calls["TransactWriteItems"] == vault.config.MAX_ATTEMPTS


def test_a_write_whose_answer_was_lost_is_found_by_the_next_try(vault, wire):
    before = len(items(vault))
    wire.lose_answer("TransactWriteItems", times=vault.config.MAX_ATTEMPTS)
    with pytest.raises(VaultUnavailable):
        vault.store.keep([VISA])
    (kept,) = vault.store.keep([VISA])
    assert vault.store.open([kept.token])[0].record.pan == VISA
    assert len(items(vault)) == before + 2


def test_a_transaction_in_the_way_of_another_is_tried_again(vault, monkeypatch):
    client, pauses = vault.store._dynamodb, []
    send, conflicts = client.transact_write_items, iter([conflict(client), conflict(client)])
    monkeypatch.setattr(vault.store, "_sleep", pauses.append)

    def sometimes(**request):
        if error := next(conflicts, None):
            raise error
        return send(**request)

    monkeypatch.setattr(client, "transact_write_items", sometimes)
    (kept,) = vault.store.keep([VISA])
    assert vault.store.open([kept.token])
    assert len(pauses) == 2
    assert pauses[0] < 1


def conflict(client):
    answer = {
        "Error": {"Code": "TransactionCanceledException"},
        "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
    }
    return client.exceptions.TransactionCanceledException(answer, "TransactWriteItems")


def test_a_transaction_refused_for_its_content_is_not_tried_again(vault, monkeypatch):
    client, calls = vault.store._dynamodb, []
    error = conflict(client)
    error.response["CancellationReasons"] = [{"Code": "ValidationError"}, {"Code": "None"}]

    def refuse(**request):
        calls.append(request)
        raise error

    monkeypatch.setattr(client, "transact_write_items", refuse)
    with pytest.raises(VaultSealed):
        vault.store.keep([VISA])
    assert len(calls) == 1


def test_conflicts_without_end_are_given_up(vault, monkeypatch):
    def always(**_):
        raise conflict(vault.store._dynamodb)

    monkeypatch.setattr(vault.store, "_sleep", lambda _: None)
    monkeypatch.setattr(vault.store._dynamodb, "transact_write_items", always)
    with pytest.raises(VaultUnavailable):
        vault.store.keep([VISA])


def test_keys_that_a_batch_left_out_are_asked_for_again(vault, monkeypatch):
    kept = vault.store.keep(PANS)
    read, sizes = vault.store._dynamodb.batch_get_item, []

    def half(RequestItems):  # noqa: N803 - boto3's name
        keys = RequestItems[vault.config.TABLE]["Keys"]
        sizes.append(len(keys))
        now, later = keys[: max(1, len(keys) // 2)], keys[max(1, len(keys) // 2) :]
        answer = read(RequestItems={vault.config.TABLE: RequestItems[vault.config.TABLE] | {"Keys": now}})
        left = {vault.config.TABLE: {"Keys": later, "ConsistentRead": True}} if later else {}
        return answer | {"UnprocessedKeys": left}

    monkeypatch.setattr(vault.store._dynamodb, "batch_get_item", half)
    monkeypatch.setattr(vault.store, "_sleep", lambda _: None)
    opened = vault.store.open([card.token for card in kept])
    assert [card.record.pan for card in opened] == PANS
    assert sizes == sorted(sizes, reverse=True)


def test_a_batch_that_never_ends_is_given_up(vault, monkeypatch):
    (kept,) = vault.store.keep([VISA])
    stuck = {"Responses": {}, "UnprocessedKeys": {vault.config.TABLE: {"Keys": [{"token": {"S": "x"}}]}}}
    monkeypatch.setattr(vault.store._dynamodb, "batch_get_item", lambda **_: stuck)
    monkeypatch.setattr(vault.store, "_sleep", lambda _: None)
    with pytest.raises(VaultUnavailable):
        vault.store.open([kept.token])


# --- What is counted ------------------------------------------------------------------------------------------------


def test_a_new_card_costs_three_calls_and_a_known_one_costs_one(vault, wire):
    _ = vault.store
    wire.calls.clear()
    vault.store.keep([VISA])
    assert dict(wire.calls) == {"BatchGetItem": 1, "GenerateDataKey": 1, "TransactWriteItems": 1}
    wire.calls.clear()
    vault.store.keep([VISA])
    assert dict(wire.calls) == {"BatchGetItem": 1}


def test_finding_a_card_asks_kms_nothing(vault, wire):
    vault.store.keep([VISA])
    wire.calls.clear()
    assert vault.store.find(VISA)
    assert dict(wire.calls) == {"BatchGetItem": 1}


# --- Items that somebody else has changed ---------------------------------------------------------------------------


def test_two_items_that_were_swapped_are_refused(vault):
    first, second = vault.store.keep(PANS[:2])
    one, two = raw(vault, first.token), raw(vault, second.token)
    put_raw(vault, two | {"token": one["token"]})
    put_raw(vault, one | {"token": two["token"]})
    for kept in (first, second):
        with pytest.raises(RecordTampered):
            vault.store.open([kept.token])


def test_a_swapped_fingerprint_is_refused(vault):
    vault.store.keep(PANS[:2])
    prints = [vault.store.fingerprints(pan)[0] for pan in PANS[:2]]
    put_raw(vault, raw(vault, prints[0]) | {"token": {"S": prints[1]}})
    with pytest.raises(RecordTampered):
        vault.store.find(PANS[1])


def test_the_state_tells_an_older_writing_from_the_last(vault):
    (kept,) = vault.store.keep([VISA])
    other = ItemState(version=1, digest="0" * 64)
    assert kept.written != other


# --- The fingerprint secret -----------------------------------------------------------------------------------------


def test_the_fingerprint_secret_is_made_once_and_lies_wrapped(any_vault):
    keys = any_vault.fingerprint_keys
    secret = keys.load().secret
    assert keys.create() is False
    assert keys.load().secret == secret
    assert secret not in raw(any_vault, "fingerprint-key#1")["wrapped_key"]["B"]


def test_two_who_make_the_fingerprint_secret_at_once_share_one(vault, monkeypatch):
    monkeypatch.setattr(vault.fingerprint_keys, "exists", lambda version: False)
    before = vault.fingerprint_keys.load()
    assert vault.fingerprint_keys.create() is False
    assert vault.fingerprint_keys.load() == before


def test_without_the_fingerprint_secret_the_vault_is_sealed(vault):
    vault.session.dynamodb().delete_item(TableName=vault.config.TABLE, Key={"token": {"S": "fingerprint-key#1"}})
    with pytest.raises(VaultSealed):
        _ = vault.store


def test_a_fingerprint_secret_of_another_place_is_refused(vault):
    kms = vault.session.kms()
    blob = kms.generate_data_key(KeyId=vault.config.FINGERPRINT_KEY, NumberOfBytes=32)["CiphertextBlob"]
    put_raw(vault, raw(vault, "fingerprint-key#1") | {"wrapped_key": {"B": blob}})
    with pytest.raises(RecordTampered):
        _ = vault.store
