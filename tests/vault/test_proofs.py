"""The vault's proofs for an assessor: what stands in them, and what each says of a vault that is not in order."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections
from django.utils import timezone

from tests.factories import make_card, make_user
from vault import policy, proofs, services
from vault.audit import record
from vault.audit.standing import WHOLE
from vault.audit.verification import seal
from vault.exceptions import DetokenizationDenied
from vault.guard import refuse_plaintext
from vault.models import AuditEvent, Card, Incident, Key, Run
from vault.proofs import Period
from vault.proofs.cards import (
    KEPT_TOO_LONG,
    NOT_COMPARED,
    NOT_SCANNED,
    NOT_VERIFIED,
    OPEN_INCIDENTS,
    STORES_DIFFER,
)
from vault.proofs.keys import OVERDUE, UNDER_RETIRED
from vault.proofs.trail import BROKEN, BROKEN_SEALS, NOT_SEALED

pytestmark = pytest.mark.django_db
TODAY = timezone.now().date()
PERIOD = Period(TODAY - timedelta(days=100), TODAY)
EARLIER = Period(TODAY - timedelta(days=300), TODAY - timedelta(days=200))


def sql(statement, *params):
    with connections["audit"].cursor() as cursor:
        cursor.execute(statement, params)


# As `vault_fsck` and `vault_scan --database` leave them.
POSITIONS = {"fsck": {"opens": True}, "scan": {"plan": [True, [], []]}}


def run(operation, days_ago, state="done", **position):
    moment = timezone.now() - timedelta(days=days_ago)
    position = POSITIONS.get(operation, {}) | position
    return Run.objects.create(
        operation=operation, state=state, started_at=moment, finished_at=moment, counts={"rows": 1}, position=position
    )


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr("vault.fsck.looks._PAUSE", 0)


def test_a_period_is_whole_days_in_utc():
    period = Period(date(2026, 1, 1), date(2026, 1, 31))
    assert (period.since, period.until) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))


# --- Keys -----------------------------------------------------------------------------------------------------------


def test_every_key_is_listed_with_what_3_6_1_1_asks_for(vault, canary):
    make_card(canary("card"))
    record("key.rotate", subject="card")
    proof = proofs.keys(PERIOD)
    assert proof.findings == ()
    listed = {each["purpose"]: each for each in proof.data["keys"]}
    assert set(listed) == {"card", "fingerprint", "audit", "certificate"}
    asked = {"purpose", "algorithm", "bits", "created", "age", "cryptoperiod_end", "items", "state", "key", "kms_state"}
    assert all(asked <= set(each) for each in listed.values())
    assert (listed["card"]["items"], listed["card"]["bits"]) == (1, 256)
    assert [each["operation"] for each in proof.data["changes"]] == ["key.rotate"]
    assert proofs.keys(EARLIER).data["changes"] == []


def test_a_key_past_its_cryptoperiod_is_a_finding(vault, settings, monkeypatch):
    settings.VAULT = settings.VAULT | {"CRYPTOPERIOD_DAYS": 30}
    later = timezone.now() + timedelta(days=31)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert proofs.keys(PERIOD).findings == (OVERDUE,)


@pytest.mark.parametrize(("state", "findings"), [("old", ()), ("retired", (UNDER_RETIRED,))])
def test_an_item_under_a_retired_key_is_a_finding(vault, canary, state, findings):
    make_card(canary("card"))
    for purpose, number, arn, as_is in (
        ("card", 1, vault.config.CARD_KEY, state),
        ("fingerprint", 1, vault.config.FINGERPRINT_KEY, "active"),
    ):
        Key.objects.create(purpose=purpose, number=number, arn=arn, state=as_is)
    assert proofs.keys(PERIOD).findings == findings


# --- Cards ----------------------------------------------------------------------------------------------------------


def test_retention_is_verified_now_and_the_result_is_stored(vault, canary):
    make_card(canary("card"))
    run("retention", 10)
    proof = proofs.retention(PERIOD)
    assert proof.findings == ()
    assert (proof.data["now"]["state"], proof.data["now"]["overdue"], proof.data["now"]["items_of_no_card"]) == (
        "done",
        0,
        0,
    )
    assert len(proof.data["verifications"]) == 2
    assert Run.objects.filter(pk=proof.data["now"]["run"], operation="retention").exists()


def test_a_card_that_is_kept_too_long_is_a_finding(vault, canary):
    card = make_card(canary("card"))
    Card.objects.filter(token=card.token).update(retain_until=timezone.localdate() - timedelta(days=1))
    proof = proofs.retention(PERIOD)
    assert proof.findings == (KEPT_TOO_LONG,)
    assert proof.data["now"]["overdue"] == 1


@pytest.mark.parametrize(
    ("days_ago", "is_late"),
    [
        ((), True),
        ((150, 99, 50), False),
        ((99, 50), True),
        ((150, 60), False),
        ((150, 40), True),
        ((99,), True),
        ((250, 120, 5), True),
    ],
)
def test_more_than_92_days_without_a_verification_are_a_finding(vault, canary, days_ago, is_late):
    make_card(canary("card"))
    Card.objects.update(created_at=timezone.now() - timedelta(days=300))
    for days in days_ago:
        run("retention", days)
    assert (NOT_VERIFIED in proofs.retention(PERIOD).findings) is is_late


def test_a_young_vault_need_not_have_been_verified(vault, canary):
    assert proofs.retention(PERIOD).findings == ()
    make_card(canary("card"))
    Card.objects.update(created_at=timezone.now() - timedelta(days=80))
    assert proofs.retention(PERIOD).findings == ()


@pytest.mark.parametrize(
    ("runs", "findings"),
    [
        ([], (NOT_COMPARED,)),
        ([(200, "done")], (NOT_COMPARED,)),
        ([(9, "failed"), (1, "done")], ()),
        ([(9, "done"), (1, "failed")], (STORES_DIFFER,)),
        ([(1, "running")], (STORES_DIFFER,)),
    ],
)
def test_the_comparisons_of_the_stores(runs, findings):
    for days_ago, state in runs:
        run("fsck", days_ago, state)
    assert proofs.consistency(PERIOD).findings == findings


@pytest.mark.parametrize(
    ("thorough", "quick", "findings"),
    [
        ("failed", "done", (STORES_DIFFER,)),
        ("done", "failed", (STORES_DIFFER,)),
        ("done", "done", ()),
        (None, "done", (NOT_COMPARED,)),
    ],
)
def test_a_quick_comparison_proves_no_agreement(thorough, quick, findings):
    if thorough:
        run("fsck", 2, thorough)
    run("fsck", 1, quick, opens=False)
    proof = proofs.consistency(PERIOD)
    assert proof.findings == findings
    assert [each["opened_cards"] for each in proof.data["comparisons"]] == [True, False][not thorough :]


def test_the_runs_of_the_commands_are_told_apart(vault, canary, tmp_path, capsys):
    make_card(canary("card"))
    (tmp_path / "log").write_text("Nothing here.")
    call_command("vault_fsck", "--quick")
    call_command("vault_scan", "--path", str(tmp_path))
    assert proofs.consistency(PERIOD).findings == (NOT_COMPARED,)
    assert proofs.incidents(PERIOD).findings == (NOT_SCANNED,)
    call_command("vault_fsck")
    call_command("vault_scan", "--database")
    assert proofs.consistency(PERIOD).findings == ()
    assert proofs.incidents(PERIOD).findings == ()


@pytest.mark.parametrize(
    ("state", "opened_days_ago", "findings", "is_listed"),
    [
        ("open", 200, (OPEN_INCIDENTS,), True),
        ("confirmed", 5, (OPEN_INCIDENTS,), True),
        ("cleaned", 5, (), True),
        ("false", 200, (), False),
    ],
)
def test_strays_that_nobody_decided_are_a_finding(state, opened_days_ago, findings, is_listed):
    run("scan", 3)
    opened = timezone.now() - timedelta(days=opened_days_ago)
    Incident.objects.create(source="orders.Order.description", state=state, opened_at=opened, found=2)
    proof = proofs.incidents(PERIOD)
    assert (proof.findings, [each["source"] for each in proof.data["incidents"]]) == (
        findings,
        ["orders.Order.description"] * is_listed,
    )


def test_a_period_without_a_scan_is_a_finding():
    run("scan", 3, "failed")
    assert proofs.incidents(PERIOD).findings == (NOT_SCANNED,)


# --- The audit log --------------------------------------------------------------------------------------------------


def test_the_log_is_verified_and_counted(vault):
    for _ in range(3):
        record("tokenize", cards=2)
    record("card.tampered", is_alarm=True)
    seal(vault.seals)
    proof = proofs.audit_log(PERIOD)
    assert proof.findings == ()
    assert proof.data["verified"]["seals_hold"]
    assert proof.data["verified"]["breaks"] == []
    assert {"operation": "tokenize", "outcome": "done", "events": 3, "sum_of_cards": 6} in proof.data["events"]
    assert proof.data["alarms"] == [{"operation": "card.tampered", "events": 1, "sum_of_cards": 0}]
    assert proofs.audit_log(EARLIER).data["events"] == []
    assert [event.outcome for event in AuditEvent.objects.filter(operation="audit.verify").order_by("pk")][:2] == [
        "intent",
        "done",
    ]
    assert Run.objects.filter(operation=WHOLE, state="done").exists()


def test_a_log_that_was_edited_is_a_finding_and_an_alarm(vault, caplog):
    event = record("tokenize", cards=1)
    seal(vault.seals)
    sql("UPDATE vault_auditevent SET cards = 2 WHERE id = %s", event.pk)
    proof = proofs.audit_log(PERIOD)
    assert proof.findings == (BROKEN,)
    assert [each["row"] for each in proof.data["verified"]["breaks"]] == [event.pk]
    assert AuditEvent.objects.filter(operation="audit.broken", is_alarm=True).count() == 1
    assert Run.objects.get(operation=WHOLE).state == "failed"


def test_a_seal_that_was_changed_is_a_finding_and_an_alarm(vault, caplog):
    record("tokenize")
    (made,) = seal(vault.seals)
    raw, table = vault.session.dynamodb(), vault.config.TABLE
    key = {"token": {"S": f"audit-seal#{made.number:08d}"}}
    item = raw.get_item(TableName=table, Key=key)["Item"]
    # Past the guard on the wire, as somebody with the rights on the table does.
    raw.meta.events.unregister("before-call", refuse_plaintext)
    raw.put_item(TableName=table, Item={name: value for name, value in item.items() if name != "mac"})
    proof = proofs.audit_log(PERIOD)
    assert (proof.findings, proof.data["verified"]) == ((BROKEN_SEALS,), {"seals_hold": False})
    assert AuditEvent.objects.filter(operation="audit.broken", is_alarm=True).count() == 1


def test_a_log_without_a_seal_is_a_finding(vault):
    record("tokenize")
    assert proofs.audit_log(PERIOD).findings == (NOT_SEALED,)


@pytest.mark.parametrize(
    ("moment", "is_within"),
    [
        (PERIOD.since, True),
        (PERIOD.since - timedelta(microseconds=1), False),
        (PERIOD.until - timedelta(microseconds=1), True),
        (PERIOD.until, False),
    ],
    ids=["first moment", "before it", "last moment", "after it"],
)
def test_a_period_has_its_first_and_its_last_moment(moment, is_within):
    event = record("key.rotate")
    sql("UPDATE vault_auditevent SET time = %s WHERE id = %s", moment.strftime("%Y-%m-%d %H:%M:%S.%f"), event.pk)
    assert len(list(proofs.changes(PERIOD, ["key.rotate"]))) == is_within
    assert proofs.counts(PERIOD, ["key.rotate"]).data["events"] == (
        [{"operation": "key.rotate", "outcome": "done", "events": 1, "sum_of_cards": 0}] if is_within else []
    )


def test_reads_are_counted_by_purpose_and_outcome(vault, settings, canary):
    card = make_card(canary("card"))
    reader = make_user("ada", "vault.detokenize_pan", "vault.search_pan")
    for purpose in ("refund: one", "refund: two", "settlement: three"):
        services.detokenize(card.token, actor=reader, purpose=purpose)
    with pytest.raises(DetokenizationDenied):
        services.detokenize(card.token, actor=make_user("eve"), purpose="refund: mine")
    found = proofs.reads(PERIOD).data["reads"]
    counts = {(each["operation"], each["purpose"], each["outcome"]): each["events"] for each in found}
    assert counts == {
        ("detokenize", "refund", "intent"): 3,
        ("detokenize", "refund", "done"): 2,
        ("detokenize", "refund", "denied"): 1,
        ("detokenize", "settlement", "intent"): 1,
        ("detokenize", "settlement", "done"): 1,
    }


def test_changes_come_page_by_page(vault, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("vault.audit.verification._PAGE", 100)
    for number in range(250):
        record("rights.change", subject=f"user:{number}", added=["vault.view_card"] * 50)
    with django_assert_num_queries(3, using="audit"):
        rows = [row["subject"] for row in proofs.changes(PERIOD, ["rights.change"])]
    assert rows == [f"user:{number}" for number in range(250)]
    with django_assert_num_queries(1, using="audit"):
        next(proofs.changes(PERIOD, ["rights.change"]))


# --- People ---------------------------------------------------------------------------------------------------------


def test_who_has_which_right_and_who_could_get_it(vault):
    make_user("ada", "vault.detokenize_pan", is_staff=True)
    make_user("root", is_superuser=True)
    data = proofs.readers().data
    (holder,) = data["rights"]["detokenize_pan"]
    assert (holder["name"], holder["through"], holder["is_staff"]) == ("ada", ["directly"], True)
    # A superuser flag alone is no right (PCI DSS 7.3.3), and says that one could be had.
    assert [each["name"] for each in data["could_grant_reading_to_themselves"]] == ["root"]
    assert set(data["rights"]) == {right.value for right in policy.Right}


def test_a_name_that_is_a_card_number_is_masked(vault, canary, monkeypatch):
    number = canary("user name")
    make_user("ada", "vault.detokenize_pan")
    # As if it had been put into the table by SQL.
    monkeypatch.setattr(User, "get_username", lambda user: number)
    assert number not in json.dumps(proofs.readers().data, cls=DjangoJSONEncoder)
