"""Who may ask for an export, who decides it, and when cards are opened for it."""

from datetime import timedelta

import pytest
from django.core import mail
from django.db import DatabaseError
from django.utils import timezone

from tests.factories import make_card, make_user
from tests.vault.exporting import KIND, ada, approved, ask, asked, bob, cleo, configured, digits, kept
from tests.vault.recipients import public_pem, thumbprint
from vault import exports
from vault.audit.warrants import warrants
from vault.envelopes import RecipientKey
from vault.exceptions import (
    AccessDenied,
    AuditUnavailable,
    CardErased,
    DetokenizationDenied,
    RecordTampered,
    Refusal,
    TokenNotFound,
)
from vault.models import AuditEvent, Card, ExportApproval, ExportedCard, ExportRequest
from vault.purposes import Purpose
from vault.tokens import Token

__all__ = ["ada", "approved", "asked", "bob", "cleo", "configured", "digits", "kept"]
pytestmark = pytest.mark.django_db


def denied(reason, act, *arguments, **options):
    with pytest.raises(AccessDenied) as caught:
        act(*arguments, **options)
    assert caught.value.reason is reason


def tokens_of(kept):
    return [Token(token) for token in sorted(kept)]


def done(operation):
    return list(AuditEvent.objects.filter(operation=operation, outcome="done"))


# --- Asking -------------------------------------------------------------------------------------------------------


def test_a_request_keeps_the_key_and_tells_those_who_approve(kept, ada, bob, wire):
    calls = wire.calls.copy()
    made = ask(ada)
    assert (made.state, made.key_thumbprint, made.counts) == ("pending", thumbprint(KIND), {"cards": 5})
    assert RecipientKey.parse(made.public_key).text == RecipientKey.parse(public_pem(KIND)).text
    assert [message.to for message in mail.outbox] == [["bob@example.com"]]
    (event,) = done("export.request")
    assert (event.actor, event.subject, event.cards) == (str(ada.pk), f"export:{made.pk}", 5)
    assert event.details["thumbprint"] == thumbprint(KIND)
    assert wire.calls == calls


NO_REQUESTERS = {
    "nobody": lambda: None,
    "staff": lambda: make_user("carl", is_staff=True),
    "superuser": lambda: make_user("carl", is_staff=True, is_superuser=True),
    "reader": lambda: make_user("carl", "vault.detokenize_pan", "vault.detokenize_unattended"),
    "approver": lambda: make_user("carl", "vault.approve_export"),
    "inactive": lambda: make_user("carl", "vault.request_export", is_active=False),
}


@pytest.mark.parametrize("who", NO_REQUESTERS.values(), ids=NO_REQUESTERS)
def test_no_export_is_asked_for_by(kept, who):
    denied(Refusal.NO_RIGHT, ask, who())
    assert not ExportRequest.objects.exists()
    assert not mail.outbox


WRONG = {
    "purpose": ({"purpose": Purpose("gossip", "why not")}, Refusal.PURPOSE),
    "no reason": ({"purpose": Purpose("settlement", "")}, Refusal.PURPOSE_TEXT),
    "no ticket": ({"ticket": " "}, Refusal.TICKET),
    "long ticket": ({"ticket": "T" * 65}, Refusal.TICKET),
    "no recipient": ({"recipient": ""}, Refusal.RECIPIENT),
    "no card": ({"tokens": []}, Refusal.SELECTION),
    "unknown card": ({"tokens": [Token.generate()]}, Refusal.SELECTION),
}


@pytest.mark.parametrize(("change", "reason"), WRONG.values(), ids=WRONG)
def test_a_request_says_what_for_to_whom_and_which(kept, ada, change, reason):
    right = {"purpose": Purpose("settlement", "x"), "ticket": "T", "recipient": "B"}
    key = RecipientKey.parse(public_pem(KIND))
    denied(reason, exports.request, actor=ada, key=key, **right | change)
    assert not ExportRequest.objects.exists()
    assert not ExportedCard.objects.exists()


@pytest.mark.parametrize("field", ["ticket", "recipient", "purpose"])
def test_a_card_number_in_a_text_is_refused(kept, ada, canary, field):
    typed = f"for {canary('typed')}"
    right = {"purpose": Purpose("settlement", "x"), "ticket": "T", "recipient": "B"}
    wrong = {field: Purpose("settlement", typed) if field == "purpose" else typed}
    with pytest.raises(AccessDenied):
        exports.request(actor=ada, key=RecipientKey.parse(public_pem(KIND)), **right | wrong)
    assert not ExportRequest.objects.exists()


def test_all_cards_are_those_on_file_when_it_was_asked(asked, kept, canary):
    erased, late = Card.objects.get(pk=min(kept)), make_card(canary("late card"))
    Card.objects.filter(pk=erased.pk).update(status="erased", erased_at=timezone.now())
    # Approved as a card of the request, so it is accounted for; the late one nobody approved.
    assert erased in exports.selected(asked)
    assert late not in exports.selected(asked)


def test_an_erased_card_cannot_be_chosen(kept, ada):
    Card.objects.filter(pk=min(kept)).update(status="erased")
    denied(Refusal.SELECTION, ask, ada, list(kept))


def test_chosen_cards_are_kept_once(kept, ada):
    first = min(kept)
    made = ask(ada, [first, first])
    assert [card.token for card in exports.selected(made)] == [first]


# --- Deciding -----------------------------------------------------------------------------------------------------


def test_two_others_approve_and_an_alarm_says_so(asked, bob, cleo):
    mail.outbox.clear()
    exports.approve(asked, actor=bob)
    assert asked.state == "pending"
    assert not AuditEvent.objects.filter(is_alarm=True).exists()
    exports.approve(asked, actor=cleo, note="Compared with Ms. B over the phone")
    assert asked.state == "approved"
    (alarm,) = AuditEvent.objects.filter(is_alarm=True)
    assert (alarm.operation, alarm.subject) == ("export.approved", f"export:{asked.pk}")
    assert [message.to for message in mail.outbox] == [["alarm@example.com"]]
    assert len(done("export.approve")) == 2


def requester_with_the_right(asked):
    return make_user_again(asked.requester, "vault.approve_export")


def make_user_again(user, right):
    other = make_user("granter", right)
    user.user_permissions.through.objects.create(user=user, permission=other.user_permissions.get())
    return user


NO_APPROVERS = {
    "nobody": (lambda asked: None, Refusal.NO_RIGHT),
    "requester": (requester_with_the_right, Refusal.SAME_PERSON),
    "staff": (lambda asked: make_user("carl", is_staff=True), Refusal.NO_RIGHT),
    "superuser": (lambda asked: make_user("carl", is_staff=True, is_superuser=True), Refusal.NO_RIGHT),
    "approver of reveals": (lambda asked: make_user("carl", "vault.approve_reveal"), Refusal.NO_RIGHT),
    "looker-on": (lambda asked: make_user("carl", "vault.view_exportrequest"), Refusal.NO_RIGHT),
}


@pytest.mark.parametrize("act", [exports.approve, exports.refuse])
@pytest.mark.parametrize(("who", "reason"), NO_APPROVERS.values(), ids=NO_APPROVERS)
def test_no_export_is_decided_by(asked, who, reason, act):
    denied(reason, act, asked, actor=who(asked), note="n")
    assert not ExportApproval.objects.exists()
    assert ExportRequest.objects.get().state == "pending"


def test_one_person_approves_once(asked, bob):
    exports.approve(asked, actor=bob)
    denied(Refusal.SAME_PERSON, exports.approve, asked, actor=bob)
    denied(Refusal.SAME_PERSON, exports.refuse, asked, actor=bob, note="n")
    assert asked.approvals.count() == 1


def test_one_refusal_ends_it(asked, bob, cleo):
    exports.approve(asked, actor=bob)
    exports.refuse(asked, actor=cleo, note="The thumbprint is another one")
    assert asked.state == "refused"
    third = make_user("dan", "vault.approve_export")
    denied(Refusal.STATE, exports.approve, asked, actor=third)
    denied(Refusal.STATE, exports.authorize_run, asked)


def test_a_refusal_says_why(asked, bob, canary):
    for note in ("", f"no {canary('note')}"):
        denied(Refusal.PURPOSE_TEXT, exports.refuse, asked, actor=bob, note=note)
    assert ExportRequest.objects.get().state == "pending"


def test_what_cannot_be_recorded_is_not_decided(approved, ada, bob, monkeypatch):
    fresh = ask(ada)

    def fail(event, **options):
        raise DatabaseError

    monkeypatch.setattr(AuditEvent, "save", fail)
    with pytest.raises(AuditUnavailable):
        exports.approve(fresh, actor=bob)
    assert fresh.approvals.count() == 0


# --- Opening ------------------------------------------------------------------------------------------------------


def overdue(asked):
    ExportRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


NOT_RUNNABLE = {
    "expired": (overdue, Refusal.EXPIRED),
    "pending": (lambda asked: ExportRequest.objects.update(state="pending"), Refusal.TWO_APPROVALS),
    "refused": (lambda asked: ExportRequest.objects.update(state="refused"), Refusal.STATE),
    "done": (lambda asked: ExportRequest.objects.update(state="done"), Refusal.STATE),
    "state set by hand": (lambda asked: ExportApproval.objects.first().delete(), Refusal.TWO_APPROVALS),
    "approved by the requester": (
        lambda asked: ExportApproval.objects.filter(pk=ExportApproval.objects.first().pk).update(
            approver=requester_with_the_right(asked)
        ),
        Refusal.TWO_APPROVALS,
    ),
    "one refusal": (
        lambda asked: ExportApproval.objects.create(
            request=asked, approver=make_user("dan"), decision="refused"
        ),
        Refusal.TWO_APPROVALS,
    ),
    "an approver who left": (
        lambda asked: type(asked.requester).objects.filter(username="bob").update(is_active=False),
        Refusal.TWO_APPROVALS,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), NOT_RUNNABLE.values(), ids=NOT_RUNNABLE)
def test_no_card_is_opened_for_a_request(approved, kept, wire, change, reason):
    change(approved)
    calls = wire.calls.copy()
    denied(reason, exports.open_cards, approved, tokens_of(kept))
    assert wire.calls == calls
    assert AuditEvent.objects.get(operation="export", outcome="denied").details["refusal"] == reason.value


def test_a_single_approval_opens_nothing(asked, bob, kept, wire):
    exports.approve(asked, actor=bob)
    calls = wire.calls.copy()
    denied(Refusal.TWO_APPROVALS, exports.open_cards, asked, tokens_of(kept))
    assert wire.calls == calls


def test_an_expired_request_is_not_decided(asked, bob):
    overdue(asked)
    denied(Refusal.EXPIRED, exports.approve, asked, actor=bob)
    assert asked.approvals.count() == 0
    assert ExportRequest.objects.get().state == "expired"


def test_cards_are_opened_and_accounted_for(approved, kept):
    tokens, start = tokens_of(kept), timezone.now()
    assert [pan.expose() for pan in exports.open_cards(approved, tokens)] == [kept[token.text] for token in tokens]
    intent = AuditEvent.objects.get(operation="export", outcome="intent")
    assert (intent.cards, intent.subject, intent.purpose) == (5, f"export:{approved.pk}", "settlement")
    found = {warrant.account for warrant in warrants(start, timezone.now())}
    assert found == set(kept)


def test_a_card_of_no_request_stays_shut(approved, canary, wire):
    other, calls = make_card(canary("late card")), wire.calls.copy()
    with pytest.raises(TokenNotFound):
        exports.open_cards(approved, [Token(other.token)])
    assert wire.calls["Decrypt"] == calls["Decrypt"]


def test_an_erased_card_stays_shut(approved, kept, wire):
    Card.objects.filter(pk=min(kept)).update(status="erased", erased_at=timezone.now())
    calls = wire.calls.copy()
    with pytest.raises(CardErased):
        exports.open_cards(approved, tokens_of(kept))
    assert wire.calls == calls


def test_an_older_item_is_noticed(approved, kept):
    Card.objects.filter(pk=min(kept)).update(item_version=9)
    with pytest.raises(RecordTampered):
        exports.open_cards(approved, tokens_of(kept))


def test_a_purpose_of_others_is_refused(kept, ada, settings):
    settings.VAULT = settings.VAULT | {"PURPOSE_RULES": {"settlement": {"groups": ["Finance"]}}}
    with pytest.raises(DetokenizationDenied):
        ask(ada)
