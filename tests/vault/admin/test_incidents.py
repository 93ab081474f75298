"""Incidents in the admin: who sees them, who decides, and that nothing moves for anybody else."""

import re

import pytest
from django.db import connection

from tests.factories import make_card, make_order, make_user
from tests.vault.admin.visitors import sign, signed_in
from vault.exceptions import AccessDenied, Refusal
from vault.models import AuditEvent, Incident, Run, Stray
from vault.scanning import decisions, incidents
from vault.scanning.decisions import Act
from vault.scanning.scan import Scan

pytestmark = pytest.mark.django_db
LIST = "/admin/vault/incident/"
NOTE = "Asked support: typed by a customer"


@pytest.fixture
def order(canary, leaks):
    """An order with a card number in its description."""
    order = make_order(make_user("carl"), make_card(canary("stored card")))
    digits = canary("description")
    for sink in ("sql", "table"):
        leaks.allow("description", sink=sink, reason="planted for the scan to find")
    type(order).objects.filter(pk=order.pk).update(description=digits)
    return order


@pytest.fixture
def incident(order):
    scan()
    return Incident.objects.get()


@pytest.fixture
def worker():
    return make_user("wanda", "vault.view_incident", "vault.work_incident", is_staff=True)


def scan():
    list(Scan(database=True, paths=[], excluded=[], writes=True).sightings())


def clean(order):
    type(order).objects.filter(pk=order.pk).update(description="")


def detail(incident):
    return f"{LIST}{incident.pk}/change/"


def act_on(incident, act):
    return f"{LIST}{incident.pk}/{act}/"


def state():
    return list(Incident.objects.values_list("state", "note", "decided_by")), list(Stray.objects.values_list("gone_at"))


VISITORS = {
    "anonymous": (lambda: None, 302, 302),
    "customer with the rights": (lambda: make_user("v", "vault.view_incident", "vault.work_incident"), 302, 302),
    "staff": (lambda: make_user("v", is_staff=True), 403, 403),
    "superuser": (lambda: make_user("v", is_staff=True, is_superuser=True), 403, 403),
    "auditor": (lambda: make_user("v", "vault.view_auditevent", is_staff=True), 403, 403),
    "viewer": (lambda: make_user("v", "vault.view_incident", is_staff=True), 200, 403),
    "worker": (lambda: make_user("v", "vault.view_incident", "vault.work_incident", is_staff=True), 200, 302),
}


@pytest.mark.parametrize(("who", "sees", "_"), VISITORS.values(), ids=VISITORS)
def test_who_sees_incidents(incident, who, sees, _):
    client = sign(who())
    for address in (LIST, detail(incident)):
        answer = client.get(address)
        assert answer.status_code == sees
        assert (incident.source in answer.text) == (sees == 200)


@pytest.mark.parametrize("act", Act)
@pytest.mark.parametrize(("who", "_", "works"), VISITORS.values(), ids=VISITORS)
def test_who_works_on_incidents(incident, order, who, _, works, act):
    if act is Act.REOPEN:
        Incident.objects.update(state="false")
    if act is Act.CLEAN:
        clean(order)
    user, before = who(), state()
    answer = sign(user).post(act_on(incident, act.value), {"note": NOTE})
    assert answer.status_code == works
    is_allowed = answer.get("Location") == detail(incident)
    outcomes = list(AuditEvent.objects.filter(operation=f"incident.{act}").values_list("outcome", flat=True))
    if not is_allowed:
        assert state() == before
        assert "done" not in outcomes
    elif act is Act.CHECK:
        assert sorted(outcomes) == ["done", "intent"]
    else:
        incident.refresh_from_db()
        assert (incident.note, incident.decided_by) == (NOTE, user)
        event = AuditEvent.objects.get(operation=f"incident.{act}", outcome="done")
        assert (event.actor, event.reason, event.subject) == (str(user.pk), NOTE, f"incident:{incident.pk}")


@pytest.mark.parametrize("page", ["add/", "{}/delete/", "{}/history/"])
@pytest.mark.parametrize("is_superuser", [False, True])
def test_nothing_is_added_edited_or_deleted(incident, page, is_superuser):
    rights = ["vault.view_incident", "vault.work_incident"]
    client = signed_in(make_user("eve", *rights, is_staff=True, is_superuser=is_superuser))
    for method in (client.get, client.post):
        assert method(f"{LIST}{page.format(incident.pk)}").status_code in (403, 404)
    assert client.post(detail(incident), {"source": "x"}).status_code == 405
    assert client.post(LIST, {"action": "delete_selected", "_selected_action": incident.pk}).status_code in (200, 302)
    assert Incident.objects.get().source == incident.source


def offered(client, incident):
    return set(re.findall(rf"action=.{act_on(incident, '([a-z_]+)')}", client.get(detail(incident)).text))


OFFERED = {
    "open": {"check", "confirm", "clean", "false_alarm"},
    "confirmed": {"check", "clean", "false_alarm"},
    "false": {"check", "reopen"},
    "cleaned": {"check", "reopen"},
}


@pytest.mark.parametrize(("now", "acts"), OFFERED.items(), ids=OFFERED)
def test_what_is_offered_is_what_can_be_done(incident, order, worker, now, acts):
    clean(order)
    Incident.objects.update(state=now)
    client = signed_in(worker)
    assert offered(client, incident) == acts
    assert offered(signed_in(make_user("viewer", "vault.view_incident", is_staff=True)), incident) == set()
    for act in set(Act) - acts:
        assert client.post(act_on(incident, act), {"note": NOTE}).status_code == 403
        assert Incident.objects.get().state == now


@pytest.mark.parametrize("act", ["confirm", "false_alarm", "clean", "reopen"])
def test_a_note_is_needed_and_holds_no_card_number(incident, worker, canary, act):
    before, client = state(), signed_in(worker)
    for note in ("", canary("note")):
        answer = client.post(act_on(incident, act), {"note": note})
        assert answer.status_code == 200
        assert "errorlist" in answer.text
    assert state() == before


def test_what_is_still_there_is_not_cleaned_up(incident, order, worker):
    client = signed_in(worker)
    answer = client.post(act_on(incident, "clean"), {"note": NOTE})
    assert (answer.status_code, Incident.objects.get().state) == (403, "open")
    assert "A card number still stands in one of the places." in answer.text
    clean(order)
    client.post(act_on(incident, "clean"), {"note": NOTE})
    assert Incident.objects.get().state == "cleaned"
    assert Stray.objects.get().gone_at


def test_what_another_scan_opened_meanwhile_is_looked_at_too(incident, worker):
    seen_before = Incident.objects.get()
    seen_before.state = "false"
    with pytest.raises(AccessDenied) as caught:
        decisions.decide(seen_before, Act.CLEAN, actor=worker, note=NOTE)
    assert caught.value.reason is Refusal.STILL_THERE
    assert Incident.objects.get().state == "open"


def test_a_note_of_spaces_is_none(incident, worker):
    with pytest.raises(AccessDenied):
        decisions.decide(incident, Act.CONFIRM, actor=worker, note=" \t ")


def test_checking_again_says_what_is_left(incident, order, worker):
    client = signed_in(worker)
    answer = client.post(act_on(incident, "check"), follow=True)
    assert "Still with a card number: 1. Clean: 0." in answer.text
    clean(order)
    answer = client.post(act_on(incident, "check"), follow=True)
    assert "Still with a card number: 0. Clean: 1." in answer.text
    assert "clean, " in answer.text


def test_a_row_that_is_gone_is_clean(incident, order, worker):
    type(order).objects.filter(pk=order.pk)._raw_delete("default")
    assert decisions.check(incident, actor=worker) == decisions.Checked(there=0, gone=1, unknown=0)


def test_a_column_that_is_gone_is_clean(incident, worker):
    Incident.objects.update(source="default.gone.column")
    incident.refresh_from_db()
    assert decisions.check(incident, actor=worker) == decisions.Checked(there=0, gone=1, unknown=0)


def test_what_was_cleaned_up_and_turns_up_again_is_open_again(incident, order, worker):
    Incident.objects.update(state="cleaned")
    scan()
    text = signed_in(worker).get(detail(incident)).text
    assert "Turned up again" in text
    assert Incident.objects.get().state == "open"


def test_a_file_is_closed_on_the_word_of_who_looked(worker, leaks, canary, tmp_path):
    digits = canary("log")
    leaks.allow("log", sink="file", reason="planted for the scan to find")
    (tmp_path / "log").write_text(digits)
    list(Scan(database=False, paths=[str(tmp_path)], excluded=[], writes=True).sightings())
    found = Incident.objects.get()
    assert decisions.check(found, actor=worker) == decisions.Checked(there=0, gone=0, unknown=1)
    decisions.decide(found, Act.CLEAN, actor=worker, note=NOTE)
    assert Incident.objects.get().state == "cleaned"


def test_many_places_are_turned_page_by_page(incident, worker, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(incidents, "KEPT", 120)
    Stray.objects.bulk_create(
        Stray(incident=incident, place=f"place-{number}-", brand="visa", last4="0000") for number in range(119)
    )
    client = signed_in(worker)
    first = client.get(detail(incident)).text
    assert ("place-10-" in first, "place-110-" in first, "Page 1 of 3" in first) == (True, False, True)
    with django_assert_max_num_queries(25):
        assert "place-110-" in client.get(detail(incident), {"page": 3}).text
    for page in ("0", "99", "x"):
        assert client.get(detail(incident), {"page": page}).status_code == 200


def test_the_list_filters_by_state_and_finds_by_name(incident, worker):
    Incident.objects.create(source="/var/log/app.log", state="false", found=3, run=Run.objects.create(operation="scan"))
    client = signed_in(worker)
    assert "/var/log/app.log" not in client.get(LIST, {"state__exact": "open"}).text
    assert "/var/log/app.log" in client.get(LIST, {"q": "app.log"}).text
    assert incident.source not in client.get(LIST, {"q": "app.log"}).text


def test_no_decision_without_its_event(incident, worker, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(AuditEvent, "save", fail)
    with pytest.raises(RuntimeError):
        decisions.decide(incident, Act.CONFIRM, actor=worker, note=NOTE)
    assert Incident.objects.get().state == "open"
    assert connection.is_usable()
