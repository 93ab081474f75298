"""Finding a card by its number in the admin: typed into the body of a POST, and seen nowhere after."""

import uuid

import pytest
from django.test import Client

from tests.factories import make_card, make_user
from vault.models import AuditEvent, Card

pytestmark = pytest.mark.django_db
SEARCH = "/admin/vault/card/search/"


@pytest.fixture
def kept(wire, digits):
    card = make_card(digits)
    wire.calls.clear()
    return card


@pytest.fixture
def clerk(client):
    client.force_login(make_user("clerk", "vault.view_card", "vault.search_pan", is_staff=True))
    return client


def done():
    return AuditEvent.objects.filter(operation="search", outcome="done")


def test_a_card_is_found_and_its_number_stays_behind(clerk, kept, digits):
    answer = clerk.post(SEARCH, {"number": digits})
    assert (answer.status_code, answer["Location"]) == (302, f"/admin/vault/card/tok1_5F{kept.token[5:]}/change/")
    assert clerk.get(answer["Location"]).status_code == 200
    assert done().get().token == kept.token


@pytest.mark.parametrize("start", ["22", "25", "40"])
def test_a_token_that_looks_quoted_leads_to_its_card(clerk, canary, monkeypatch, start):
    # The admin reads _25 in an address as a percent sign.
    drawn = uuid.UUID(f"{start}9f2bd0-02af-4970-8f95-9472a9d63913")
    with monkeypatch.context() as patch:
        patch.setattr(uuid, "uuid4", lambda: drawn)
        make_card(digits := canary("card"))
    page = clerk.post(SEARCH, {"number": digits}, follow=True)
    assert page.status_code == 200
    assert f"tok1_{drawn}" in page.text


def test_a_card_that_is_not_on_file_is_not_found(clerk, kept, canary):
    answer = clerk.post(SEARCH, {"number": canary("unknown card")})
    assert answer.status_code == 200
    assert "No card with this number is on file." in answer.text
    assert Card.objects.count() == 1


def test_a_mistyped_number_is_not_shown_again_and_asks_nobody(clerk, kept, digits, wire):
    mistyped = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    answer = clerk.post(SEARCH, {"number": mistyped})
    assert "Check for a mistyped digit" in answer.text
    assert mistyped not in answer.text
    assert not wire.calls


def test_the_page_empties_its_field(clerk):
    page = clerk.get(SEARCH).text
    assert "vault/card-fields.js" in page
    assert 'autocomplete="cc-number"' in page
    assert 'inputmode="numeric"' in page
    assert "value=" not in page[page.index('name="number"') :].partition(">")[0]


def test_the_list_leads_there_for_those_with_the_right(clerk, kept):
    assert SEARCH in clerk.get("/admin/vault/card/").text
    client = Client()
    client.force_login(make_user("carl", "vault.view_card", is_staff=True))
    assert SEARCH not in client.get("/admin/vault/card/").text


STRANGERS = {
    "anonymous": (lambda: None, 302),
    "customer": (lambda: make_user("carl", "vault.search_pan"), 302),
    "staff": (lambda: make_user("carl", "vault.view_card", is_staff=True), 403),
    "superuser": (lambda: make_user("carl", is_staff=True, is_superuser=True), 403),
    "reader": (lambda: make_user("carl", "vault.detokenize_pan", is_staff=True), 403),
}


@pytest.mark.parametrize(("who", "status"), STRANGERS.values(), ids=STRANGERS)
def test_strangers_find_nothing(client, kept, digits, wire, who, status):
    if user := who():
        client.force_login(user)
    answers = [client.get(SEARCH), client.post(SEARCH, {"number": digits}), client.post(SEARCH, {"number": "x"})]
    assert {answer.status_code for answer in answers} == {status}
    assert not any(kept.token in answer.text or kept.last4 in answer.text for answer in answers)
    assert not done().exists()
    assert not wire.calls
    assert AuditEvent.objects.filter(operation="search", outcome="denied").count() == (status == 403)


def test_a_budget_ends_it(clerk, kept, digits, settings):
    settings.VAULT = settings.VAULT | {"SEARCH_BUDGET": 1}
    assert [clerk.post(SEARCH, {"number": digits}).status_code for _ in range(3)] == [302, 403, 403]
    page = clerk.post(SEARCH, {"number": digits}).text
    assert "Reading is locked after too many cards." in page


def test_a_vault_that_does_not_answer_is_said(clerk, kept, digits, wire):
    for operation in ("GenerateMac", "GetItem", "Decrypt", "BatchGetItem"):
        wire.fail(operation, "ThrottlingException")
    answer = clerk.post(SEARCH, {"number": digits})
    assert answer.status_code == 503
    assert "The vault did not answer in time. Try again." in answer.text
