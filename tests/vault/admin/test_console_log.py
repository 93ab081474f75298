"""What the console says of the audit log: counted right, on record first, and without it not at all."""

import re
from datetime import timedelta

import pytest
from django.db import DatabaseError, connections
from django.test.utils import CaptureQueriesContext

from tests.factories import make_user
from tests.vault.admin.consoles import CONSOLE, categories, counted, days, happened, listed, staff, state_of
from tests.vault.admin.visitors import signed_in
from vault.models import AuditEvent, AuditEventQuerySet

pytestmark = pytest.mark.django_db


def looks(**about):
    return AuditEvent.objects.filter(operation="audit.read", subject="console", **about)


def test_tokenizations_are_cards_per_day_that_were_kept():
    happened(1, "tokenize", timedelta(0), cards=3)
    happened(2, "tokenize", timedelta(0), cards=4)
    happened(3, "tokenize", timedelta(days=2), cards=5)
    happened(4, "tokenize", timedelta(0), cards=9, outcome="intent")
    happened(5, "tokenize", timedelta(0), cards=9, outcome="failed")
    happened(6, "tokenize", timedelta(days=31), cards=9)
    found = days(staff("view_auditevent").get(CONSOLE).text, "tokenizations")
    assert (len(found), found[0], found[2], sum(found)) == (30, 7, 5, 12)


def test_numbers_read_are_counted_by_purpose_and_refusals_by_operation():
    for number, (purpose, outcome, cards) in enumerate(
        [("refund", "done", 1), ("refund", "done", 1), ("dispute", "done", 5), ("refund", "denied", 1)]
    ):
        happened(number, "detokenize", timedelta(days=number), purpose=purpose, outcome=outcome, cards=cards)
    happened(9, "find", timedelta(0), outcome="denied")
    happened(10, "find", timedelta(0), outcome="denied")
    page = staff("view_auditevent").get(CONSOLE).text
    assert categories(page, "purposes") == [("dispute", 5), ("refund", 2)]
    assert categories(page, "refusals") == [("find", 2), ("detokenize", 1)]


def test_what_stands_in_the_log_is_escaped():
    happened(1, "<b>operation", timedelta(0), outcome="denied")
    happened(2, "detokenize", timedelta(0), purpose="<script>alert(1)", cards=1)
    page = staff("view_auditevent").get(CONSOLE).text
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;b&gt;operation" in page
    assert "<script>alert" not in page
    assert "<b>" not in page


def test_every_link_to_the_log_is_one_that_its_list_understands():
    happened(1, "tokenize", timedelta(0), cards=1)
    happened(2, "find", timedelta(0), outcome="denied")
    happened(3, "find", timedelta(days=40), outcome="denied")
    happened(4, "detokenize", timedelta(0), cards=1, purpose="refund")
    client = staff("view_auditevent")
    page = client.get(CONSOLE).text
    found = {address.replace("&amp;", "&") for address in re.findall(r'href="(/admin/vault/auditevent/\?[^"]+)"', page)}
    rows = {address: listed(client, address) for address in found}
    assert len(found) > 6
    assert {address: 1 for address in found if "denied" in address or "purpose" in address}.items() <= rows.items()


# --- A look is an event, and comes before what is seen ----------------------------------------------------------------


def test_a_look_at_the_counts_of_the_log_is_one_event():
    user = make_user("sam", "vault.view_auditevent", is_staff=True)
    client = signed_in(user)
    client.get(CONSOLE)
    assert looks(outcome="done", actor=str(user.pk)).count() == 1
    client.get(CONSOLE)
    assert looks().count() == 2


def test_no_look_is_no_event():
    staff("view_card", "view_key", "approve_reveal").get(CONSOLE)
    assert not looks().exists()


def test_what_cannot_be_recorded_is_not_shown_and_the_rest_is(kept, audit_down):
    happened(1, "secret.thing", timedelta(0), outcome="denied")
    client = staff("view_auditevent", "view_card", "approve_reveal")
    audit_down()
    page = client.get(CONSOLE)
    assert page.status_code == 200
    assert "The audit log cannot be written or read now" in page.text
    assert "secret.thing" not in page.text
    assert not [
        words
        for words in ("Alarms in 24 hours", "Tokenizations per day", "by operation", "last sealed")
        if words in page.text
    ]
    assert counted(page.text)["Cards on file"][0] == "1"


def test_a_log_that_cannot_be_read_takes_nothing_else_away(kept, monkeypatch):
    client = staff("view_auditevent", "view_card", "approve_reveal")

    def fail(*args, **options):
        raise DatabaseError

    monkeypatch.setattr(AuditEventQuerySet, "_fetch_all", fail)
    page = client.get(CONSOLE)
    assert page.status_code == 200
    assert "The audit log cannot be written or read now" in page.text
    assert counted(page.text)["Locked readers"][0] == "–"
    assert counted(page.text)["Cards on file"][0] == "1"


@pytest.mark.parametrize(("hours", "shown"), [(1, "good"), (25, "attention"), (None, "attention")])
def test_the_last_seal_is_shown(hours, shown):
    if hours:
        happened(1, "audit.seal", timedelta(hours=hours))
    assert state_of(staff("view_auditevent").get(CONSOLE).text, "Audit log last sealed") == shown


@pytest.mark.parametrize(("hours", "shown"), [(1, "attention"), (25, "good")])
def test_failures_of_24_hours_are_shown(hours, shown):
    happened(1, "tokenize", timedelta(hours=hours), outcome="failed", cards=1)
    assert state_of(staff("view_auditevent").get(CONSOLE).text, "Vault failures in 24 hours") == shown


@pytest.mark.skipif(connections["audit"].vendor != "sqlite", reason="MariaDB reads so few rows without any index")
def test_events_are_counted_without_reading_one_of_them():
    happened(1, "tokenize", timedelta(0), cards=1)
    with CaptureQueriesContext(connections["audit"]) as queries:
        staff("view_auditevent").get(CONSOLE)
    counting = [each["sql"] for each in queries if "COUNT(" in each["sql"] and "vault_auditevent" in each["sql"]]
    with connections["audit"].cursor() as cursor:
        plans = [str(cursor.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()) for sql in counting]
    assert len(plans) == 2
    assert all("USING COVERING INDEX vault_audit_counted" in plan for plan in plans)
