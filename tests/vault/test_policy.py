from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from tests.factories import make_card, make_user
from vault import alarms, policy, services
from vault.audit import Process, acting_for, record
from vault.audit.ledger import blank
from vault.conf import vault_config
from vault.exceptions import AccessDenied, DetokenizationDenied, Refusal
from vault.models import AuditEvent, RevealRequest
from vault.pan import PAN
from vault.policy import Right
from vault.purposes import TEXT_LENGTH, Purpose, PurposeRule

pytestmark = pytest.mark.django_db
PURPOSE = "refund: charged twice"


def reader(name="fraud", **fields):
    return make_user(name, "vault.detokenize_pan", "vault.search_pan", **fields)


@pytest.fixture
def pan(canary):
    return PAN(canary("stored card"))


@pytest.fixture
def token(pan):
    return make_card(pan.expose()).token


def configure(settings, **values):
    settings.VAULT = settings.VAULT | values


# --- Rights -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", Right)
def test_a_right_may_be_given_to_the_user_or_to_a_group(right):
    permission = Permission.objects.get(codename=right.value, content_type__app_label="vault")
    one, two, group = make_user("one", f"vault.{right.value}"), make_user("two"), Group.objects.create(name="G")
    group.permissions.add(permission)
    two.groups.add(group)
    for actor in (one, two):
        policy.authorize(actor, right)


NOBODIES = {
    "nobody": lambda right: None,
    "anonymous": lambda right: AnonymousUser(),
    "customer": lambda right: make_user(),
    "staff": lambda right: make_user(is_staff=True),
    "superuser": lambda right: make_user(is_staff=True, is_superuser=True),
    "deactivated": lambda right: make_user("ada", f"vault.{right.value}", is_active=False),
    "unsaved": lambda right: User(username="x"),
}


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize("who", NOBODIES.values(), ids=NOBODIES)
def test_everybody_else_is_refused(who, right):
    with pytest.raises(AccessDenied) as refused:
        policy.authorize(who(right), right)
    assert refused.value.reason is Refusal.NO_RIGHT


@pytest.mark.parametrize("who", NOBODIES.values(), ids=NOBODIES)
def test_without_the_right_nothing_is_read_and_no_key_is_asked_for(who, wire, token):
    calls = wire.calls.copy()
    with pytest.raises(DetokenizationDenied):
        services.detokenize(token, actor=who(Right.DETOKENIZE), purpose=PURPOSE)
    assert calls
    assert wire.calls == calls


@pytest.mark.parametrize("who", NOBODIES.values(), ids=NOBODIES)
def test_without_the_right_nothing_is_searched(who, wire, token, pan):
    calls = wire.calls.copy()
    with pytest.raises(AccessDenied):
        services.search(pan, actor=who(Right.SEARCH))
    assert calls
    assert wire.calls == calls


def test_the_groups_are_there_and_each_does_one_job():
    rights = {
        group.name: set(group.permissions.values_list("content_type__app_label", "codename"))
        for group in Group.objects.all()
    }
    orders = {("orders", "view_order"), ("orders", "view_savedcard")}

    def vault(*names):
        return {("vault", name) for name in names}

    assert rights == {
        "Support": orders | vault("view_card", "search_pan", "erase_card", "view_erasurecertificate"),
        "Fraud": orders
        | vault("view_card", "detokenize_pan", "search_pan", "view_revealrequest", "approve_reveal")
        | vault("hold_card", "view_erasurecertificate", "view_incident", "work_incident"),
        "Key custodian": vault("manage_keys", "view_key"),
        "Auditor": vault("view_card", "view_revealrequest", "view_auditevent", "view_erasurecertificate")
        | vault("view_incident", "view_exportrequest", "view_key"),
        "Export approver": vault("view_exportrequest", "approve_export"),
    }


@pytest.mark.parametrize("who", NOBODIES.values(), ids=NOBODIES)
def test_nobody_else_has_a_right_or_may_see(who):
    actor = who(Right.VIEW_CARDS)
    assert policy.rights_of(actor) == frozenset()
    assert not policy.is_granted_sight(actor)


def test_the_rights_of_somebody_are_their_own_and_those_of_their_groups_in_the_vault():
    ada = make_user("ada", "vault.view_card", "orders.view_order", "vault.view_auditevent")
    group = Group.objects.create(name="G")
    group.permissions.add(*policy.grants(Right.ERASE), *policy.grants(Right.VIEW_CARDS))
    ada.groups.add(group)
    assert policy.rights_of(ada) == {Right.VIEW_CARDS, Right.VIEW_AUDIT, Right.ERASE}


@pytest.mark.parametrize(("right", "may"), [(right, right in {Right.VIEW_CARDS, Right.TOKENIZE}) for right in Right])
def test_who_views_or_stores_cards_may_see_them(right, may):
    one, two, group = make_user("one", f"vault.{right.value}"), make_user("two"), Group.objects.create(name="G")
    group.permissions.add(*policy.grants(right))
    two.groups.add(group)
    assert policy.is_granted_sight(one) is policy.is_granted_sight(two) is may
    assert not policy.is_granted_sight(make_user("three", f"vault.{right.value}", is_active=False))


def test_a_permission_of_another_app_or_of_no_right_is_none():
    elsewhere = ContentType.objects.get(app_label="orders", model="order")
    ada = make_user("ada")
    for right in Right:
        ada.user_permissions.add(Permission.objects.create(codename=right.value, name="x", content_type=elsewhere))
    in_vault = ContentType.objects.get(app_label="vault", model="card")
    ada.user_permissions.add(Permission.objects.create(codename="polish_card", name="x", content_type=in_vault))
    alarms.sound(policy.LOCK, "Locked.", subject=str(ada.pk))
    assert policy.rights_of(ada) == frozenset()
    assert not policy.is_granted_sight(ada)
    assert not any(policy.is_granted(ada, right) for right in Right)
    assert policy.locked_readers() == []


def test_who_unlocks_stands_in_the_audit_log():
    lead = make_user("lead", "vault.approve_reveal")
    policy.unlock("7", by=lead)
    assert {event.actor for event in AuditEvent.objects.filter(operation=policy.UNLOCK)} == {str(lead.pk)}


def test_holders_are_the_active_ones_each_once_by_name():
    group = Group.objects.create(name="G")
    group.permissions.add(*policy.grants(Right.APPROVE))
    for name in ("zoe", "ada"):
        make_user(name, "vault.approve_reveal").groups.add(group)
    make_user("mia").groups.add(group)
    make_user("max", "vault.approve_reveal", is_active=False)
    make_user("root", "vault.erase_card", is_superuser=True)
    assert [user.username for user in policy.holders(Right.APPROVE)] == ["ada", "mia", "zoe"]


def test_a_group_that_somebody_changed_keeps_what_it_has():
    migration = import_module("vault.migrations.0008_group_rights")
    for name in ("Support", "Auditor", "Export approver"):
        Group.objects.get(name=name).permissions.clear()
    migration.grant(apps, None)
    assert not Group.objects.get(name="Support").permissions.exists()
    assert not Group.objects.get(name="Auditor").permissions.exists()
    assert not Group.objects.get(name="Export approver").permissions.exists()


# --- Purpose ------------------------------------------------------------------------------------------------------


def refusal_of(actor, token, purpose=PURPOSE):
    with pytest.raises(DetokenizationDenied) as refused:
        services.detokenize(token, actor=actor, purpose=purpose)
    return refused.value.reason


@pytest.mark.parametrize(
    ("purpose", "refusal"),
    [
        ("", Refusal.PURPOSE),
        ("curiosity: I want to", Refusal.PURPOSE),
        ("REFUND: charged twice", Refusal.PURPOSE),
        ("refund", Refusal.PURPOSE_TEXT),
        ("refund:  ", Refusal.PURPOSE_TEXT),
        ("refund: " + "x" * 201, Refusal.PURPOSE_TEXT),
        (Purpose("refund", ""), Refusal.PURPOSE_TEXT),
    ],
)
def test_a_purpose_is_from_the_list_and_is_explained(token, purpose, refusal):
    assert refusal_of(reader(), token, purpose) is refusal


def test_an_explanation_may_be_as_long_as_it_may(token, pan):
    assert services.detokenize(token, actor=reader(), purpose=Purpose("refund", "x" * TEXT_LENGTH)) == pan
    assert refusal_of(reader("two"), token, Purpose("refund", "x" * (TEXT_LENGTH + 1))) is Refusal.PURPOSE_TEXT


def test_purposes_are_named_by_those_they_are_for(settings):
    configure(settings, PURPOSES=["settlement", "refund"], PURPOSE_RULES={"settlement": {"groups": ["Settlement"]}})
    ada, zoe = reader("ada"), reader("zoe")
    ada.groups.add(Group.objects.create(name="Settlement"))
    zoe.groups.add(Group.objects.create(name="Other"))
    named = [[rule.name for rule in policy.nameable(actor, vault_config())] for actor in (ada, zoe)]
    assert named == [["settlement", "refund"], ["refund"]]


def test_a_card_number_is_no_explanation_and_is_recorded_nowhere(token, canary):
    # The leak scanner looks through the audit log and stdout.
    assert refusal_of(reader(), token, f"refund: card {canary('explanation')}") is Refusal.PURPOSE_TEXT
    assert refusal_of(reader("two"), token, canary("purpose")) is Refusal.PURPOSE


def test_what_is_said_stands_in_the_audit_log(token, pan):
    actor = reader()
    assert services.detokenize(token, actor=actor, purpose=PURPOSE) == pan
    intent, done = AuditEvent.objects.filter(operation="detokenize").order_by("pk")
    for event in (intent, done):
        assert (event.actor, event.actor_name) == (str(actor.pk), "fraud")
        assert (event.purpose, event.reason, event.token) == ("refund", "charged twice", token)
        assert event.operation_id == intent.operation_id
    assert (intent.outcome, done.outcome) == ("intent", "done")


def test_a_rule_can_do_without_an_explanation(settings, token, pan):
    configure(settings, PURPOSE_RULES={"settlement": {"text": False}})
    assert services.detokenize(token, actor=reader(), purpose="settlement") == pan


def test_a_rule_can_name_groups(settings, token, pan):
    configure(settings, PURPOSE_RULES={"settlement": {"groups": ["Settlement"]}})
    actor = reader()
    assert refusal_of(actor, token, "settlement: nightly") is Refusal.GROUP
    actor.groups.add(Group.objects.create(name="Settlement"))
    assert services.detokenize(token, actor=actor, purpose="settlement: nightly") == pan


@pytest.mark.parametrize(
    ("source", "may"),
    [
        ("10.1.2.3", True),
        ("2001:db8::7", True),
        ("11.0.0.1", False),
        ("2001:db9::7", False),
        ("local", False),
        ("", False),
        ("10.1.2.3, 11.0.0.1", False),
    ],
)
def test_a_rule_can_name_networks(settings, token, source, may):
    configure(settings, PURPOSE_RULES={"settlement": {"networks": ["10.0.0.0/8", "2001:db8::/32"]}})
    with acting_for(Process(source=source)):
        if may:
            services.detokenize(token, actor=reader(), purpose="settlement: nightly")
        else:
            assert refusal_of(reader(), token, "settlement: nightly") is Refusal.NETWORK


@pytest.mark.parametrize(
    ("hours", "moment", "may"),
    [
        ("06:00-22:00", "06:00", True),
        ("06:00-22:00", "21:59", True),
        ("06:00-22:00", "22:00", False),
        ("06:00-22:00", "05:59", False),
        ("22:00-06:00", "23:00", True),
        ("22:00-06:00", "05:59", True),
        ("22:00-06:00", "06:00", False),
        ("22:00-06:00", "12:00", False),
    ],
)
def test_a_rule_can_name_hours_of_the_projects_time_zone(settings, token, monkeypatch, hours, moment, may):
    settings.TIME_ZONE = "Europe/Berlin"
    configure(settings, PURPOSE_RULES={"settlement": {"hours": hours}})
    hour, minute = map(int, moment.split(":"))
    now = datetime(2026, 1, 5, hour, minute, tzinfo=ZoneInfo("Europe/Berlin"))
    monkeypatch.setattr("django.utils.timezone.now", lambda: now.astimezone(UTC))
    if may:
        services.detokenize(token, actor=reader(), purpose="settlement: nightly")
    else:
        assert refusal_of(reader(), token, "settlement: nightly") is Refusal.HOURS


@pytest.mark.parametrize(
    "rules",
    [
        {"setlement": {}},
        {"settlement": {"group": ["x"]}},
        {"settlement": {"groups": "Settlement"}},
        {"settlement": {"networks": ["10.0.0.0/33"]}},
        {"settlement": {"networks": ["10.0.0.1/8"]}},
        {"settlement": {"hours": "6-22"}},
        {"settlement": {"hours": "06:00-24:00"}},
        {"settlement": {"text": "no"}},
        {"settlement": None},
        ["settlement"],
    ],
)
def test_a_rule_with_a_mistake_stops_the_start(settings, rules):
    configure(settings, PURPOSE_RULES=rules)
    with pytest.raises(ImproperlyConfigured):
        vault_config()


@pytest.mark.parametrize(
    "values",
    [
        {"PURPOSES": "refund"},
        {"PURPOSES": [" "]},
        {"PURPOSES": ["a: b"]},
        {"PURPOSES": [" refund"]},
        {"PURPOSES": ["x" * 33]},
        {"GROUP_BUDGETS": {"Settlement": 0}},
        {"GROUP_BUDGETS": {"Settlement": -5}},
        {"GROUP_BUDGETS": ["Settlement"]},
        {"READ_BUDGET": 0},
        {"ALARM_EMAILS": "security@example.com"},
    ],
)
def test_a_setting_with_a_mistake_stops_the_start(settings, values):
    configure(settings, **values)
    with pytest.raises(ImproperlyConfigured):
        vault_config()


def test_rules_do_not_change_while_they_are_used():
    rule = PurposeRule.from_settings(
        "settlement", {"groups": ["A"], "networks": ["10.0.0.0/8"], "hours": "22:00-06:00"}
    )
    assert hash(rule) == hash(PurposeRule("settlement", ("A",), ("10.0.0.0/8",), "22:00-06:00"))


# --- Budget and lock ------------------------------------------------------------------------------------------------


def test_a_budget_locks_and_alarms(settings, token, pan):
    configure(settings, READ_BUDGET=2, ALARM_EMAILS=["security@example.com"])
    actor = reader()
    for _ in range(2):
        services.detokenize(token, actor=actor, purpose=PURPOSE)
    assert refusal_of(actor, token) is Refusal.BUDGET
    (alarm,) = AuditEvent.objects.filter(is_alarm=True)
    assert (alarm.operation, alarm.subject, alarm.actor) == ("reader.lock", str(actor.pk), "process")
    assert alarm.details == {"budget": 2, "counted": "detokenize"}
    (message,) = mail.outbox
    assert message.to == ["security@example.com"]
    # Locked: for reading and searching, and without a second alarm.
    assert refusal_of(actor, token) is Refusal.LOCKED
    with pytest.raises(AccessDenied) as refused:
        services.search(pan, actor=actor)
    assert refused.value.reason is Refusal.LOCKED
    assert AuditEvent.objects.filter(is_alarm=True).count() == 1


def test_a_lock_outlives_the_hour_until_another_person_ends_it(settings, token, pan, monkeypatch):
    configure(settings, READ_BUDGET=1)
    actor = make_user("fraud", "vault.detokenize_pan", "vault.approve_reveal")
    approver = make_user("lead", "vault.approve_reveal")
    services.detokenize(token, actor=actor, purpose=PURPOSE)
    assert refusal_of(actor, token) is Refusal.BUDGET
    later = timezone.now() + timedelta(hours=2)
    monkeypatch.setattr("django.utils.timezone.now", lambda: later)
    assert refusal_of(actor, token) is Refusal.LOCKED
    with pytest.raises(AccessDenied) as refused:
        policy.unlock(str(actor.pk), by=actor)
    assert refused.value.reason is Refusal.SAME_PERSON
    with pytest.raises(AccessDenied):
        policy.unlock(str(actor.pk), by=make_user("root", is_superuser=True))
    assert policy.is_locked(str(actor.pk))
    policy.unlock(str(actor.pk), by=approver)
    assert services.detokenize(token, actor=actor, purpose=PURPOSE) == pan


def test_the_locked_are_listed_by_how_long_they_wait():
    group = Group.objects.create(name="G")
    group.permissions.add(*policy.grants(Right.SEARCH))
    people = [make_user("zoe", "vault.detokenize_pan"), make_user("ada"), make_user("mia", "vault.search_pan")]
    people[1].groups.add(group)
    stranger = make_user("max", "vault.approve_reveal")
    for person in (*people, stranger):
        alarms.sound(policy.LOCK, "Locked.", subject=str(person.pk))
    policy.unlock(str(people[2].pk), by=stranger)
    # An attempt that was refused ends no lock, and a lock that was refused is none.
    with pytest.raises(AccessDenied):
        policy.unlock(str(people[0].pk), by=people[1])
    record(policy.LOCK, outcome="failed", subject=str(people[2].pk))
    locked = policy.locked_readers()
    assert [each.user.username for each in locked] == ["zoe", "ada"]
    events = AuditEvent.objects.filter(operation=policy.LOCK, outcome="done").order_by("pk")
    assert [(each.since, each.event) for each in locked] == [(event.time, event.pk) for event in events[:2]]
    assert [policy.is_locked(str(person.pk)) for person in people] == [True, True, False]


def at(moment, operation, subject, number):
    """Something that was done about somebody, in the order of `number`, at whatever moment."""
    values = blank(operation, outcome="done", subject=subject, operation_id=str(number))
    place = {"chain": f"{subject}-{number}", "number": 1, "previous": "", "digest": "", "time": moment}
    AuditEvent(**values | place).save(using="audit")


@pytest.mark.parametrize(
    ("first", "second", "is_locked"),
    [
        pytest.param((policy.LOCK, 0), (policy.UNLOCK, 0), False, id="unlocked at the same moment"),
        pytest.param((policy.UNLOCK, 0), (policy.LOCK, 0), True, id="locked at the same moment"),
        pytest.param((policy.UNLOCK, 1), (policy.LOCK, 0), False, id="unlocked later, recorded earlier"),
        pytest.param((policy.LOCK, 1), (policy.UNLOCK, 0), True, id="locked later, recorded earlier"),
        pytest.param((policy.LOCK, 0), ("user.groups", 1), True, id="something else later"),
    ],
)
def test_what_came_last_decides_about_a_lock(first, second, is_locked):
    now, actor = timezone.now(), reader()
    for number, (operation, minutes) in enumerate((first, second)):
        at(now + timedelta(minutes=minutes), operation, str(actor.pk), number)
    assert policy.is_locked(str(actor.pk)) is is_locked
    assert [each.user for each in policy.locked_readers()] == [actor] * is_locked


def test_what_was_spent_is_of_the_last_hour_and_of_one_operation(token, pan):
    actor, other = reader("ada"), reader("zoe")
    for moment, operation, who in (
        (timedelta(minutes=61), "detokenize", actor),
        (timedelta(minutes=59), "detokenize", actor),
        (timedelta(minutes=1), "search", actor),
        (timedelta(minutes=1), "detokenize", other),
    ):
        values = blank(operation, outcome="intent", actor=str(who.pk), cards=10, operation_id=f"{moment}{operation}")
        place = {"chain": f"{moment}{operation}{who.pk}"[:32], "number": 1, "previous": "", "digest": ""}
        AuditEvent(**values | place | {"time": timezone.now() - moment}).save(using="audit")
    assert policy.spent(str(actor.pk), policy.DETOKENIZE) == 10
    assert policy.spent(str(actor.pk), policy.SEARCH) == 10
    assert policy.spent("nobody", policy.SEARCH) == 0


def test_a_bulk_read_counts_each_card(settings, canary):
    tokens = [make_card(canary(f"card {number}")).token for number in range(3)]
    configure(settings, READ_BUDGET=2)
    with pytest.raises(DetokenizationDenied) as refused:
        services.detokenize_many(tokens, actor=reader(), purpose=PURPOSE)
    assert refused.value.reason is Refusal.BUDGET


def test_refused_attempts_use_nothing_up(settings, token, pan):
    configure(settings, READ_BUDGET=1)
    actor = reader()
    for _ in range(3):
        assert refusal_of(actor, token, "refund") is Refusal.PURPOSE_TEXT
    assert services.detokenize(token, actor=actor, purpose=PURPOSE) == pan


def test_nobody_stands_in_the_log_as_nobody(token):
    with acting_for(Process(actor="7", actor_name="ada")):
        assert refusal_of(None, token) is Refusal.NO_RIGHT
        with pytest.raises(AccessDenied):
            policy.unlock("8", by=None)
    named = AuditEvent.objects.filter(operation__in=["detokenize", policy.UNLOCK]).values_list("actor", flat=True)
    assert set(named) == {"nobody"}


def test_a_denial_whose_intent_is_over_an_hour_old_gives_nothing_back(settings, token):
    actor = reader()
    old = timezone.now() - timedelta(minutes=61)
    for outcome, moment in (("intent", old), ("denied", timezone.now())):
        values = blank("detokenize", outcome=outcome, actor=str(actor.pk), cards=500, operation_id="x")
        place = {"chain": outcome, "number": 1, "previous": "", "digest": "", "time": moment}
        AuditEvent(**values | place).save(using="audit")
    services.detokenize(token, actor=actor, purpose=PURPOSE)
    assert policy.spent(str(actor.pk), policy.DETOKENIZE) == 1


def test_a_rolled_back_transaction_gives_no_budget_back(settings, token):
    from django.db import transaction

    configure(settings, READ_BUDGET=1)
    actor = reader()
    with transaction.atomic():
        services.detokenize(token, actor=actor, purpose=PURPOSE)
        transaction.set_rollback(True)
    assert refusal_of(actor, token) is Refusal.BUDGET


def test_a_group_can_have_a_budget_of_its_own(settings, token):
    configure(settings, READ_BUDGET=1, GROUP_BUDGETS={"Settlement": 3, "Small": 2})
    actor = reader()
    actor.groups.add(Group.objects.create(name="Settlement"), Group.objects.create(name="Small"))
    for _ in range(3):
        services.detokenize(token, actor=actor, purpose=PURPOSE)
    assert refusal_of(actor, token) is Refusal.BUDGET


def test_the_budget_of_a_group_is_for_its_members(settings):
    configure(settings, READ_BUDGET=1, GROUP_BUDGETS={"Settlement": 3, "Small": 2})
    member, stranger = reader("ada"), reader("zoe")
    Group.objects.create(name="Settlement")
    for actor, name in ((member, "Small"), (member, "Other"), (stranger, "Another")):
        actor.groups.add(Group.objects.create(name=name))
    assert [policy.read_budget(actor, vault_config()) for actor in (member, stranger)] == [2, 1]


def test_budgets_are_of_each_actor(settings, token, pan):
    configure(settings, READ_BUDGET=1)
    assert services.detokenize(token, actor=reader("one"), purpose=PURPOSE) == pan
    assert services.detokenize(token, actor=reader("two"), purpose=PURPOSE) == pan


def test_searching_has_a_budget_too(settings, token, pan):
    configure(settings, SEARCH_BUDGET=1)
    actor = reader()
    assert services.search(pan, actor=actor).token == token
    with pytest.raises(AccessDenied) as refused:
        services.search(pan, actor=actor)
    assert refused.value.reason is Refusal.BUDGET


def test_an_alarm_whose_mail_cannot_be_sent_stops_nothing(settings, token, monkeypatch):
    configure(settings, READ_BUDGET=1, ALARM_EMAILS=["security@example.com"])
    settings.EMAIL_BACKEND = "no.such.Backend"
    actor = reader()
    services.detokenize(token, actor=actor, purpose=PURPOSE)
    assert refusal_of(actor, token) is Refusal.BUDGET
    assert AuditEvent.objects.filter(operation="alarm.mail", outcome="failed").count() == 1


# --- Approval -------------------------------------------------------------------------------------------------------


def test_staff_cannot_go_round_the_reveal(settings, token, pan):
    configure(settings, REVEAL_APPROVAL=True)
    assert refusal_of(reader(is_staff=True), token) is Refusal.APPROVAL


def test_a_service_account_needs_a_right_of_its_own_to_do_without_approval(settings, token, pan):
    configure(settings, REVEAL_APPROVAL=True)
    robot = reader("settlement")
    assert refusal_of(robot, token) is Refusal.APPROVAL
    robot.user_permissions.add(Permission.objects.get(codename="detokenize_unattended"))
    assert services.detokenize(token, actor=robot, purpose=PURPOSE) == pan


@pytest.fixture
def staff(settings):
    configure(settings, REVEAL_APPROVAL=True)
    return reader("ada", is_staff=True)


def opening(staff, token, **changes):
    """A request of this person that is just being shown."""
    values = {"card_id": token, "requester": staff, "purpose": "refund", "reason": "charged twice", "state": "opening"}
    return RevealRequest.objects.create(**values | changes, ticket="T-1", expires_at=timezone.now())


def test_a_request_opens_its_card_once(staff, token, pan):
    asked, other = opening(staff, token), opening(staff, token)
    assert services.detokenize(token, actor=staff, purpose=PURPOSE, reveal=asked) == pan
    assert [RevealRequest.objects.get(pk=each.pk).state for each in (asked, other)] == ["shown", "opening"]
    with pytest.raises(DetokenizationDenied):
        services.detokenize(token, actor=staff, purpose=PURPOSE, reveal=asked)


OTHERS = {
    "somebody else's": lambda canary: {"requester": reader("bob", is_staff=True)},
    "of another card": lambda canary: {"card_id": make_card(canary("other card")).token},
    "for another purpose": lambda canary: {"purpose": "settlement"},
    "for another reason": lambda canary: {"reason": "curious"},
    **{state: lambda canary, state=state: {"state": state} for state in ("pending", "approved", "refused", "shown")},
}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
def test_a_request_that_is_another_one_opens_nothing(staff, token, canary, changes):
    asked = opening(staff, token, **changes(canary))
    with pytest.raises(DetokenizationDenied) as refused:
        services.detokenize(token, actor=staff, purpose=PURPOSE, reveal=asked)
    assert refused.value.reason is Refusal.APPROVAL
    assert RevealRequest.objects.get(pk=asked.pk).state == asked.state


def test_a_request_opens_no_more_than_its_card(staff, token, canary):
    asked, other = opening(staff, token), make_card(canary("other card")).token
    for tokens in ([token, other], [token, token], []):
        with pytest.raises(DetokenizationDenied) as refused:
            policy.authorize_reading(staff, purpose=Purpose.parse(PURPOSE), tokens=tokens, reveal=asked)
        assert refused.value.reason is Refusal.APPROVAL
    assert RevealRequest.objects.get().state == "opening"


def test_a_user_model_without_staff_needs_approval_like_any_other(settings):
    configure(settings, REVEAL_APPROVAL=True)
    assert policy.needs_approval(SimpleNamespace(pk=None, is_active=True), vault_config())


def test_who_is_no_longer_staff_has_not_become_a_service_account(settings, token):
    configure(settings, REVEAL_APPROVAL=True)
    person = make_user("ada", "vault.detokenize_pan", "vault.detokenize_unattended", is_staff=True)
    assert refusal_of(person, token) is Refusal.APPROVAL
    other = reader("bob", is_staff=True)
    other.is_staff = False
    other.save()
    assert refusal_of(other, token) is Refusal.APPROVAL
