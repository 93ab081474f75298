"""Who sees which reveal requests, and who decides them."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from tests.factories import make_card, make_user
from tests.vault.admin.visitors import (
    DECIDING,
    QUEUE,
    act_on,
    detail,
    done,
    sign,
    signed_in,
    strangers,
)
from vault import policy, reveals
from vault.models import RevealRequest
from vault.purposes import Purpose

pytestmark = pytest.mark.django_db


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


def test_the_queue_begins_with_what_is_to_be_decided(asked, bob, canary, ada):
    reveals.refuse(asked, actor=bob, note="no")
    again = reveals.request(make_card(canary("other")), actor=ada, purpose=Purpose("refund", "twice"), ticket="T-2")
    client = signed_in(bob)
    page = client.get(QUEUE).text
    assert "T-2<" in page
    assert "T-1<" not in page
    assert 'href="?state=open"' in page
    assert "T-1<" in client.get(QUEUE, {"state": "all"}).text
    assert "T-1<" in client.get(QUEUE, {"q": "T-1"}).text
    # Two clicks: the request, and the decision on its page.
    assert f'href="{detail(again)}"' in page
    assert "Approve" in client.get(detail(again)).text


def test_a_break_glass_to_review_is_among_it(broken, ada, bob):
    reveals.show(broken, actor=ada)
    assert "T-911<" in signed_in(bob).get(QUEUE).text


def test_whoever_asked_sees_what_became_of_it(approved, ada):
    assert "T-1<" in signed_in(ada).get(QUEUE).text
