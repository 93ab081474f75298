"""What the vault brings to the start page: to those with the right alone, right in its numbers, without asking AWS."""

import re
from datetime import timedelta

import pytest
from django.db import DatabaseError, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import make_card, make_user
from tests.vault.admin.visitors import signed_in
from vault import alarms, policy
from vault.audit.ledger import blank
from vault.models import AuditEvent, AuditEventQuerySet, Card, ExportRequest, Incident, Key, Run

pytestmark = pytest.mark.django_db
CONSOLE = "/admin/"
ARN = "arn:aws:kms:eu-central-1:000000000000:key/0381680b-1a46-4f0b-8e9c-f470a3a4d531"

# What each right shows, in words that stand nowhere else on the page.
SHOWN = {
    "view_card": ["Cards on file", "Cards to be erased", "Cards on file by brand", "Last new card"],
    "view_auditevent": ["Alarms in 24 hours", "Tokenizations per day", "by purpose", "by operation", "last sealed"],
    "view_key": ["Age of the keys in use", "kept too long", "Both stores compared"],
    "manage_keys": ["Age of the keys in use", "kept too long", "Both stores compared"],
    "view_incident": ["Open incidents"],
    "work_incident": ["Open incidents"],
    "approve_reveal": ["Reveals waiting for approval", "Locked readers"],
    "view_revealrequest": ["Reveals waiting for approval"],
    "detokenize_pan": ["Reveals waiting for approval"],
    "view_exportrequest": ["Exports waiting for approval"],
    "approve_export": ["Exports waiting for approval"],
    "request_export": ["Exports waiting for approval"],
}
EVERYTHING = sorted({words for each in SHOWN.values() for words in each})


def staff(*rights, name="sam", **options):
    return signed_in(make_user(name, *(f"vault.{right}" for right in rights), is_staff=True, **options))


def counted(page):
    """The counts at the top of a page, and where each leads."""
    found = re.findall(r'<a href="([^"]+)"><strong>([^<]+)</strong> <span>([^<]+)</span>', page)
    return {label: (number, address.replace("&amp;", "&")) for address, number, label in found}


def listed(client, address):
    """How many rows a list in the admin has."""
    answer = client.get(address)
    assert answer.status_code == 200, address
    return len(answer.context["cl"].result_list)


def looks(**about):
    return AuditEvent.objects.filter(operation="audit.read", subject="console", **about)


# --- Rights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("right", "words"), SHOWN.items(), ids=SHOWN)
def test_a_right_shows_what_it_is_for_and_no_more(kept, right, words):
    page = staff(right).get(CONSOLE).text
    assert [each for each in EVERYTHING if each in page] == sorted(words)


@pytest.mark.parametrize("is_superuser", [False, True], ids=["staff", "superuser"])
def test_nobody_sees_anything_of_the_vault_without_a_right_of_it(kept, is_superuser):
    client = staff(is_superuser=is_superuser)
    page = client.get(CONSOLE)
    assert page.status_code == 200
    assert not [each for each in EVERYTHING if each in page.text]
    assert not AuditEvent.objects.filter(operation="audit.read").exists()


@pytest.mark.parametrize("who", [None, "customer"])
def test_others_are_sent_to_sign_in(client, who):
    if who:
        client.force_login(make_user(who, "vault.view_card", "vault.view_auditevent"))
    assert client.get(CONSOLE).status_code == 302
    assert not AuditEvent.objects.filter(operation="audit.read").exists()


# --- Numbers, and the lists that they lead to -------------------------------------------------------------------------


def test_cards_are_counted_by_brand_and_erased_ones_are_not(wire, card):
    for brand in ("visa", "amex", "mastercard"):
        make_card(card(brand))
    Card.objects.filter(brand="mastercard").update(status="erased")
    client = staff("view_card")
    page = client.get(CONSOLE).text
    number, address = counted(page)["Cards on file"]
    assert number == "2"
    assert listed(client, address) == 2
    rows = re.findall(r'brand__exact=(\w+)">([^<]+)</a></th>\s*<td><div><span class="console-number">(\d+)', page)
    assert sorted(rows) == [("amex", "American Express", "1"), ("visa", "Visa", "1")]


def test_cards_to_be_erased_are_those_that_no_hold_keeps(wire, card):
    for brand, hold in (("visa", ""), ("amex", "case 7"), ("mastercard", "")):
        made = make_card(card(brand))
        Card.objects.filter(pk=made.pk).update(retain_until=timezone.localdate() - timedelta(days=1), hold=hold)
    Card.objects.filter(brand="mastercard").update(status="erased")
    client = staff("view_card")
    number, address = counted(client.get(CONSOLE).text)["Cards to be erased"]
    assert number == "1"
    assert listed(client, address) == 1


def test_reveals_that_wait_are_counted_as_far_as_one_may_see_them(asked, ada, bob):
    for client, number in ((signed_in(ada), "1"), (signed_in(bob), "1"), (staff("detokenize_pan"), "0")):
        found, address = counted(client.get(CONSOLE).text)["Reveals waiting for approval"]
        assert found == number
        assert listed(client, address) == int(number)


def test_a_reveal_that_was_decided_or_is_too_late_waits_no_more(approved, asked, bob):
    assert counted(signed_in(bob).get(CONSOLE).text)["Reveals waiting for approval"][0] == "0"
    type(asked).objects.update(state="pending", expires_at=timezone.now())
    assert counted(signed_in(bob).get(CONSOLE).text)["Reveals waiting for approval"][0] == "0"


def test_exports_that_wait_are_counted_and_those_too_late_are_not(ada):
    for hours in (-1, 1, 2):
        until = timezone.now() + timedelta(hours=hours)
        ExportRequest.objects.create(requester=ada, recipient="x", ticket="T", selection="all", expires_at=until)
    client = staff("approve_export")
    number, address = counted(client.get(CONSOLE).text)["Exports waiting for approval"]
    assert number == "2"
    assert listed(client, address) == 2


def test_open_incidents_are_counted():
    for source, state in (("a", "open"), ("b", "open"), ("c", "cleaned")):
        Incident.objects.create(source=source, state=state)
    client = staff("view_incident")
    number, address = counted(client.get(CONSOLE).text)["Open incidents"]
    assert number == "2"
    assert listed(client, address) == 2


def test_locked_readers_are_counted(ada, bob):
    alarms.sound(policy.LOCK, "Locked.", subject=str(ada.pk))
    client = signed_in(bob)
    number, address = counted(client.get(CONSOLE).text)["Locked readers"]
    assert number == "1"
    assert "ada" in client.get(address).text


def test_alarms_are_those_of_24_hours():
    happened(1, "old.alarm", timedelta(hours=25), is_alarm=True)
    happened(2, "some.alarm", timedelta(hours=23), is_alarm=True)
    happened(3, "no.alarm", timedelta(hours=1))
    client = staff("view_auditevent")
    number, address = counted(client.get(CONSOLE).text)["Alarms in 24 hours"]
    assert number == "1"
    assert listed(client, address) == 1


# --- What the audit log says ------------------------------------------------------------------------------------------


def happened(number, operation, ago, **values):
    """An event of the past, which the audit log itself would not take."""
    place = {"chain": "past", "number": number, "previous": "", "digest": ""}
    content = blank(operation, **{"outcome": "done", "time": timezone.now() - ago} | values)
    AuditEvent(**content, **place).save(using="audit")


def days(page, key):
    """The table of a chart of days, the newest day first."""
    section = page.partition(f'aria-labelledby="console-{key}"')[2].partition("</section>")[0]
    return [int(number) for number in re.findall(r'</th><td class="console-number">(\d+)</td>', section)]


def categories(page, key):
    section = page.partition(f'aria-labelledby="console-{key}"')[2].partition("</section>")[0]
    found = re.findall(
        r'<th scope="row">(?:<a [^>]+>)?([^<]+).*?<span class="console-number">(\d+)', section, re.DOTALL
    )
    return [(label, int(number)) for label, number in found]


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
    assert not [words for words in SHOWN["view_auditevent"] if words in page.text]
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


# --- Keys and the last known state ------------------------------------------------------------------------------------


def state_of(page, label):
    row = page.partition(f">{label}</a></th>")[2].partition("</tr>")[0]
    return re.search(r"console-state console-(\w+)", row).group(1)


def text_of(page):
    return " ".join(page.split())


def test_a_key_is_as_old_as_its_row_and_the_first_as_the_first_card(kept):
    now = timezone.now()
    Card.objects.update(created_at=now - timedelta(days=400))
    for number, state, age in ((1, "old", 400), (2, "active", 100)):
        Key.objects.create(purpose="card", number=number, arn=ARN, state=state, created_at=now - timedelta(days=age))
    Key.objects.create(purpose="fingerprint", number=1, arn=ARN, state="active", created_at=now - timedelta(days=7))
    page = text_of(staff("view_key").get(CONSOLE).text)
    assert "100 days of 365. The cryptoperiod ends on" in page
    assert "400 days of 365. The cryptoperiod ended on" in page
    assert "<dt>Card key 2</dt>" in page
    assert "<dt>Fingerprint key 1</dt>" in page
    assert "<dt>Card key 1</dt>" not in page


def test_keys_that_were_never_rotated_are_as_old_as_the_first_card(kept):
    Card.objects.update(created_at=timezone.now() - timedelta(days=30))
    assert text_of(staff("view_key").get(CONSOLE).text).count("30 days of 365.") == 2


def test_without_keys_and_cards_there_is_nothing_to_draw():
    page = staff("view_key").get(CONSOLE).text
    assert "There is nothing to show yet." in page


@pytest.mark.parametrize(
    ("state", "shown"), [("done", "good"), ("failed", "attention"), ("running", "attention"), (None, "never")]
)
def test_the_newest_comparison_of_both_stores_is_shown(state, shown):
    if state:
        Run.objects.create(operation="fsck", state="done", started_at=timezone.now() - timedelta(days=2))
        Run.objects.create(operation="fsck", state=state)
    assert state_of(staff("view_key").get(CONSOLE).text, "Both stores compared") == shown


@pytest.mark.parametrize(("days_ago", "shown"), [(1, "good"), (100, "attention"), (None, "never")])
def test_the_last_proof_that_nothing_is_kept_too_long_is_shown(days_ago, shown):
    if days_ago:
        at = timezone.now() - timedelta(days=days_ago)
        Run.objects.create(operation="retention", state="done", started_at=at)
    assert state_of(staff("view_key").get(CONSOLE).text, "Verified that no card is kept too long") == shown


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
