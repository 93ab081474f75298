"""Asking for a card number, deciding about it and seeing it, in the admin, from all sides."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import DatabaseError
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from tests.cards import NUMBERS, grouped
from tests.factories import make_card, make_user
from tests.vault.identity import FRESH, SIGN_IN, STALE
from vault import policy, reveals
from vault.admin.reveals import SHOWN_SECONDS
from vault.models import AuditEvent, Card, RevealRequest
from vault.purposes import Purpose

pytestmark = pytest.mark.django_db
ASKED = {"purpose": "refund", "reason": "charged twice", "ticket": "T-1"}
QUEUE = "/admin/vault/revealrequest/"


@pytest.fixture(autouse=True)
def configured(settings):
    settings.VAULT = settings.VAULT | {"REVEAL_APPROVAL": True, "CONFIRM_IDENTITY": FRESH}


def configure(settings, **values):
    settings.VAULT = settings.VAULT | values


@pytest.fixture
def digits(canary):
    return canary("stored card")


@pytest.fixture
def kept(wire, digits):
    """A card in the vault. `wire` comes first, so that it hears all that is asked of AWS."""
    return make_card(digits)


@pytest.fixture
def ada():
    """Asks."""
    return make_user("ada", "vault.view_card", "vault.detokenize_pan", is_staff=True)


@pytest.fixture
def bob():
    """Decides."""
    return make_user("bob", "vault.approve_reveal", is_staff=True)


@pytest.fixture
def asked(kept, ada):
    return reveals.request(kept, actor=ada, purpose=Purpose("refund", "charged twice"), ticket="T-1")


@pytest.fixture
def approved(asked, bob):
    reveals.approve(asked, actor=bob)
    return asked


@pytest.fixture
def broken(kept, ada):
    """A use of break-glass."""
    return reveals.break_glass(kept, actor=ada, purpose=Purpose("refund", "fire"), ticket="T-911")


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


def change_page(card):
    return f"/admin/vault/card/{card.token.replace('_', '_5F')}/change/"


def card_page(card, act):
    return reverse(f"admin:vault_card_{act}", args=[card.token])


def detail(asked):
    return f"{QUEUE}{asked.pk}/change/"


def act_on(asked, act):
    return f"{QUEUE}{asked.pk}/{act}/"


def done(*operations):
    events = AuditEvent.objects.filter(operation__in=operations, outcome="done").order_by("pk")
    return list(events.values_list("operation", flat=True))


READING = ("detokenize", "reveal.show")
DECIDING = ("reveal.approved", "reveal.refused", "reveal.review")

# Who must not, and how each is turned away: strangers are sent to sign in, staff are told.
STRANGERS = {
    "anonymous": (lambda: None, 302),
    "customer": (lambda: make_user("carl"), 302),
    "customer with the rights": (
        lambda: make_user("carl", "vault.view_card", "vault.detokenize_pan", "vault.approve_reveal"),
        302,
    ),
    "staff": (lambda: make_user("carl", is_staff=True), 403),
    "superuser": (lambda: make_user("carl", is_staff=True, is_superuser=True), 403),
    "support": (lambda: make_user("carl", "vault.view_card", "vault.search_pan", is_staff=True), 403),
}
strangers = pytest.mark.parametrize(("who", "status"), STRANGERS.values(), ids=STRANGERS)


def sign(user):
    return signed_in(user) if user else Client()


# --- Nothing is forgotten -------------------------------------------------------------------------------------------

OWN_ADDRESSES = {
    "vault_card_search": ("GET", "POST"),
    "vault_card_reveal": ("POST",),
    "vault_card_break_glass": ("POST",),
    "vault_revealrequest_locked": ("GET",),
    "vault_revealrequest_unlock": ("POST",),
    "vault_revealrequest_show": ("GET", "POST"),
    "vault_revealrequest_approve": ("POST",),
    "vault_revealrequest_refuse": ("POST",),
    "vault_revealrequest_review": ("POST",),
}
STOCK = {"changelist", "add", "change", "delete", "history"}


def test_every_address_of_the_vault_in_the_admin_is_in_the_tables():
    (_, admin) = get_resolver().namespace_dict["admin"]
    names = {name for name in admin.reverse_dict if isinstance(name, str) and name.startswith("vault_")}
    own = {name for name in names if name.rpartition("_")[2] not in STOCK}
    assert own == set(OWN_ADDRESSES)


def address_of(name, asked):
    if name.startswith("vault_card_"):
        return reverse(f"admin:{name}", args=[] if name == "vault_card_search" else [asked.card_id])
    return reverse(f"admin:{name}", args=[] if name.endswith(("locked", "unlock")) else [asked.pk])


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("name", OWN_ADDRESSES)
def test_other_methods_are_refused(approved, wire, name, method):
    if method in OWN_ADDRESSES[name]:
        return
    everything = make_user("eve", "vault.view_card", *(f"vault.{right.value}" for right in policy.Right), is_staff=True)
    calls = wire.calls.copy()
    answer = signed_in(everything).generic(method, address_of(name, approved))
    assert answer.status_code == 405
    assert wire.calls == calls
    assert RevealRequest.objects.get().state == "approved"


@pytest.mark.parametrize("name", [name for name, methods in OWN_ADDRESSES.items() if "POST" in methods])
def test_a_form_without_its_token_does_nothing(asked, ada, bob, wire, digits, name):
    calls = wire.calls.copy()
    for user in (ada, bob):
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        answer = client.post(address_of(name, asked), ASKED | {"note": "n", "number": digits, "confirmed": "yes"})
        assert answer.status_code == 403
    assert wire.calls == calls
    assert RevealRequest.objects.get().state == "pending"
    assert not done(*READING, *DECIDING, "search", "reveal.break_glass")


@pytest.mark.parametrize("name", OWN_ADDRESSES)
def test_a_number_in_the_address_is_redirected_away(asked, ada, canary, name):
    address = address_of(name, asked)
    answer = signed_in(ada).get(address, {"q": canary("search")})
    assert (answer.status_code, answer["Location"]) == (302, address)


@pytest.mark.parametrize("address", [QUEUE, "/admin/vault/auditevent/", "/admin/vault/card/"])
@pytest.mark.parametrize("query", ["q={}", "state={}", "operation={}", "p={}", "{}=1"])
def test_a_number_in_a_list_is_redirected_away_with_a_hint(client, canary, address, query):
    client.force_login(
        make_user("eve", "vault.view_card", "vault.view_revealrequest", "vault.view_auditevent", is_staff=True)
    )
    answer = client.get(f"{address}?{query.format(canary('search'))}")
    assert (answer.status_code, answer["Location"]) == (302, address)
    assert "Search by the last four digits." in client.get(address).text


# --- Asking ---------------------------------------------------------------------------------------------------------


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


# --- Break-glass ----------------------------------------------------------------------------------------------------


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


# --- Who sees which requests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [QUEUE, "detail"])
@strangers
def test_strangers_see_no_requests(asked, address, who, status):
    answer = sign(who()).get(detail(asked) if address == "detail" else address)
    assert answer.status_code == status
    assert "T-1" not in answer.text
    assert asked.card.last4 not in answer.text


@pytest.mark.parametrize(
    ("right", "sees"),
    [("vault.detokenize_pan", False), ("vault.approve_reveal", True), ("vault.view_revealrequest", True)],
)
def test_others_see(asked, right, sees):
    client = signed_in(make_user("carl", right, is_staff=True))
    assert ("T-1" in client.get(QUEUE).text) is sees
    answer = client.get(detail(asked))
    assert answer.status_code == (200 if sees else 404)
    assert ("T-1" in answer.text) is sees


def test_the_requester_sees_their_own(asked, ada):
    client = signed_in(ada)
    for address in (QUEUE, detail(asked)):
        page = client.get(address).text
        assert "T-1" in page
        assert f"Visa •••• {asked.card.last4}" in page


def test_a_superuser_finds_neither_requests_nor_audit_log_on_the_start_page(asked, admin_client):
    page = admin_client.get("/admin/").text
    assert "/admin/vault/card/" in page
    assert "/admin/vault/revealrequest/" not in page
    assert "/admin/vault/auditevent/" not in page


@pytest.mark.parametrize("state", ["waiting", "approved", "refused", "shown", "expired", "review"])
def test_the_queue_is_filtered_by_state(asked, broken, bob, state):
    RevealRequest.objects.filter(pk=broken.pk).update(decider=None if state == "review" else bob, state="shown")
    hour = timedelta(hours=1)
    change = {
        "waiting": {}, "approved": {"state": "approved"}, "refused": {"state": "refused"}, "shown": {"state": "opening"},
        "expired": {"expires_at": timezone.now() - hour}, "review": {},
    }[state]  # fmt: skip
    RevealRequest.objects.filter(pk=asked.pk).update(**change)
    page = signed_in(bob).get(QUEUE, {"state": state}).text
    assert ("T-1<" in page) is (state != "review")
    assert ("T-911<" in page) is (state in {"review", "shown"})


@pytest.mark.parametrize("words", ["T-1", "ada", "last4", "token"])
def test_a_request_is_found_by(asked, bob, words):
    words = {"last4": asked.card.last4, "token": asked.card_id}.get(words, words)
    assert "T-1<" in signed_in(bob).get(QUEUE, {"q": words}).text
    assert "T-1<" not in signed_in(bob).get(QUEUE, {"q": "nothing"}).text


def test_the_queue_costs_the_same_for_100_requests_as_for_10(kept, ada, bob, wire, django_assert_max_num_queries):
    client, counts, calls = signed_in(bob), [], wire.calls.copy()
    # What a project does once for each session is not the queue's.
    client.get(QUEUE)
    for more in (10, 90):
        RevealRequest.objects.bulk_create(
            RevealRequest(card=kept, requester=ada, purpose="refund", reason="r", ticket="T", expires_at=timezone.now())
            for _ in range(more)
        )
        with django_assert_max_num_queries(25) as queries:
            client.get(QUEUE)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert wire.calls == calls


@pytest.mark.parametrize("act", ["add/", "{}/delete/", "{}/history/", "{}/change/"])
def test_nothing_is_changed_by_the_pages_of_django(asked, act):
    everything = make_user("eve", *(f"vault.{right.value}" for right in policy.Right), is_staff=True, is_superuser=True)
    client = signed_in(everything)
    path = QUEUE + act.format(asked.pk)
    assert client.post(path, {"post": "yes", "state": "approved"}).status_code in {403, 404, 405}
    assert RevealRequest.objects.get().state == "pending"
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("pk", ["0", "x", "9" * 18, "9" * 30, "1e3", "-1"])
def test_a_request_that_is_none_is_not_found(bob, pk, db):
    assert signed_in(bob).get(f"{QUEUE}{pk}/change/").status_code == 404


# --- Deciding -------------------------------------------------------------------------------------------------------


def test_another_person_approves(asked, ada, bob):
    page = signed_in(bob).post(act_on(asked, "approve"), {"note": ""}, follow=True).text
    asked.refresh_from_db()
    assert (asked.state, asked.decider, asked.decision) == ("approved", bob, "")
    assert "bob approved." in page
    assert "Show the number once" not in page
    assert "Show the number once" in signed_in(ada).get(detail(asked)).text


def test_another_person_refuses_and_says_why(asked, ada, bob):
    client = signed_in(bob)
    assert "Say why, in a few words." in client.post(act_on(asked, "refuse"), {"note": " "}).text
    assert RevealRequest.objects.get().state == "pending"
    client.post(act_on(asked, "refuse"), {"note": "Wrong ticket"})
    page = signed_in(ada).get(detail(asked)).text
    assert "bob refused." in page
    assert "Wrong ticket" in page
    assert "Show the number once" not in page


def test_a_use_of_break_glass_is_reviewed(broken, bob):
    client = signed_in(bob)
    assert "Your review" not in client.get(detail(broken)).text
    RevealRequest.objects.update(state="shown")
    assert "Your review" in client.get(detail(broken)).text
    page = client.post(act_on(broken, "review"), {"note": "Called her: fine"}, follow=True).text
    broken.refresh_from_db()
    assert (broken.decider, broken.decision) == (bob, "Called her: fine")
    assert "bob reviewed it." in page
    assert "Your review" not in page


def test_the_requester_is_offered_no_decision_and_cannot_take_it(kept):
    both = make_user("eve", "vault.detokenize_pan", "vault.approve_reveal", is_staff=True)
    asked = reveals.request(kept, actor=both, purpose=Purpose("refund", "mine"), ticket="T-2")
    client = signed_in(both)
    assert "Your decision" not in client.get(detail(asked)).text
    for act in ("approve", "refuse"):
        answer = client.post(act_on(asked, act), {"note": "n"})
        assert answer.status_code == 403
        assert "Another person has to decide this." in answer.text
    assert RevealRequest.objects.get().state == "pending"
    assert not done(*DECIDING)


@pytest.mark.parametrize("act", ["approve", "refuse", "review"])
@strangers
def test_strangers_decide_nothing(asked, wire, act, who, status):
    calls = wire.calls.copy()
    answer = sign(who()).post(act_on(asked, act), {"note": "n"})
    # What staff may not see does not exist for them.
    assert answer.status_code == (404 if status == 403 else status)
    assert RevealRequest.objects.get().state == "pending"
    assert not done(*DECIDING)
    assert wire.calls == calls


@pytest.mark.parametrize("act", ["approve", "refuse", "review"])
@pytest.mark.parametrize("right", ["vault.view_revealrequest", "own"])
def test_who_may_only_look_decides_nothing(asked, ada, act, right):
    client = signed_in(ada if right == "own" else make_user("carl", right, is_staff=True))
    assert "Your decision" not in client.get(detail(asked)).text
    answer = client.post(act_on(asked, act), {"note": "n"})
    assert answer.status_code == 403
    assert "This right was not granted." in answer.text
    assert RevealRequest.objects.get().state == "pending"
    assert not done(*DECIDING)


def test_nothing_is_decided_twice(approved, bob):
    RevealRequest.objects.update(state="shown")
    for act in ("approve", "refuse"):
        answer = signed_in(bob).post(act_on(approved, act), {"note": "too late"})
        assert answer.status_code == 403
        assert "This request was decided or used already." in answer.text
    assert RevealRequest.objects.get().state == "shown"


def test_an_approval_is_taken_back_by_the_button_for_it(approved, bob):
    client = signed_in(bob)
    assert "Refuse" in client.get(detail(approved)).text
    client.post(act_on(approved, "refuse"), {"note": "The ticket was closed"})
    assert RevealRequest.objects.get().state == "refused"


def test_a_card_number_as_a_note_is_refused_and_not_shown_again(asked, bob, canary):
    digits = canary("note")
    page = signed_in(bob).post(act_on(asked, "approve"), {"note": digits}).text
    assert "Card numbers belong in the card field only." in page
    assert RevealRequest.objects.get().state == "pending"


# --- Showing --------------------------------------------------------------------------------------------------------


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


# --- Those who read too much ----------------------------------------------------------------------------------------


@pytest.fixture
def locked(ada):
    from vault import alarms

    alarms.sound(policy.LOCK, "Locked.", subject=str(ada.pk))
    return ada


def test_the_locked_are_listed_and_unlocked_by_another_person(locked, bob):
    client = signed_in(bob)
    assert "Locked readers" in client.get(QUEUE).text
    assert "ada" in client.get(f"{QUEUE}locked/").text
    page = client.post(f"{QUEUE}locked/unlock/", {"reader": locked.pk}, follow=True).text
    assert "Nobody is locked." in page
    assert not policy.is_locked(str(locked.pk))
    assert AuditEvent.objects.get(operation=policy.UNLOCK, outcome="done").actor == str(bob.pk)


def test_nobody_unlocks_themselves(locked):
    from django.contrib.auth.models import Permission

    locked.user_permissions.add(Permission.objects.get(codename="approve_reveal"))
    answer = signed_in(locked).post(f"{QUEUE}locked/unlock/", {"reader": locked.pk})
    assert answer.status_code == 403
    assert "Another person has to decide this." in answer.text
    assert policy.is_locked(str(locked.pk))
    assert AuditEvent.objects.get(operation=policy.UNLOCK, outcome="denied").actor == str(locked.pk)


@pytest.mark.parametrize("reader", ["", "0", "x", "reveal:1"])
def test_who_is_not_locked_is_not_unlocked(bob, reader, db):
    page = signed_in(bob).post(f"{QUEUE}locked/unlock/", {"reader": reader}, follow=True).text
    assert "This person is not locked out." in page
    assert not AuditEvent.objects.filter(operation=policy.UNLOCK).exists()


@strangers
def test_strangers_see_no_locks_and_open_none(locked, who, status):
    client = sign(who())
    answers = [client.get(f"{QUEUE}locked/"), client.post(f"{QUEUE}locked/unlock/", {"reader": locked.pk})]
    assert {answer.status_code for answer in answers} == {status}
    assert not any(">ada<" in answer.text for answer in answers)
    assert policy.is_locked(str(locked.pk))


@pytest.mark.parametrize("right", ["vault.view_revealrequest", "vault.detokenize_pan", "vault.view_auditevent"])
def test_other_rights_open_no_locks(locked, right):
    client = signed_in(make_user("carl", right, is_staff=True))
    assert client.get(f"{QUEUE}locked/").status_code == 403
    assert client.post(f"{QUEUE}locked/unlock/", {"reader": locked.pk}).status_code == 403
    assert policy.is_locked(str(locked.pk))


def test_looking_for_the_locked_costs_the_same_for_many(locked, django_assert_num_queries):
    for number in range(20):
        make_user(f"reader{number}", "vault.search_pan")
    with django_assert_num_queries(1, using="default"), django_assert_num_queries(1, using="audit"):
        assert [reader.user for reader in policy.locked_readers()] == [locked]


@pytest.fixture
def audit_down(monkeypatch):
    """`audit_down()`: from now on the audit log takes no event."""

    def fail(event, **options):
        raise DatabaseError

    return lambda: monkeypatch.setattr(AuditEvent, "save", fail)
