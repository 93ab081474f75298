"""Erasing a card through the API: by right, for a reason, for good, and with a certificate."""

import json

import pytest
from rest_framework.test import APIClient

from tests.factories import client_of, make_card, make_user
from vault import erasure
from vault.exceptions import RecordTampered
from vault.models import AuditEvent, Card, ErasureCertificate
from vault.tokens import Token

pytestmark = pytest.mark.django_db
TOKENS = "/api/v1/tokens/"
REASON = {"reason": "The cardholder asked for it"}


@pytest.fixture
def kept(wire, canary):
    """A card in the vault, after which nothing was asked of AWS."""
    card = make_card(canary("stored card"))
    wire.calls.clear()
    return card


@pytest.fixture
def api():
    return client_of(make_user("sue", "vault.erase_card", "vault.view_card"))


def address(card):
    return f"{TOKENS}{card.token}/"


def nothing_is_erased(wire):
    return not (Card.objects.get().is_erased or ErasureCertificate.objects.exists() or sum(wire.calls.values()))


def test_a_card_is_erased_and_the_answer_is_its_certificate(api, kept, vault):
    answer = api.delete(address(kept), REASON)
    certificate = answer.json()
    assert answer.status_code == 200
    assert set(certificate) == {"number", "token", "erased_at", "content", "signature", "key"}
    stored = ErasureCertificate.objects.select_related("card").get()
    assert (certificate["number"], certificate["token"]) == (stored.number, kept.token)
    assert certificate["erased_at"] == json.loads(certificate["content"])["erased_at"]
    signed = {name: certificate[name] for name in ("content", "signature", "key")}
    vault.notary.verify(**signed)
    with pytest.raises(RecordTampered):
        vault.notary.verify(**signed | {"content": certificate["content"].replace("sue", "bob")})


def test_the_same_again_gives_the_same_certificate(api, kept):
    first, again = api.delete(address(kept), REASON), api.delete(address(kept), {"reason": "Once more"})
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert ErasureCertificate.objects.count() == 1


def test_an_erased_card_is_described_as_erased(api, kept, wire):
    api.delete(address(kept), REASON)
    wire.calls.clear()
    answer = api.get(address(kept))
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["last4"]) == ("erased", kept.last4)
    assert answer.json()["erased_at"] is not None
    assert not wire.calls


def test_it_is_recorded_with_who_and_why(api, kept):
    api.delete(address(kept), REASON)
    (event,) = AuditEvent.objects.filter(operation="erase", outcome="done")
    assert (event.actor_name, event.reason, event.token) == ("sue", REASON["reason"], kept.token)


def test_a_card_on_hold_stays(api, kept, wire):
    erasure.hold(kept.token, actor=make_user("lea", "vault.hold_card"), reason="Court order")
    answer = api.delete(address(kept), REASON)
    assert (answer.status_code, answer.json()["code"]) == (409, "on_hold")
    assert "Court" not in answer.text
    assert nothing_is_erased(wire)


@pytest.mark.parametrize(
    "rights",
    [(), ("vault.view_card",), ("vault.tokenize_pan", "vault.detokenize_pan", "vault.hold_card"), "superuser"],
    ids=["nothing", "may look", "other rights", "superuser"],
)
def test_it_takes_the_right(kept, wire, rights):
    user = make_user("eve", is_superuser=True) if rights == "superuser" else make_user("eve", *rights)
    answer = client_of(user).delete(address(kept), REASON)
    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (403, "access_denied", "no_right")
    assert kept.last4 not in answer.text
    assert nothing_is_erased(wire)
    assert AuditEvent.objects.get(operation="erase", outcome="denied").details["refusal"] == "no_right"


def test_strangers_get_401(kept, wire):
    assert APIClient().delete(address(kept), REASON, format="json").status_code == 401
    assert nothing_is_erased(wire)


def test_a_session_without_its_csrf_token_is_no_way_in(kept, wire):
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(make_user("sue", "vault.erase_card"))
    assert browser.delete(address(kept), REASON, format="json").status_code in {401, 403}
    assert nothing_is_erased(wire)


@pytest.mark.parametrize("token", ["unknown", "tok1_x", "tok2_" + "0" * 36, "search"])
def test_a_token_of_no_card_is_not_found(api, kept, wire, token):
    named = Token.generate() if token == "unknown" else token
    answer = api.delete(f"{TOKENS}{named}/", REASON)
    assert answer.status_code == (405 if token == "search" else 404)
    assert nothing_is_erased(wire)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({}, "/reason", id="none"),
        pytest.param({"reason": ""}, "/reason", id="empty"),
        pytest.param({"reason": "  "}, "/reason", id="blank"),
        pytest.param({"reason": None}, "/reason", id="null"),
        pytest.param({"reason": "x" * 201}, "/reason", id="long"),
        pytest.param({"reason": ["x"]}, "/reason", id="list"),
        pytest.param({"reason": "x", "force": True}, "/force", id="another key"),
    ],
)
def test_it_takes_a_reason(api, kept, wire, body, pointer):
    answer = api.delete(address(kept), body)
    assert answer.status_code == 400
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert nothing_is_erased(wire)


def test_a_card_number_in_the_reason_is_refused_and_not_repeated(api, kept, wire, canary):
    digits = canary("reason")
    answer = api.delete(address(kept), {"reason": f"card {digits} is lost"})
    assert answer.status_code == 400
    assert digits not in answer.text
    assert nothing_is_erased(wire)


def test_a_vault_that_does_not_answer_is_asked_again_later(api, kept, wire):
    wire.fail("TransactWriteItems", "ThrottlingException")
    answer = api.delete(address(kept), REASON)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert not ErasureCertificate.objects.exists()
    wire.heal()
    assert api.delete(address(kept), REASON).status_code == 200
