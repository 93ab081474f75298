"""Whether the audit log hangs together: shown above the list, looked at on demand, loud where it does not."""

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections
from django.test.utils import CaptureQueriesContext

from tests.factories import make_card, make_user
from tests.vault.admin.visitors import sign, signed_in
from vault.admin import chains
from vault.audit import record, standing as standings
from vault.audit.chain import EDITED
from vault.models import AuditEvent, Run

pytestmark = pytest.mark.django_db
LOG = "/admin/vault/auditevent/"
VERIFY = f"{LOG}verify/"


@pytest.fixture
def client():
    return signed_in(make_user("auditor", "vault.view_auditevent", is_staff=True))


@pytest.fixture
def several(canary):
    for number in range(3):
        make_card(canary(f"card {number}"))


def tamper():
    event = AuditEvent.objects.filter(operation="tokenize").first()
    with connections["audit"].cursor() as cursor:
        cursor.execute("UPDATE vault_auditevent SET actor_name = %s WHERE id = %s", ["mallory", event.pk])
    return event


def test_before_anything_was_sealed_or_verified_it_says_so(client, several):
    page = client.get(LOG).text
    assert "None among the newest events." in page
    assert page.count("never verified") == 2
    assert "does not hold together" not in page


def test_a_seal_and_what_came_after_it_are_shown(wire, client, several):
    call_command("vault_audit", "seal")
    for _ in range(3):
        record("some.thing")
    wire.calls.clear()
    now, page = standings.standing(), client.get(LOG).text
    seal = AuditEvent.objects.get(operation="audit.seal")
    assert now.sealed_at == seal.time
    assert now.unsealed == 3
    assert "<dd>3</dd>" in page
    assert not wire.calls


@pytest.mark.parametrize("details", ["[]", '{"until_row": "x"}', '{"until_row": {}}', "7"])
def test_an_edited_seal_does_not_hide_the_log(client, several, details):
    call_command("vault_audit", "seal")
    with connections["audit"].cursor() as cursor:
        cursor.execute("UPDATE vault_auditevent SET details = %s WHERE operation = 'audit.seal'", [details])
    assert client.get(LOG).status_code == 200
    client.post(VERIFY)
    assert "does not hold together" in client.get(LOG).text


def test_very_many_without_a_seal_are_not_counted_to_the_end(client, monkeypatch, several):
    monkeypatch.setattr(standings, "LOOKED_AT", 2)
    monkeypatch.setattr(chains, "LOOKED_AT", 2)
    assert "2 or more" in client.get(LOG).text


def test_the_button_verifies_the_newest_and_keeps_the_result(wire, client, several):
    wire.calls.clear()
    page = client.post(VERIFY, follow=True).text
    run = Run.objects.get(operation="audit.verify-newest")
    assert (run.state, run.counts["breaks"]) == ("done", 0)
    assert f"The newest {run.counts['events']} events hang together." in page
    assert "It does not find what somebody rewrote to the very end" in page
    outcomes = AuditEvent.objects.filter(operation="audit.verify", subject="newest").order_by("pk")
    assert list(outcomes.values_list("outcome", flat=True)) == ["intent", "done"]
    assert not wire.calls


def test_it_looks_at_no_more_than_the_newest(client, several, monkeypatch):
    for _ in range(20):
        record("some.thing")
    monkeypatch.setattr(chains, "COUNT", 5)
    client.post(VERIFY)
    assert Run.objects.get(operation="audit.verify-newest").counts["events"] <= 5


def test_a_break_is_loud_an_alarm_and_stays_until_all_of_it_holds(client, several, mailoutbox, settings):
    settings.VAULT = settings.VAULT | {"ALARM_EMAILS": ["ops@example.com"]}
    name = AuditEvent.objects.filter(operation="tokenize").first().actor_name
    event = tamper()
    page = client.post(VERIFY, follow=True).text
    assert f"Broken at row {event.pk}:" in page
    assert f"{EDITED}." in page
    alarm = AuditEvent.objects.get(operation="audit.broken")
    assert (alarm.is_alarm, alarm.details["first_row"]) == (True, event.pk)
    assert len(mailoutbox) == 1
    # The window moves on, and so may what is found in it.
    with connections["audit"].cursor() as cursor:
        cursor.execute("UPDATE vault_auditevent SET actor_name = %s WHERE id = %s", [name, event.pk])
    client.post(VERIFY)
    assert "Broken at row" in client.get(LOG).text
    call_command("vault_audit", "verify")
    assert "Broken at row" not in client.get(LOG).text


def test_what_the_command_finds_is_shown(client, several):
    call_command("vault_audit", "seal")
    call_command("vault_audit", "verify")
    assert "holds: " in client.get(LOG).text
    event = tamper()
    with pytest.raises(CommandError):
        call_command("vault_audit", "verify")
    assert f"Broken at row {event.pk}:" in client.get(LOG).text


def test_seals_that_do_not_hold_are_shown(client, several, vault):
    call_command("vault_audit", "seal")
    dynamodb, key = vault.session.dynamodb(), {"token": {"S": "audit-seal#00000001"}}
    item = dynamodb.get_item(TableName=vault.config.TABLE, Key=key)["Item"]
    dynamodb.delete_item(TableName=vault.config.TABLE, Key=key)
    dynamodb.put_item(TableName=vault.config.TABLE, Item=item | {"mac": {"B": bytes(32)}})
    with pytest.raises(CommandError):
        call_command("vault_audit", "verify")
    page = client.get(LOG).text
    assert "The seals of the audit log do not hold together." in page
    assert Run.objects.get(operation="audit.verify").state == "failed"


STRANGERS = {
    "anonymous": (lambda: None, 302),
    "customer": (lambda: make_user("carl", "vault.view_auditevent"), 302),
    "staff": (lambda: make_user("carl", is_staff=True), 403),
    "superuser": (lambda: make_user("carl", is_staff=True, is_superuser=True), 403),
}


@pytest.mark.parametrize(("who", "status"), STRANGERS.values(), ids=STRANGERS)
def test_strangers_verify_nothing_and_staff_are_recorded(several, who, status):
    assert sign(who()).post(VERIFY).status_code == status
    assert not Run.objects.exists()
    assert not AuditEvent.objects.filter(operation="audit.verify").exists()
    assert AuditEvent.objects.filter(operation="audit.read", outcome="denied").count() == (status == 403)


def test_it_takes_a_post_with_a_token_of_the_form(client):
    assert client.get(VERIFY).status_code == 405
    assert not Run.objects.exists()


def test_what_cannot_be_recorded_is_not_verified(client, several, monkeypatch):
    def fail(event, **options):
        raise DatabaseError

    monkeypatch.setattr(AuditEvent, "save", fail)
    assert client.post(VERIFY).status_code == 503
    assert not Run.objects.exists()


def test_the_state_costs_the_same_however_long_the_log_is(client, several):
    client.get(LOG)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connections["audit"]) as queries:
            client.get(LOG)
        counts.append(len(queries))
        for _ in range(50):
            record("some.thing")
    assert counts[0] == counts[1]


def test_events_are_filtered_by_actor(client):
    grace, carl = make_user("grace"), make_user("carl")
    record("by.grace", actor=grace)
    record("by.carl", actor=carl)
    page = client.get(LOG, {"actor": grace.pk}).text
    assert "by.grace</a></th>" in page or "by.grace</td>" in page
    assert "by.carl</td>" not in page
    assert ">carl</a>" in page
    assert client.get(LOG, {"actor": "nobody at all"}).status_code == 200
