"""A card number on the screen: once, for those who may, and nowhere else."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.utils import timezone

from tests.cards import NUMBERS, grouped
from tests.factories import make_card, make_user
from tests.vault.admin.identity import SIGN_IN, STALE
from tests.vault.admin.visitors import (
    READING,
    act_on,
    configure,
    detail,
    done,
    sign,
    signed_in,
    strangers,
)
from vault import reveals
from vault.admin.reveals import SHOWN_SECONDS
from vault.models import AuditEvent, Card, RevealRequest
from vault.purposes import Purpose

pytestmark = pytest.mark.django_db


def test_the_number_is_shown_once(approved, ada, digits, leaks):
    leaks.allow("stored card", sink="http", reason="the number is what was asked for")
    client = signed_in(ada)
    answer = client.post(act_on(approved, "show"))
    assert answer.status_code == 200
    assert f">{grouped(digits, ' ')}<" in answer.text
    assert answer.text.count(grouped(digits, " ")) == 1
    assert digits not in answer.text
    assert "no-store" in answer["Cache-Control"]
    assert answer["Refresh"] == f"30; url={detail(approved)}"
    again = client.post(act_on(approved, "show"))
    assert again.status_code == 403
    assert "This request was decided or used already." in again.text
    assert grouped(digits, " ") not in again.text
    assert done(*READING) == ["detokenize", "reveal.show"]


def test_the_number_stays_nowhere(approved, ada, digits, leaks):
    leaks.allow("stored card", sink="http", reason="the number is what was asked for")
    client = signed_in(ada)
    answer = client.post(act_on(approved, "show"))
    for kept in (
        str(Session.objects.get().get_decoded()),
        str(answer.headers),
        str(client.cookies),
        str(list(get_messages(answer.wsgi_request))),
    ):
        assert digits not in kept.replace(" ", "")
    assert grouped(digits, " ") not in client.get(detail(approved)).text
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(("brand", "shown"), [("visa", (4, 4, 4, 4)), ("amex", (4, 6, 5)), ("diners", (4, 6, 4))])
def test_a_number_is_shown_as_people_read_it(ada, bob, card, leaks, brand, shown):
    digits = card(brand)
    leaks.allow(f"{brand} test card", sink="http", reason="the number is what was asked for")
    asked = reveals.request(make_card(digits), actor=ada, purpose=Purpose("refund", "x"), ticket="T")
    reveals.approve(asked, actor=bob)
    page = signed_in(ada).post(act_on(asked, "show")).text
    starts = [sum(shown[:count]) for count in range(len(shown))]
    assert " ".join(digits[start : start + size] for start, size in zip(starts, shown, strict=True)) in page


def test_a_number_of_another_length_is_shown_in_fours(ada, bob, leaks):
    digits = leaks.watch(NUMBERS["visa"][3], label="13 digits")
    leaks.allow("13 digits", sink="http", reason="the number is what was asked for")
    asked = reveals.request(make_card(digits), actor=ada, purpose=Purpose("refund", "x"), ticket="T")
    reveals.approve(asked, actor=bob)
    assert f">{grouped(digits, ' ')}<" in signed_in(ada).post(act_on(asked, "show")).text


@strangers
def test_strangers_see_no_number(approved, wire, who, status):
    calls = wire.calls.copy()
    answer = sign(who()).post(act_on(approved, "show"))
    assert answer.status_code == (404 if status == 403 else status)
    assert RevealRequest.objects.get().state == "approved"
    assert not done(*READING)
    assert wire.calls == calls


@pytest.mark.parametrize(
    ("rights", "status", "reason"),
    [
        pytest.param(["vault.approve_reveal"], 403, "This right was not granted.", id="approver"),
        pytest.param(["vault.view_revealrequest"], 403, "This right was not granted.", id="auditor"),
        pytest.param(["vault.detokenize_pan"], 404, "", id="other requester"),
        pytest.param(
            ["vault.detokenize_pan", "vault.approve_reveal"], 403, "This request is somebody else", id="colleague"
        ),
    ],
)
def test_others_see_no_number(approved, wire, rights, status, reason):
    calls = wire.calls.copy()
    client = signed_in(make_user("carl", *rights, is_staff=True))
    assert "Show the number once" not in client.get(detail(approved)).text
    answer = client.post(act_on(approved, "show"))
    assert answer.status_code == status
    assert reason in answer.text
    assert RevealRequest.objects.get().state == "approved"
    assert not done(*READING)
    assert wire.calls == calls


def test_an_api_token_opens_no_page(approved, ada, wire):
    from tests.factories import client_of

    calls = wire.calls.copy()
    assert client_of(ada).post(act_on(approved, "show")).status_code == 302
    assert wire.calls == calls
    assert not done(*READING)


def test_who_has_not_just_shown_who_they_are_is_sent_to_do_so_and_comes_back(approved, ada, wire, settings):
    configure(settings, CONFIRM_IDENTITY=STALE)
    calls, client = wire.calls.copy(), signed_in(ada)
    answer = client.post(act_on(approved, "show"))
    assert (answer.status_code, answer["Location"]) == (302, f"{SIGN_IN}?next={act_on(approved, 'show')}")
    assert RevealRequest.objects.get().state == "approved"
    assert wire.calls == calls
    assert not done(*READING)
    # What they come back with is a GET, which shows nothing and uses nothing up.
    back = client.get(act_on(approved, "show"))
    assert (back.status_code, back["Location"]) == (302, detail(approved))
    assert RevealRequest.objects.get().state == "approved"


def test_where_nobody_can_show_who_they_are_nobody_sees_a_number(approved, ada, wire, settings):
    configure(settings, CONFIRM_IDENTITY="")
    calls = wire.calls.copy()
    answer = signed_in(ada).post(act_on(approved, "show"))
    assert answer.status_code == 403
    assert "Confirm who you are first." in answer.text
    assert RevealRequest.objects.get().state == "approved"
    assert AuditEvent.objects.get(operation="reveal.show", outcome="denied").details["refusal"] == "fresh_sign_in"
    assert wire.calls == calls


def test_nothing_is_shown_before_it_is_approved_or_after_its_time(asked, ada, bob, wire):
    calls, client = wire.calls.copy(), signed_in(ada)
    assert "through an approved request alone" in client.post(act_on(asked, "show")).text
    RevealRequest.objects.update(state="approved", decider=bob, expires_at=timezone.now())
    assert "This request has expired." in client.post(act_on(asked, "show")).text
    assert "Expired" in client.get(detail(asked)).text
    assert wire.calls == calls


def test_what_the_vault_does_not_give_can_be_asked_for_again(approved, ada, wire):
    wire.fail("Decrypt", "ThrottlingException", times=4)
    answer = signed_in(ada).post(act_on(approved, "show"))
    assert answer.status_code == 503
    assert "The vault did not answer in time. Try again." in answer.text
    assert "Show the number once" in answer.text
    assert RevealRequest.objects.get().state == "approved"


def test_what_cannot_be_recorded_is_not_shown(approved, ada, wire, audit_down):
    calls, client = wire.calls.copy(), signed_in(ada)
    audit_down()
    answer = client.post(act_on(approved, "show"))
    assert answer.status_code == 503
    assert "The audit log could not be written" in answer.text
    assert wire.calls == calls
    assert RevealRequest.objects.get().state == "approved"


def test_a_tampered_card_is_not_shown(approved, ada):
    Card.objects.update(item_digest="0" * 64)
    answer = signed_in(ada).post(act_on(approved, "show"))
    assert answer.status_code == 500
    assert "failed its integrity check" in answer.text


def test_the_page_and_its_script_hide_the_number_at_the_same_time():
    from django.contrib.staticfiles import finders

    with open(finders.find("vault/shown.js")) as script:  # noqa: PTH123 - a path from Django
        assert f"const SECONDS = {SHOWN_SECONDS};" in script.read()
