"""Erasing a card in the admin, legal hold and release, from all sides."""

import json

import pytest
from django.test import Client

from tests.factories import make_user
from tests.vault.admin.visitors import card_page, change_page, done, sign, signed_in
from vault import erasure, services
from vault.models import AuditEvent, Card, ErasureCertificate

pytestmark = pytest.mark.django_db
WHY = {"reason": "Order 7 K 12/26"}
SURE = WHY | {"confirmed": "yes"}
ACTS = ["erase", "hold", "release"]


@pytest.fixture
def sue():
    return make_user("sue", "vault.view_card", "vault.erase_card", is_staff=True)


@pytest.fixture
def lea():
    return make_user("lea", "vault.view_card", "vault.hold_card", is_staff=True)


@pytest.fixture
def held(kept, lea):
    erasure.hold(kept.token, actor=lea, reason="Court order")
    kept.refresh_from_db()
    return kept


def state():
    card = Card.objects.get()
    return card.status, card.hold, ErasureCertificate.objects.count()


# --- What the page of a card shows and offers -----------------------------------------------------------------------


def test_the_page_says_until_when_and_why_a_card_is_kept(kept, sue, wire):
    calls = wire.calls.copy()
    page = signed_in(sue).get(change_page(kept)).text
    assert "Last use of the card" in page
    assert "Kept until" in page
    assert "Legal hold" in page
    assert wire.calls == calls


@pytest.mark.parametrize(
    ("rights", "is_held", "offered"),
    [
        ((), False, set()),
        (("vault.erase_card",), False, {"erase"}),
        (("vault.hold_card",), False, {"hold"}),
        (("vault.erase_card", "vault.hold_card"), False, {"erase", "hold"}),
        (("vault.erase_card", "vault.hold_card"), True, {"release"}),
        (("vault.erase_card",), True, set()),
    ],
    ids=["nothing", "erase", "hold", "both", "both, held", "erase, held"],
)
def test_the_page_offers_what_was_granted(kept, lea, rights, is_held, offered):
    if is_held:
        erasure.hold(kept.token, actor=lea, reason="Court order")
    page = signed_in(make_user("eve", "vault.view_card", *rights, is_staff=True)).get(change_page(kept)).text
    assert {act for act in ACTS if card_page(kept, act) in page} == offered
    assert ("Court order" in page) is is_held


def test_a_superuser_is_offered_nothing(kept):
    page = signed_in(make_user("root", is_staff=True, is_superuser=True)).get(change_page(kept)).text
    assert not any(card_page(kept, act) in page for act in ACTS)


def test_the_page_of_an_erased_card_leads_to_its_certificate(kept, sue):
    certificate = services.erase(kept.token, actor=sue, reason="x")
    auditor = make_user("al", "vault.view_card", "vault.view_erasurecertificate", is_staff=True)
    assert certificate.number in signed_in(auditor).get(change_page(kept)).text
    page = signed_in(sue).get(change_page(kept)).text
    assert certificate.number not in page
    assert "No longer on file" in page
    assert not any(card_page(kept, act) in page for act in ACTS)


# --- Erasing --------------------------------------------------------------------------------------------------------


def test_a_card_is_erased_after_a_question(kept, sue, vault):
    client = signed_in(sue)
    asked = client.post(card_page(kept, "erase"), WHY)
    assert "This cannot be taken back" in asked.text
    assert WHY["reason"] in asked.text
    assert state() == ("active", "", 0)
    answer = client.post(card_page(kept, "erase"), SURE, follow=True)
    assert "The card is erased. Its certificate says so." in answer.text
    assert answer.redirect_chain == [(change_page(kept), 302)]
    assert state() == ("erased", "", 1)
    facts = json.loads(ErasureCertificate.objects.get().content)
    assert (facts["actor_name"], facts["reason"], facts["basis"]) == ("sue", WHY["reason"], "request")
    assert done("erase") == ["erase"]


def test_an_erasure_sent_twice_is_one(kept, sue):
    client = signed_in(sue)
    for _ in range(2):
        client.post(card_page(kept, "erase"), SURE)
    assert state() == ("erased", "", 1)


def test_what_a_crash_cut_off_is_offered_again_and_finished(kept, sue, wire):
    wire.fail("TransactWriteItems", "ThrottlingException")
    client = signed_in(sue)
    answer = client.post(card_page(kept, "erase"), SURE)
    assert answer.status_code == 503
    assert "The vault did not answer in time. Try again." in answer.text
    wire.heal()
    assert card_page(kept, "erase") in client.get(change_page(kept)).text
    client.post(card_page(kept, "erase"), SURE)
    assert state() == ("erased", "", 1)


@pytest.mark.parametrize("fields", [WHY, SURE], ids=["first", "confirmed"])
def test_a_card_on_hold_is_not_erased(held, sue, wire, fields):
    calls = wire.calls.copy()
    answer = signed_in(sue).post(card_page(held, "erase"), fields)
    assert answer.status_code == 409
    assert "The card is under legal hold and cannot be erased." in answer.text
    assert state() == ("active", "Court order", 0)
    assert wire.calls == calls


# --- Holding and releasing ------------------------------------------------------------------------------------------


def test_a_card_is_held_and_released(kept, lea):
    client = signed_in(lea)
    assert "is under legal hold" in client.post(card_page(kept, "hold"), WHY, follow=True).text
    assert state() == ("active", WHY["reason"], 0)
    assert (
        "The legal hold is over."
        in client.post(card_page(kept, "release"), {"reason": "Case closed"}, follow=True).text
    )
    assert state() == ("active", "", 0)
    assert done("hold", "release") == ["hold", "release"]


@pytest.mark.parametrize("act", ["hold", "release"])
def test_an_erased_card_is_neither_held_nor_released(kept, lea, sue, act):
    services.erase(kept.token, actor=sue, reason="x")
    answer = signed_in(lea).post(card_page(kept, act), WHY)
    assert answer.status_code == 410
    assert "The card is no longer on file." in answer.text
    assert state() == ("erased", "", 1)


# --- What is refused changes nothing --------------------------------------------------------------------------------

OTHERS = ("vault.view_card", "vault.detokenize_pan", "vault.approve_reveal", "vault.view_erasurecertificate")
VISITORS = {
    "anonymous": (lambda: None, 302),
    "customer": (lambda: make_user("carl"), 302),
    "customer with the rights": (lambda: make_user("carl", "vault.erase_card", "vault.hold_card"), 302),
    "staff": (lambda: make_user("carl", is_staff=True), 403),
    "staff with other rights": (lambda: make_user("carl", *OTHERS, is_staff=True), 403),
    "superuser": (lambda: make_user("carl", is_staff=True, is_superuser=True), 403),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(("who", "status"), VISITORS.values(), ids=VISITORS)
def test_it_takes_the_right(held, wire, act, who, status):
    calls, before = wire.calls.copy(), state()
    answer = sign(who()).post(card_page(held, act), SURE)
    assert answer.status_code == status
    assert held.last4 not in answer.text
    assert state() == before
    assert wire.calls == calls
    denied = AuditEvent.objects.filter(operation=act, outcome="denied")
    assert [event.details["refusal"] for event in denied] == (["no_right"] if status == 403 else [])


@pytest.mark.parametrize(
    ("name", "right", "act"), [("hal", "vault.hold_card", "erase"), ("eli", "vault.erase_card", "hold")]
)
def test_one_right_is_not_the_other(kept, name, right, act):
    user = make_user(name, "vault.view_card", right, is_staff=True)
    assert signed_in(user).post(card_page(kept, act), SURE).status_code == 403
    assert state() == ("active", "", 0)


@pytest.fixture
def both():
    return make_user("bo", "vault.view_card", "vault.erase_card", "vault.hold_card", is_staff=True)


@pytest.mark.parametrize("act", ACTS)
def test_it_takes_the_token_of_the_form(kept, both, act):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(both)
    assert strict.post(card_page(kept, act), SURE).status_code == 403
    assert state() == ("active", "", 0)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_nothing_but_a_post_does_anything(kept, both, act, method):
    assert getattr(signed_in(both), method)(card_page(kept, act)).status_code == 405
    assert state() == ("active", "", 0)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("reason", ["", "   ", "x" * 201], ids=["none", "blank", "long"])
def test_it_takes_a_reason(kept, both, act, reason):
    answer = signed_in(both).post(card_page(kept, act), {"reason": reason, "confirmed": "yes"})
    assert answer.status_code == 200
    assert "errorlist" in answer.text
    assert state() == ("active", "", 0)


@pytest.mark.parametrize("act", ACTS)
def test_a_card_number_in_a_reason_is_refused_and_not_shown_again(kept, both, canary, act):
    digits = canary("reason")
    answer = signed_in(both).post(card_page(kept, act), {"reason": f"card {digits}", "confirmed": "yes"})
    assert "Card numbers belong in the card field only." in answer.text
    assert digits not in answer.text
    assert state() == ("active", "", 0)


@pytest.mark.parametrize("act", ACTS)
def test_a_card_of_nobody_is_not_found(kept, both, act):
    address = card_page(kept, act).replace(kept.token, "tok1_" + "0" * 8 + kept.token[13:])
    assert signed_in(both).post(address, SURE).status_code == 404


def test_while_nothing_can_be_recorded_nothing_is_done(kept, both, audit_down):
    client = signed_in(both)
    audit_down()
    for act in ACTS:
        assert client.post(card_page(kept, act), SURE).status_code == 503
    assert state() == ("active", "", 0)
