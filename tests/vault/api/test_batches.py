"""Many cards in one request: answered row by row, or none (trial A7)."""

import pytest

from tests.factories import client_of, make_card, make_user, next_year
from tests.vault.test_opening import put, raw
from vault import services
from vault.models import Allowance, AuditEvent, Card, IdempotentRequest
from vault.pan import PAN
from vault.tokens import Token

pytestmark = pytest.mark.django_db
BATCH, READING = "/api/v1/tokens/batch/", "/api/v1/tokens/detokenize/"
SIGNATURE = "*amzn-ddb-map-sig*"
PURPOSE = {"purpose": "refund", "reason": "charged twice"}


@pytest.fixture
def api():
    return client_of(make_user("shop", "vault.tokenize_pan"))


@pytest.fixture
def reader(settings):
    settings.VAULT = settings.VAULT | {"READ_BUDGET": 10}
    return client_of(make_user("job", "vault.detokenize_pan", "vault.detokenize_unattended"))


@pytest.fixture
def cards(canary, leaks):
    """Three cards, whose numbers may be answered."""
    digits = [canary(f"card {number}") for number in range(3)]
    for number in range(3):
        leaks.allow(f"card {number}", sink="http", reason="the number is what was asked for")
    return {make_card(each).token: each for each in digits}


def rows_of(answer, *names):
    return [tuple(row.get(name) for name in names) for row in answer.json()["rows"]]


def problems_of(answer):
    return {row["index"]: row["problem"]["code"] for row in answer.json()["rows"] if row["status"] == "failed"}


# --- Keeping --------------------------------------------------------------------------------------------------------


def test_rows_say_in_order_what_became_of_them(api, canary):
    known, new = canary("known"), canary("new")
    token = make_card(known).token
    rows = [{"pan": new}, {"pan": known}, {"pan": new}, {"pan": known, "expires": f"{next_year():%Y-%m}"}]
    answer = api.post(BATCH, {"rows": rows})
    assert answer.status_code == 200
    assert rows_of(answer, "index", "status") == [(0, "created"), (1, "existing"), (2, "existing"), (3, "updated")]
    assert [row["card"]["token"] for row in answer.json()["rows"]] == [Card.objects.exclude(token=token).get().token,
        token, Card.objects.exclude(token=token).get().token, token]  # fmt: skip


def test_with_one_wrong_row_none_is_kept(api, wire, canary):
    wire.calls.clear()
    answer = api.post(BATCH, {"rows": [{"pan": canary("good")}, {"pan": "4111"}, {}]})
    assert (answer.status_code, answer.json()["code"]) == (400, "batch_refused")
    assert problems_of(answer) == {1: "invalid", 2: "invalid"}
    assert answer.json()["rows"][0]["problem"]["errors"][0]["pointer"] == "/pan"
    assert not Card.objects.exists()
    assert not sum(wire.calls.values())


def test_or_all_that_can_be_are_if_that_was_asked_for(api, canary):
    rows = [{"pan": canary("good")}, {"pan": "4111"}, {"pan": canary("too")}, ["pan"], {"pan": canary("x"), "a": 1}]
    answer = api.post(BATCH, {"rows": rows, "continue_on_error": True})
    assert answer.status_code == 207
    assert [status for (status,) in rows_of(answer, "status")] == ["created", "failed", "created", "failed", "failed"]
    assert Card.objects.count() == 2


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no rows"),
        pytest.param({"rows": []}, id="none"),
        pytest.param({"rows": [{}] * 1001}, id="too many"),
        pytest.param({"rows": {"pan": "1"}}, id="not a list"),
        pytest.param({"rows": [{}], "continue_on_error": "yes"}, id="a word for true"),
        pytest.param({"rows": [{}], "dry_run": True}, id="unknown"),
    ],
)
def test_a_batch_that_is_none_is_refused(api, wire, body):
    wire.calls.clear()
    answer = api.post(BATCH, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert not sum(wire.calls.values())


def test_a_card_number_in_the_wrong_place_refuses_the_whole_batch(api, canary):
    rows = [{"pan": canary("good")}, {"pan": canary("too"), "expires": canary("misplaced")}]
    answer = api.post(BATCH, {"rows": rows, "continue_on_error": True})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/rows/1/expires")
    assert not Card.objects.exists()


def test_when_the_vault_fails_on_the_way_the_rest_is_not_tried(api, wire, canary, monkeypatch):
    monkeypatch.setattr(services, "_CARDS_TRIED_AT_ONCE", 2)
    digits = [canary(f"row {number}") for number in range(6)]
    api.post(BATCH, {"rows": [{"pan": each} for each in digits[:2]]})
    wire.fail("TransactWriteItems", "AccessDeniedException")
    wire.calls.clear()
    answer = api.post(BATCH, {"rows": [{"pan": each} for each in digits], "continue_on_error": True})
    assert answer.status_code == 207
    assert [status for (status,) in rows_of(answer, "status")] == ["existing"] * 2 + ["failed"] * 4
    assert set(problems_of(answer).values()) == {"vault_sealed"}
    assert wire.calls["BatchGetItem"] == 2


def test_rows_that_failed_on_this_side_are_carried_out_when_the_batch_comes_again(api, wire, canary, monkeypatch):
    monkeypatch.setattr(services, "_CARDS_TRIED_AT_ONCE", 1)
    known = canary("known")
    make_card(known)
    body = {"rows": [{"pan": known}, {"pan": canary("new")}], "continue_on_error": True}
    wire.fail("TransactWriteItems", "AccessDeniedException")
    answers = [api.post(BATCH, body, headers={"Idempotency-Key": "k"})]
    wire.heal()
    answers += [api.post(BATCH, body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [207, 200, 200]
    assert [answer.has_header("Idempotency-Replayed") for answer in answers] == [False, False, True]


def test_when_no_row_was_kept_the_whole_request_failed(api, wire, canary):
    wire.fail("TransactWriteItems", "AccessDeniedException")
    answer = api.post(BATCH, {"rows": [{"pan": canary("row")}], "continue_on_error": True})
    assert (answer.status_code, answer.json()["code"]) == (503, "vault_sealed")


def test_what_fails_on_the_way_of_all_or_none_gives_out_nothing_and_can_come_again(api, wire, canary, monkeypatch):
    monkeypatch.setattr(services, "_CARDS_TRIED_AT_ONCE", 1)
    known = canary("known")
    token = make_card(known).token
    rows = [{"pan": known}, {"pan": canary("new")}]
    wire.fail("TransactWriteItems", "AccessDeniedException")
    answer = api.post(BATCH, {"rows": rows})
    assert (answer.status_code, token in answer.text, Card.objects.count()) == (503, False, 1)
    wire.heal()
    assert rows_of(api.post(BATCH, {"rows": rows}), "status") == [("existing",), ("created",)]


def test_a_card_that_was_tampered_with_is_one_row(api, vault, canary):
    digits = [canary(f"row {number}") for number in range(3)]
    make_card(digits[1])
    fingerprint = vault.store.fingerprints(PAN(digits[1]))[0]
    item = vault.store._read([fingerprint])[fingerprint]
    put(vault, item | {SIGNATURE: {"B": bytes(len(item[SIGNATURE]["B"]))}})
    answer = api.post(BATCH, {"rows": [{"pan": each} for each in digits], "continue_on_error": True})
    assert [status for (status,) in rows_of(answer, "status")] == ["created", "failed", "created"]
    assert problems_of(answer) == {1: "record_tampered"}


def test_a_batch_comes_again_as_it_was(api, canary):
    body = {"rows": [{"pan": canary("good")}, {"pan": "4111"}], "continue_on_error": True}
    answers = [api.post(BATCH, body, headers={"Idempotency-Key": "batch"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [207, 207]
    assert answers[0].json() == answers[1].json()
    assert answers[1]["Idempotency-Replayed"] == "true"


def test_each_row_counts_in_the_limit(api, canary):
    api.post(BATCH, {"rows": [{"pan": canary(f"row {number}")} for number in range(5)]})
    assert Allowance.objects.get().spent == 5


def test_a_batch_larger_than_the_limit_takes_a_whole_minute(settings, api, canary):
    settings.VAULT = settings.VAULT | {"API_LIMITS": {"tokenize_pan": 2}}
    rows = [{"pan": canary(f"row {number}")} for number in range(3)]
    assert [api.post(BATCH, {"rows": rows}).status_code for _ in range(2)] == [200, 429]
    assert Card.objects.count() == 3


def test_without_the_right_no_row_is_looked_at(wire, canary):
    wire.calls.clear()
    answer = client_of(make_user("nobody", "vault.detokenize_pan")).post(BATCH, {"rows": [{"pan": canary("row")}]})
    assert answer.status_code == 403
    assert not Card.objects.exists()
    assert not sum(wire.calls.values())


# --- Reading --------------------------------------------------------------------------------------------------------


def test_numbers_are_read_in_order_in_one_audited_operation(reader, cards):
    tokens = [*cards, next(iter(cards))]
    answer = reader.post(READING, {"tokens": tokens, **PURPOSE})
    assert answer.status_code == 200
    assert rows_of(answer, "index", "status", "token", "pan") == [
        (index, "read", token, cards[token]) for index, token in enumerate(tokens)
    ]
    intent, done = AuditEvent.objects.filter(operation="detokenize").order_by("pk")
    assert (intent.cards, intent.details["tokens"], intent.purpose) == (4, tokens, "refund")
    assert (done.outcome, done.details["opened"], done.details["failed"]) == ("done", 3, {})


def test_with_one_missing_no_card_is_opened(reader, cards, wire):
    unknown = Token.generate().text
    wire.calls.clear()
    answer = reader.post(READING, {"tokens": [*cards, unknown, "nonsense"], **PURPOSE})
    assert (answer.status_code, answer.json()["code"]) == (400, "batch_refused")
    assert "pan" not in answer.json()["rows"][0]
    assert not wire.calls["Decrypt"]


def test_an_unknown_token_and_a_malformed_one_get_the_same_answer(reader, cards):
    tokens = [*cards, Token.generate().text, "nonsense"]
    answer = reader.post(READING, {"tokens": tokens, "continue_on_error": True, **PURPOSE})
    assert answer.status_code == 207
    assert problems_of(answer) == {3: "not_found", 4: "not_found"}
    rows = answer.json()["rows"]
    assert rows[3]["problem"] == rows[4]["problem"]
    assert [row["pan"] for row in rows[:3]] == list(cards.values())


@pytest.mark.parametrize("continue_on_error", [True, False])
def test_of_a_card_that_was_tampered_with_nothing_is_given_out_and_an_alarm_is_raised(
    reader, cards, vault, continue_on_error
):
    token = list(cards)[1]
    item = raw(vault, token)
    put(vault, item | {SIGNATURE: {"B": bytes(len(item[SIGNATURE]["B"]))}})
    body = {"tokens": list(cards), "continue_on_error": continue_on_error, **PURPOSE}
    answer = reader.post(READING, body)
    assert answer.status_code == (207 if continue_on_error else 400)
    assert set(problems_of(answer).values()) == {"record_tampered"}
    assert ("pan" in answer.text) is continue_on_error
    alarm = AuditEvent.objects.get(operation="card.tampered")
    assert (alarm.token, alarm.is_alarm) == (token, True)


def test_an_erased_card_is_one_row(reader, cards):
    first, *rest = cards
    services.erase(first, actor=make_user("eraser", "vault.erase_card"), reason="asked for")
    answer = reader.post(READING, {"tokens": [first, *rest], "continue_on_error": True, **PURPOSE})
    assert problems_of(answer) == {0: "card_erased"}


def test_all_of_them_count_in_the_budget_and_too_many_lock(reader, cards, wire):
    wire.calls.clear()
    answer = reader.post(READING, {"tokens": list(cards) * 4, **PURPOSE})
    assert (answer.status_code, answer.json()["reason"]) == (403, "budget")
    assert reader.post(READING, {"tokens": list(cards)[:1], **PURPOSE}).json()["reason"] == "locked"
    assert not wire.calls["Decrypt"]


def test_what_was_read_is_not_kept_for_a_repetition(reader, cards):
    body = {"tokens": list(cards), **PURPOSE}
    answers = [reader.post(READING, body, headers={"Idempotency-Key": "reading"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert (IdempotentRequest.objects.get().answer, IdempotentRequest.objects.get().status) == ("", None)
    assert AuditEvent.objects.filter(operation="detokenize", outcome="done").count() == 2


@pytest.mark.parametrize("rights", [(), ("vault.tokenize_pan", "vault.view_card", "vault.search_pan")])
def test_without_the_right_nothing_is_read(rights, canary, wire):
    card = make_card(canary("kept"))
    wire.calls.clear()
    answer = client_of(make_user("shop", *rights)).post(
        READING, {"tokens": [card.token, Token.generate().text], "continue_on_error": True, **PURPOSE}
    )
    assert (answer.status_code, answer.json()["reason"]) == (403, "no_right")
    assert not sum(wire.calls.values())
    assert AuditEvent.objects.filter(operation="detokenize", outcome="denied").exists()
