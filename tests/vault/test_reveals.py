import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core import mail
from django.db import DatabaseError, connection, connections
from django.utils import timezone

from tests.factories import make_card, make_user
from vault import reveals, services
from vault.exceptions import (
    AccessDenied,
    AuditUnavailable,
    CardErased,
    DetokenizationDenied,
    RecordTampered,
    Refusal,
    VaultUnavailable,
)
from vault.models import AuditEvent, Card, RevealRequest
from vault.pan import PAN
from vault.purposes import Purpose

pytestmark = pytest.mark.django_db(transaction=True)
PURPOSE = Purpose("refund", "charged twice")


@pytest.fixture(autouse=True)
def approval(settings):
    settings.VAULT = settings.VAULT | {"REVEAL_APPROVAL": True, "ALARM_EMAILS": ["security@example.com"]}


@pytest.fixture
def pan(canary):
    return PAN(canary("card to be revealed"))


@pytest.fixture
def card(pan):
    return make_card(pan.expose())


@pytest.fixture
def requester():
    return make_user("ada", "vault.detokenize_pan", is_staff=True)


@pytest.fixture
def approver():
    return make_user("bob", "vault.approve_reveal", is_staff=True)


@pytest.fixture
def asked(card, requester):
    return reveals.request(card, actor=requester, purpose=PURPOSE, ticket="T-1")


def refused(call, *args, **options):
    """The reason why a call is refused."""
    with pytest.raises(AccessDenied) as denial:
        call(*args, **options)
    return denial.value.reason


def operations():
    return list(
        AuditEvent.objects.filter(operation__startswith="reveal.").order_by("pk").values_list("operation", "outcome")
    )


# --- The way through --------------------------------------------------------------------------------------------------


def test_asked_approved_shown_and_never_again(asked, requester, approver, pan):
    assert asked.state == "pending"
    reveals.approve(asked, actor=approver, note="Ticket is right")
    assert reveals.show(asked, actor=requester) == pan
    assert (asked.state, asked.decider, asked.decision) == ("shown", approver, "Ticket is right")
    assert refused(reveals.show, asked, actor=requester) is Refusal.STATE
    assert [pair for pair in operations() if pair[1] != "intent"] == [
        ("reveal.request", "done"),
        ("reveal.told", "done"),
        ("reveal.approved", "done"),
        ("reveal.show", "done"),
        ("reveal.show", "denied"),
    ]
    (read,) = AuditEvent.objects.filter(operation="detokenize", outcome="done")
    assert (read.actor, read.token, read.purpose) == (str(requester.pk), asked.card_id, "refund")


def test_approvers_are_told_and_nobody_else(approver, card, requester):
    make_user("customer")
    make_user("gone", "vault.approve_reveal", is_active=False)
    reveals.request(card, actor=requester, purpose=PURPOSE, ticket="T-1")
    assert [message.to for message in mail.outbox] == [["bob@example.com"]]
    assert "T-1" not in mail.outbox[0].subject


def test_of_many_who_look_at_once_one_sees(asked, requester, approver, pan):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite in memory refuses a second writer instead of letting it wait")
    reveals.approve(asked, actor=approver)
    barrier = threading.Barrier(6)
    seen = []

    def look():
        mine = RevealRequest.objects.get(pk=asked.pk)
        barrier.wait()
        try:
            seen.append(reveals.show(mine, actor=requester))
        except AccessDenied as denial:
            seen.append(denial.reason)
        connections.close_all()

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen.count(pan) == 1
    assert len([each for each in seen if each is Refusal.STATE]) == 5


# --- Who may not ----------------------------------------------------------------------------------------------------

NOBODIES = {
    "nobody": lambda: None,
    "anonymous": AnonymousUser,
    "customer": lambda: make_user("carl"),
    "staff": lambda: make_user("carl", is_staff=True),
    "superuser": lambda: make_user("carl", is_staff=True, is_superuser=True),
    "approver": lambda: make_user("carl", "vault.approve_reveal", is_staff=True),
    "deactivated": lambda: make_user("carl", "vault.detokenize_pan", is_active=False),
}


@pytest.mark.parametrize("who", NOBODIES.values(), ids=NOBODIES)
@pytest.mark.parametrize("ask", [reveals.request, reveals.break_glass])
def test_without_the_right_nobody_asks(who, ask, card):
    assert refused(ask, card, actor=who(), purpose=PURPOSE, ticket="T-1") is Refusal.NO_RIGHT
    assert not RevealRequest.objects.exists()
    assert not mail.outbox
    assert not AuditEvent.objects.filter(is_alarm=True).exists()


@pytest.mark.parametrize(
    ("purpose", "ticket", "reason"),
    [
        (Purpose("curiosity", "x"), "T-1", Refusal.PURPOSE),
        (Purpose("refund", " "), "T-1", Refusal.PURPOSE_TEXT),
        (Purpose("refund", ""), "T-1", Refusal.PURPOSE_TEXT),
        (PURPOSE, "", Refusal.TICKET),
        (PURPOSE, "  ", Refusal.TICKET),
        (PURPOSE, "T" * 65, Refusal.TICKET),
    ],
)
def test_a_request_needs_purpose_text_and_ticket(card, requester, purpose, ticket, reason):
    assert refused(reveals.request, card, actor=requester, purpose=purpose, ticket=ticket) is reason
    assert not RevealRequest.objects.exists()


def test_people_explain_what_programs_need_not(settings, card, requester):
    settings.VAULT = settings.VAULT | {"PURPOSE_RULES": {"refund": {"text": False}}}
    denied = refused(reveals.request, card, actor=requester, purpose=Purpose("refund"), ticket="T-1")
    assert denied is Refusal.PURPOSE_TEXT


def test_a_card_number_is_no_ticket_and_no_reason(card, requester, canary):
    ticket, text = canary("ticket"), Purpose("refund", canary("reason"))
    assert refused(reveals.request, card, actor=requester, purpose=PURPOSE, ticket=ticket) is Refusal.TICKET
    assert refused(reveals.request, card, actor=requester, purpose=text, ticket="T-1") is Refusal.PURPOSE_TEXT
    assert not RevealRequest.objects.exists()


def test_an_erased_card_cannot_be_asked_for(card, requester):
    card.status = Card.Status.ERASED
    with pytest.raises(CardErased):
        reveals.request(card, actor=requester, purpose=PURPOSE, ticket="T-1")
    assert not RevealRequest.objects.exists()


# --- Who may not decide ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decide", [reveals.approve, reveals.refuse])
@pytest.mark.parametrize("who", [key for key in NOBODIES if key != "approver"])
def test_without_the_right_nobody_decides(who, decide, asked):
    assert refused(decide, asked, actor=NOBODIES[who](), note="n") is Refusal.NO_RIGHT
    assert RevealRequest.objects.get().state == "pending"


@pytest.mark.parametrize("decide", [reveals.approve, reveals.refuse])
def test_nobody_decides_about_themselves(decide, card):
    both = make_user("ada", "vault.detokenize_pan", "vault.approve_reveal", is_staff=True)
    asked = reveals.request(card, actor=both, purpose=PURPOSE, ticket="T-1")
    assert refused(decide, asked, actor=both, note="n") is Refusal.SAME_PERSON
    assert RevealRequest.objects.get().state == "pending"


@pytest.mark.parametrize("decide", [reveals.approve, reveals.refuse])
def test_nothing_is_decided_twice(decide, asked, approver):
    reveals.refuse(asked, actor=approver, note="Wrong ticket")
    assert refused(decide, asked, actor=approver, note="n") is Refusal.STATE
    assert RevealRequest.objects.get().decision == "Wrong ticket"


def test_an_approval_can_be_taken_back_until_it_was_used(asked, approver, requester):
    reveals.approve(asked, actor=approver)
    reveals.refuse(asked, actor=approver, note="The ticket was closed")
    assert refused(reveals.show, asked, actor=requester) is Refusal.STATE


def test_one_request_at_a_time_for_one_card(asked, card, requester, approver):
    assert refused(reveals.request, card, actor=requester, purpose=PURPOSE, ticket="T-2") is Refusal.OPEN_REQUEST
    reveals.refuse(asked, actor=approver, note="Wrong ticket")
    assert reveals.request(card, actor=requester, purpose=PURPOSE, ticket="T-2").state == "pending"


def test_a_refusal_says_why(asked, approver, requester):
    assert refused(reveals.refuse, asked, actor=approver, note=" ") is Refusal.PURPOSE_TEXT
    reveals.refuse(asked, actor=approver, note="Wrong ticket")
    assert refused(reveals.show, asked, actor=requester) is Refusal.STATE


def test_a_card_number_is_no_note(asked, approver, canary):
    assert refused(reveals.approve, asked, actor=approver, note=canary("note")) is Refusal.PURPOSE_TEXT
    assert RevealRequest.objects.get().state == "pending"


def test_without_an_event_there_is_no_decision(asked, approver, monkeypatch):
    written = []
    save = AuditEvent.save

    def intent_alone(event, **options):
        written.append(event)
        if len(written) > 1:
            raise DatabaseError
        save(event, **options)

    monkeypatch.setattr(AuditEvent, "save", intent_alone)
    if connections["audit"].vendor == "sqlite":
        monkeypatch.setattr(connections["audit"], "close", lambda: None)
    with pytest.raises(AuditUnavailable):
        reveals.approve(asked, actor=approver)
    assert RevealRequest.objects.get().state == "pending"


# --- Who may not look -----------------------------------------------------------------------------------------------


@pytest.fixture
def approved(asked, approver):
    reveals.approve(asked, actor=approver)
    return asked


@pytest.mark.parametrize("who", NOBODIES.values(), ids=NOBODIES)
def test_without_the_right_nobody_looks(who, wire, approved):
    calls = wire.calls.copy()
    assert refused(reveals.show, approved, actor=who()) is Refusal.NO_RIGHT
    assert RevealRequest.objects.get().state == "approved"
    assert wire.calls == calls


def test_nobody_looks_at_what_somebody_else_asked_for(wire, approved):
    other = make_user("eve", "vault.detokenize_pan", is_staff=True)
    calls = wire.calls.copy()
    assert refused(reveals.show, approved, actor=other) is Refusal.OTHER_PERSON
    assert RevealRequest.objects.get().state == "approved"
    assert wire.calls == calls


def test_nothing_is_shown_before_it_is_approved(wire, asked, requester):
    calls = wire.calls.copy()
    assert refused(reveals.show, asked, actor=requester) is Refusal.APPROVAL
    assert wire.calls == calls


def test_who_lost_the_right_in_between_sees_nothing(approved, requester):
    requester.user_permissions.clear()
    assert refused(reveals.show, approved, actor=requester) is Refusal.NO_RIGHT


def test_an_expired_request_is_neither_decided_nor_shown(settings, card, requester, approver):
    past = timezone.now() - timedelta(seconds=1)
    for state, call, actor in (("pending", reveals.approve, approver), ("approved", reveals.show, requester)):
        RevealRequest.objects.all().delete()
        asked = reveals.request(card, actor=requester, purpose=PURPOSE, ticket="T-1")
        RevealRequest.objects.filter(pk=asked.pk).update(expires_at=past, state=state)
        asked.refresh_from_db()
        assert refused(call, asked, actor=actor) is Refusal.EXPIRED


def test_an_approval_is_used_up_by_one_reading(approved, requester, pan):
    RevealRequest.objects.update(state="opening")
    other = Purpose("refund", "another reason")
    read = {"actor": requester, "reveal": approved}
    for purpose, is_read in ((other, False), (PURPOSE, True), (PURPOSE, False)):
        if is_read:
            assert services.detokenize(approved.card_id, purpose=purpose, **read) == pan
        else:
            with pytest.raises(DetokenizationDenied):
                services.detokenize(approved.card_id, purpose=purpose, **read)


def test_an_approval_is_for_one_card(approved, requester, canary):
    other = make_card(canary("another card"))
    RevealRequest.objects.update(state="opening")
    with pytest.raises(DetokenizationDenied) as denial:
        services.detokenize(other.token, actor=requester, purpose="refund: charged twice", reveal=approved)
    assert denial.value.reason is Refusal.APPROVAL


def test_what_approval_by_nobody_allowed_ends_when_approval_is_switched_on(settings, card, requester):
    settings.VAULT = settings.VAULT | {"REVEAL_APPROVAL": False}
    asked = reveals.request(card, actor=requester, purpose=PURPOSE, ticket="T-1")
    assert asked.state == "approved"
    settings.VAULT = settings.VAULT | {"REVEAL_APPROVAL": True}
    assert refused(reveals.show, asked, actor=requester) is Refusal.APPROVAL


def test_a_budget_holds_for_reveals(settings, approved, requester):
    settings.VAULT = settings.VAULT | {"READ_BUDGET": 1}
    AuditEvent(**_spent_one(requester)).save(using="audit")
    assert refused(reveals.show, approved, actor=requester) is Refusal.BUDGET
    assert RevealRequest.objects.get().state == "approved"


def _spent_one(actor):
    from vault.audit.ledger import blank

    place = {"chain": "c", "number": 1, "previous": "", "digest": ""}
    return blank("detokenize", outcome="intent", actor=str(actor.pk), cards=1) | place


def test_what_the_vault_did_not_give_can_be_asked_for_again(wire, approved, requester, pan):
    wire.fail("Decrypt", "ThrottlingException", times=4)
    with pytest.raises(VaultUnavailable):
        reveals.show(approved, actor=requester)
    assert RevealRequest.objects.get().state == "approved"
    assert reveals.show(approved, actor=requester) == pan


def test_a_tampered_card_is_not_shown_and_alarms(approved, requester):
    Card.objects.update(item_digest="0" * 64)
    with pytest.raises(RecordTampered):
        reveals.show(approved, actor=requester)
    (alarm,) = AuditEvent.objects.filter(is_alarm=True)
    assert (alarm.operation, alarm.token, alarm.actor) == ("card.tampered", approved.card_id, str(requester.pk))
    assert "security@example.com" in {message.to[0] for message in mail.outbox}


def test_a_process_that_died_while_it_showed_has_used_the_request_up(approved, requester):
    RevealRequest.objects.update(state="opening")
    assert refused(reveals.show, approved, actor=requester) is Refusal.STATE


def test_a_request_is_not_used_up_inside_a_transaction_that_could_be_rolled_back(approved, requester):
    from django.db import transaction

    with pytest.raises(RuntimeError), transaction.atomic():
        reveals.show(approved, actor=requester)
    assert RevealRequest.objects.get().state == "approved"


# --- Break-glass ----------------------------------------------------------------------------------------------------


def test_break_glass_alarms_before_anything_is_shown(card, requester, approver, pan):
    asked = reveals.break_glass(card, actor=requester, purpose=PURPOSE, ticket="T-911")
    (alarm,) = AuditEvent.objects.filter(is_alarm=True)
    assert (alarm.operation, alarm.actor, alarm.token) == ("reveal.alarm", str(requester.pk), card.token)
    assert {message.to[0] for message in mail.outbox} == {"security@example.com", "bob@example.com"}
    assert reveals.show(asked, actor=requester) == pan
    assert refused(reveals.show, asked, actor=requester) is Refusal.STATE


def test_break_glass_can_be_switched_off(settings, card, requester):
    settings.VAULT = settings.VAULT | {"BREAK_GLASS": False}
    assert refused(reveals.break_glass, card, actor=requester, purpose=PURPOSE, ticket="T") is Refusal.BREAK_GLASS
    assert not RevealRequest.objects.exists()


def test_without_its_alarm_there_is_no_break_glass(card, requester, monkeypatch):
    save = AuditEvent.save

    def no_alarm(event, **options):
        if event.is_alarm:
            raise DatabaseError
        save(event, **options)

    monkeypatch.setattr(AuditEvent, "save", no_alarm)
    if connections["audit"].vendor == "sqlite":
        monkeypatch.setattr(connections["audit"], "close", lambda: None)
    with pytest.raises(AuditUnavailable):
        reveals.break_glass(card, actor=requester, purpose=PURPOSE, ticket="T-911")
    assert not RevealRequest.objects.exists()
    assert not mail.outbox


def test_break_glass_can_be_stopped(card, requester, approver):
    asked = reveals.break_glass(card, actor=requester, purpose=PURPOSE, ticket="T-911")
    reveals.refuse(asked, actor=approver, note="No emergency")
    assert refused(reveals.show, asked, actor=requester) is Refusal.STATE
    assert reveals.waiting() == 0


def test_break_glass_is_reviewed_by_another_person_once(card, requester, approver):
    asked = reveals.break_glass(card, actor=requester, purpose=PURPOSE, ticket="T-911")
    assert reveals.waiting() == 1
    # While the number can still be seen there is nothing to judge.
    assert refused(reveals.review, asked, actor=approver, note="Called her: fine") is Refusal.STATE
    reveals.show(asked, actor=requester)
    assert refused(reveals.review, asked, actor=requester, note="fine") is Refusal.NO_RIGHT
    assert refused(reveals.review, asked, actor=approver, note="") is Refusal.PURPOSE_TEXT
    reveals.review(asked, actor=approver, note="Called her: fine")
    assert (asked.decider, asked.decision, asked.state) == (approver, "Called her: fine", "shown")
    assert refused(reveals.review, asked, actor=approver, note="again") is Refusal.STATE
    assert reveals.waiting() == 0
