"""Finding a card by its number and reading it back, through the API: by rights that were granted, and on record."""

import json

import pytest

from tests.factories import client_of, make_card, make_user
from vault import problems
from vault.models import AuditEvent, Card
from vault.tokens import Token

pytestmark = pytest.mark.django_db
TOKENS = "/api/v1/tokens/"
SEARCH = f"{TOKENS}search/"
PURPOSE = {"purpose": "refund", "reason": "charged twice"}


def address(card):
    return f"{TOKENS}{card.token}/detokenize/"


def send(caller, path, body):
    """A POST of JSON, by a client of the API or by a browser's."""
    return caller.post(path, json.dumps(body), content_type="application/json")


def done(operation):
    return AuditEvent.objects.filter(operation=operation, outcome="done")


@pytest.fixture
def digits(canary):
    return canary("stored card")


@pytest.fixture
def kept(wire, digits):
    """A card in the vault, after which nothing was asked of AWS."""
    card = make_card(digits)
    wire.calls.clear()
    return card


def _with_token(client, token):
    client.defaults["HTTP_AUTHORIZATION"] = f"Token {token}"
    return client


def _with_session(client):
    client.force_login(make_user("reader", "vault.detokenize_pan", "vault.search_pan"))
    return client


# Who is refused, and with what status; each is a client.
NOBODIES = {
    "anonymous": (lambda client: client, 401),
    "a token that is none": (lambda client: _with_token(client, "x" * 64), 401),
    "no right": (lambda client: client_of(make_user("shop")), 403),
    "superuser": (lambda client: client_of(make_user("root", is_staff=True, is_superuser=True)), 403),
    "other rights": (
        lambda client: client_of(make_user("shop", "vault.tokenize_pan", "vault.view_card", "vault.approve_reveal")),
        403,
    ),
    "session": (_with_session, 401),
}


@pytest.mark.parametrize("who", NOBODIES)
def test_without_the_right_nothing_is_found(who, client, wire, kept, digits):
    make, status = NOBODIES[who]
    answer = send(make(client), SEARCH, {"pan": digits})
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert kept.token not in answer.text
    assert kept.last4 not in answer.text
    assert not wire.calls
    assert not done("search").exists()


@pytest.mark.parametrize("who", NOBODIES)
def test_without_the_right_nothing_is_read(who, client, wire, kept):
    make, status = NOBODIES[who]
    answer = send(make(client), address(kept), PURPOSE)
    assert answer.status_code == status
    assert kept.last4 not in answer.text
    assert not wire.calls
    assert not done("detokenize").exists()


@pytest.mark.parametrize("operation", ["search", "detokenize"])
def test_a_refusal_says_why_and_is_recorded(kept, digits, operation):
    api = client_of(make_user("shop"))
    answer = api.post(SEARCH, {"pan": digits}) if operation == "search" else api.post(address(kept), PURPOSE)
    kind = {"search": problems.ACCESS_DENIED, "detokenize": problems.DETOKENIZATION_DENIED}[operation]
    assert answer.json() == problems.body_of(
        kind, request_id=answer["Request-Id"], detail="This right was not granted.", reason="no_right"
    )
    assert AuditEvent.objects.get(operation=operation, outcome="denied").details["refusal"] == "no_right"


# --- With the right -------------------------------------------------------------------------------------------------


@pytest.fixture
def searcher():
    return client_of(make_user("searcher", "vault.search_pan"))


@pytest.fixture
def reader():
    return client_of(make_user("reader", "vault.detokenize_pan"))


def test_a_card_is_found_by_its_number(searcher, kept, digits):
    answer = searcher.post(SEARCH, {"pan": digits})
    assert (answer.status_code, answer.json()["token"], answer.json()["last4"]) == (200, kept.token, digits[-4:])
    assert done("search").get().token == kept.token


def test_a_card_that_is_not_kept_is_not_found_and_not_kept_then(searcher, kept, canary):
    answer = searcher.post(SEARCH, {"pan": canary("unknown card")})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert Card.objects.count() == 1


def test_a_card_is_read_and_no_cache_keeps_it(reader, kept, digits, leaks):
    leaks.allow("stored card", sink="http", reason="the number is what was asked for")
    answer = reader.post(address(kept), PURPOSE)
    assert (answer.status_code, answer.json()) == (200, {"pan": digits, "expires": None})
    assert "no-store" in answer["Cache-Control"]
    event = done("detokenize").get()
    assert (event.token, event.purpose, event.reason) == (kept.token, "refund", "charged twice")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param({"purpose": "curiosity", "reason": "x"}, "purpose", id="unknown purpose"),
        pytest.param({"purpose": "refund", "reason": ""}, "purpose_text", id="empty reason"),
        pytest.param({"purpose": "refund"}, "purpose_text", id="no reason"),
    ],
)
def test_a_purpose_has_to_be_right(reader, wire, kept, body, reason):
    answer = reader.post(address(kept), body)
    assert (answer.status_code, answer.json()["code"]) == (403, "detokenization_denied")
    assert answer.json()["reason"] == reason
    assert not wire.calls


@pytest.mark.parametrize("field", ["purpose", "reason"])
def test_a_card_number_for_a_purpose_is_refused_and_not_kept(reader, wire, kept, canary, field):
    answer = reader.post(address(kept), PURPOSE | {field: canary("purpose")})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, f"/{field}")
    assert not wire.calls


def test_a_person_cannot_go_round_the_approval_through_the_api(settings, wire, kept):
    settings.VAULT = settings.VAULT | {"REVEAL_APPROVAL": True}
    wire.calls.clear()
    answer = client_of(make_user("fraud", "vault.detokenize_pan", is_staff=True)).post(address(kept), PURPOSE)
    assert (answer.status_code, answer.json()["reason"]) == (403, "approval")
    assert kept.last4 not in answer.text
    assert not wire.calls


@pytest.mark.parametrize("operation", ["search", "detokenize"])
def test_a_budget_ends_it(settings, searcher, reader, kept, digits, operation, leaks):
    leaks.allow("stored card", sink="http", reason="the number is what was asked for")
    settings.VAULT = settings.VAULT | {"READ_BUDGET": 1, "SEARCH_BUDGET": 1}

    def call():
        return searcher.post(SEARCH, {"pan": digits}) if operation == "search" else reader.post(address(kept), PURPOSE)

    assert [call().status_code for _ in range(3)] == [200, 403, 403]
    assert call().json()["reason"] == "locked"


@pytest.mark.parametrize("token", ["unknown", "tok1_x", "search"])
def test_a_token_of_no_card_is_not_found(reader, token):
    token = Token.generate() if token == "unknown" else token
    answer = reader.post(f"{TOKENS}{token}/detokenize/", PURPOSE)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_erased_card_is_gone(reader, wire, kept):
    Card.objects.update(status="erased")
    assert reader.post(address(kept), PURPOSE).status_code == 410
    assert not wire.calls


def test_what_the_vault_does_not_give_is_not_answered(reader, wire, kept):
    wire.fail("Decrypt", "ThrottlingException")
    answer = reader.post(address(kept), PURPOSE)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert not done("detokenize").exists()


@pytest.mark.parametrize(
    "body",
    [{}, {"pan": "1"}, {"pan": None}, {"token": "x"}],
    ids=["nothing", "no number", "null", "another key"],
)
def test_a_search_without_a_number_is_refused(searcher, wire, kept, body):
    assert searcher.post(SEARCH, body).status_code == 400
    assert not wire.calls


def test_what_is_not_known_in_a_body_is_refused(searcher, reader, wire, kept, digits):
    assert searcher.post(SEARCH, {"pan": digits, "cvc": "123"}).status_code == 400
    assert reader.post(address(kept), PURPOSE | {"cvc": "123"}).status_code == 400
    assert not wire.calls


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_nothing_but_a_post_is_answered(searcher, reader, wire, kept, method):
    assert getattr(searcher, method)(SEARCH).status_code == 405
    assert getattr(reader, method)(address(kept)).status_code == 405
    assert not wire.calls


def test_a_number_in_the_address_is_refused(searcher, reader, wire, digits):
    assert searcher.post(f"{SEARCH}?pan={digits}").status_code == 400
    assert reader.post(f"{TOKENS}{digits}/detokenize/", PURPOSE).status_code == 400


def test_being_a_superuser_is_no_right_to_keep_cards(canary):
    root = client_of(make_user("root", is_staff=True, is_superuser=True))
    card = make_card(canary("kept card"))
    assert root.post(TOKENS, {"pan": canary("new card")}).status_code == 403
    assert root.get(f"{TOKENS}{card.token}/").status_code == 200
    assert Card.objects.count() == 1
