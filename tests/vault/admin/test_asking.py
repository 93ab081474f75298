"""Asking to see a card number, and break-glass, from all sides."""

import pytest
from django.core import mail

from tests.factories import make_user
from tests.vault.admin.visitors import (
    ASKED,
    STRANGERS,
    card_page,
    change_page,
    configure,
    detail,
    done,
    sign,
    signed_in,
    strangers,
)
from vault.models import AuditEvent, Card, RevealRequest

pytestmark = pytest.mark.django_db


def test_the_card_page_offers_what_was_granted(kept, ada, settings):
    page = signed_in(ada).get(change_page(kept)).text
    assert "Ask to see the number" in page
    assert "Break-glass…" in page
    configure(settings, BREAK_GLASS=False)
    assert "reak-glass" not in signed_in(ada).get(change_page(kept)).text


@pytest.mark.parametrize("who", ["superuser", "support"])
def test_the_card_page_offers_nothing_to(kept, who):
    client = signed_in(STRANGERS[who][0]())
    page = client.get(change_page(kept))
    assert page.status_code == 200
    assert "Ask to see the number" not in page.text


def test_an_erased_card_cannot_be_asked_for(kept, ada):
    Card.objects.update(status="erased")
    client = signed_in(ada)
    assert "Ask to see" not in client.get(change_page(kept)).text
    answer = client.post(card_page(kept, "reveal"), ASKED)
    assert answer.status_code == 410
    assert "The card is no longer on file." in answer.text
    assert not RevealRequest.objects.exists()


def test_a_request_is_made_and_waits(kept, ada, bob, wire):
    calls = wire.calls.copy()
    answer = signed_in(ada).post(card_page(kept, "reveal"), ASKED, follow=True)
    made = RevealRequest.objects.get()
    assert (made.state, made.requester, made.reason, made.ticket) == ("pending", ada, "charged twice", "T-1")
    assert answer.redirect_chain == [(detail(made), 302)]
    assert "Your request waits" in answer.text
    assert "Show the number once" not in answer.text
    assert [message.to for message in mail.outbox] == [["bob@example.com"]]
    assert wire.calls == calls


def test_where_approval_is_off_the_number_can_be_seen_at_once(kept, ada, settings):
    configure(settings, REVEAL_APPROVAL=False)
    page = signed_in(ada).post(card_page(kept, "reveal"), ASKED, follow=True).text
    assert "Show the number once" in page
    assert "No approval was needed" in page


@pytest.mark.parametrize("act", ["reveal", "break_glass"])
@strangers
def test_strangers_ask_for_nothing(kept, wire, act, who, status):
    calls = wire.calls.copy()
    answer = sign(who()).post(card_page(kept, act), ASKED | {"confirmed": "yes"})
    assert answer.status_code == status
    assert kept.last4 not in answer.text
    assert not RevealRequest.objects.exists()
    assert not done("reveal.request", "reveal.break_glass", "reveal.alarm")
    assert not mail.outbox
    assert wire.calls == calls


def test_an_attempt_without_the_right_is_recorded(kept):
    carl = make_user("carl", is_staff=True)
    signed_in(carl).post(card_page(kept, "reveal"), ASKED)
    (event,) = AuditEvent.objects.filter(operation="reveal.request", outcome="denied")
    assert (event.actor, event.details["refusal"]) == (str(carl.pk), "no_right")


@pytest.mark.parametrize("field", ["purpose", "reason", "ticket"])
@pytest.mark.parametrize("act", ["reveal", "break_glass"])
def test_a_request_says_what_it_is_for(kept, ada, act, field):
    answer = signed_in(ada).post(card_page(kept, act), ASKED | {field: " ", "confirmed": "yes"})
    assert answer.status_code == 200
    assert "This field is required." in answer.text or "not one of the available choices" in answer.text
    assert not RevealRequest.objects.exists()


@pytest.mark.parametrize("field", ["reason", "ticket"])
@pytest.mark.parametrize("act", ["reveal", "break_glass"])
def test_a_card_number_for_a_reason_is_refused_and_not_shown_again(kept, ada, canary, act, field):
    digits = canary("typed")
    page = signed_in(ada).post(card_page(kept, act), ASKED | {field: f"for {digits}", "confirmed": "yes"}).text
    assert "Card numbers belong in the card field only." in page
    assert digits not in page
    other = {"reason": "T-1", "ticket": "charged twice"}[field]
    assert other in page
    assert not RevealRequest.objects.exists()


def test_a_refusal_says_why_and_keeps_what_was_typed(kept, ada, settings):
    configure(settings, PURPOSE_RULES={"refund": {"networks": ["203.0.113.0/24"]}})
    answer = signed_in(ada).post(card_page(kept, "reveal"), ASKED)
    assert answer.status_code == 403
    assert "This purpose is not allowed from this network." in answer.text
    assert "charged twice" in answer.text
    assert not RevealRequest.objects.exists()


def test_purposes_of_other_groups_are_not_offered(kept, ada, settings):
    configure(settings, PURPOSE_RULES={"refund": {"groups": ["Refunds"]}})
    client = signed_in(ada)
    assert 'value="refund"' not in client.get(change_page(kept)).text
    assert 'value="settlement"' in client.get(change_page(kept)).text
    assert "not one of the available choices" in client.post(card_page(kept, "reveal"), ASKED).text
    assert not RevealRequest.objects.exists()


def test_the_way_back_leads_to_the_card_whatever_its_token(kept, ada):
    client = signed_in(ada)
    for act, sent in (("reveal", {}), ("break_glass", ASKED)):
        assert f'href="{change_page(kept)}"' in client.post(card_page(kept, act), sent).text


def test_what_cannot_be_recorded_is_not_asked(kept, ada, audit_down):
    client = signed_in(ada)
    audit_down()
    answer = client.post(card_page(kept, "reveal"), ASKED)
    assert answer.status_code == 503
    assert "The audit log could not be written" in answer.text
    assert not RevealRequest.objects.exists()


def test_a_card_that_is_none_cannot_be_asked_for(ada, db):
    assert signed_in(ada).post("/admin/vault/card/tok1_x/reveal/", ASKED).status_code == 404


def test_break_glass_is_confirmed_first(kept, ada, bob):
    client = signed_in(ada)
    first = client.post(card_page(kept, "break_glass"), ASKED)
    assert first.status_code == 200
    assert "Another person reviews it afterwards." in first.text
    assert "charged twice" in first.text
    assert not RevealRequest.objects.exists()
    assert not AuditEvent.objects.filter(is_alarm=True).exists()
    second = client.post(card_page(kept, "break_glass"), ASKED | {"confirmed": "yes"}, follow=True)
    made = RevealRequest.objects.get()
    assert made.is_break_glass
    assert "Show the number once" in second.text
    assert AuditEvent.objects.filter(is_alarm=True).count() == 1
    assert "bob@example.com" in [message.to[0] for message in mail.outbox]


@pytest.mark.parametrize("confirmed", [{}, {"confirmed": "yes"}], ids=["first step", "confirmed"])
def test_break_glass_can_be_off(kept, ada, settings, confirmed):
    configure(settings, BREAK_GLASS=False)
    answer = signed_in(ada).post(card_page(kept, "break_glass"), ASKED | confirmed)
    assert answer.status_code == 403
    assert "Break-glass is switched off here." in answer.text
    assert not RevealRequest.objects.exists()
