"""Who came, went, and gave whom which right: one event each, with who did it."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.test import Client
from knox.models import AuthToken

from billing import access_log, gunicorn_conf
from tests.billing.people import PASSWORD, events, make_staff, outcomes, post_password, sign_in
from tests.factories import make_user
from vault.exceptions import AuditUnavailable

pytestmark = pytest.mark.django_db


@pytest.fixture
def right():
    return Permission.objects.get(codename="detokenize_pan")


@pytest.fixture
def refuse(monkeypatch):
    def append(*_):
        raise AuditUnavailable

    def now():
        monkeypatch.setattr("vault.audit.ledger.Ledger.append", append)

    return now


def test_a_sign_in_is_recorded_with_who_and_from_where():
    user = make_user(password=PASSWORD)
    sign_in(user, REMOTE_ADDR="192.0.2.7")
    tried, signed_in = events("sign_in")
    (started,) = events("session.start")
    assert (tried.outcome, tried.actor, tried.source) == ("intent", "anonymous", "192.0.2.7")
    assert (signed_in.outcome, signed_in.details["user"]) == ("done", user.pk)
    assert (started.actor, started.actor_name, started.source) == (str(user.pk), "ada", "192.0.2.7")


def test_a_failure_is_recorded_with_the_account_but_not_what_was_typed():
    user = make_user(password=PASSWORD)
    post_password(Client(), user, "wrong horse battery")
    _, failed = events("sign_in")
    assert (failed.outcome, failed.details["accounts"]) == ("failed", [user.pk])
    assert failed.subject.startswith("login:")
    assert user.email not in repr([failed.subject, failed.details])


def test_a_sign_out_is_recorded():
    user = make_user(password=PASSWORD)
    sign_in(user).post("/accounts/logout/")
    (event,) = events("sign_out")
    assert (event.actor, event.subject) == (str(user.pk), f"user:{user.pk}")


def test_a_session_ends_even_if_that_cannot_be_recorded(refuse):
    client = sign_in(make_user(password=PASSWORD))
    refuse()
    client.post("/accounts/logout/")
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("way", ["user", "right", "set", "clear"])
def test_a_right_of_a_user_is_recorded_whichever_way_it_is_given(right, way):
    user = make_user()
    {
        "user": lambda: (user.user_permissions.add(right), user.user_permissions.remove(right)),
        "right": lambda: (right.user_set.add(user), right.user_set.remove(user)),
        "set": lambda: (user.user_permissions.set([right]), user.user_permissions.set([])),
        "clear": lambda: (user.user_permissions.add(right), user.user_permissions.clear()),
    }[way]()
    found = events("rights.change", subject=f"user:{user.pk}")
    assert [event.outcome for event in found] == ["intent", "done", "intent", "done"]
    assert found[1].details == {"added": ["vault.detokenize_pan"], "removed": [], "is_vault": True}
    assert found[3].details == {"added": [], "removed": ["vault.detokenize_pan"], "is_vault": True}


@pytest.mark.parametrize("codename", ["detokenize_pan", "detokenize_unattended", "approve_reveal"])
@pytest.mark.parametrize("way", ["user", "right", "group", "member"])
def test_a_right_to_numbers_is_an_alarm_whichever_way_it_is_given(settings, codename, way):
    settings.VAULT |= {"ALARM_EMAILS": ["security@example.com"]}
    right, user, group = Permission.objects.get(codename=codename), make_user(), Group.objects.create(name="Readers")
    {
        "user": lambda: user.user_permissions.add(right),
        "right": lambda: right.user_set.add(user),
        "group": lambda: group.permissions.add(right),
        "member": lambda: user.groups.add(Group.objects.get(name="Fraud")),
    }[way]()
    (alarm,) = events("rights.change", is_alarm=True)
    assert (alarm.outcome, alarm.subject) == ("done", f"group:{group.pk}" if way == "group" else f"user:{user.pk}")
    assert [message.subject for message in mail.outbox] == [f"[vault] {access_log.DIGITS_GIVEN}"]


def test_taking_one_or_giving_another_is_none(right):
    user = make_user("ada", "vault.view_card", "vault.tokenize_pan")
    right.user_set.remove(user)
    user.user_permissions.clear()
    assert not events("rights.change", is_alarm=True)


def test_the_rights_and_members_of_a_group_are_recorded(right):
    user, group = make_user(), Group.objects.create(name="Readers")
    group.permissions.add(right)
    user.groups.add(group)
    group.user_set.clear()
    group.delete()
    (rights,) = events("rights.change", subject__startswith="group:", outcome="done")
    added, removed = events("rights.change", subject=f"user:{user.pk}", outcome="done")
    assert rights.details["added"] == ["vault.detokenize_pan"]
    assert added.details == {"added": ["Readers"], "removed": [], "is_vault": True}
    assert removed.details["removed"] == ["Readers"]
    assert (outcomes("group.create"), outcomes("group.delete")) == (["intent", "done"], ["done"])


@pytest.mark.parametrize("fields", [None, ["name"]], ids=["all", "name"])
def test_another_name_of_a_group_is_recorded_with_the_one_before(fields):
    group = Group.objects.create(name="Readers")
    group.name = "Settlement"
    group.save(update_fields=fields)
    group.save()
    tried, renamed = events("group.change", subject=f"group:{group.pk}")
    assert (tried.outcome, renamed.outcome, tried.operation_id) == ("intent", "done", renamed.operation_id)
    assert tried.details == renamed.details == {"name_before": "Readers", "name": "Settlement"}


def test_the_end_of_a_group_says_what_is_lost(right):
    user, group = make_user(), Group.objects.create(name="Readers")
    group.permissions.add(right)
    group.user_set.add(user)
    Group.objects.filter(pk=group.pk).delete()
    (event,) = events("group.delete")
    assert event.details == {"name": "Readers", "rights": ["vault.detokenize_pan"], "members": [user.pk]}


def test_a_right_that_is_none_of_the_vault_says_so():
    make_user().user_permissions.add(Permission.objects.get(codename="view_order"))
    assert events("rights.change", outcome="done")[0].details["is_vault"] is False


def test_in_the_admin_it_is_the_one_who_gave_it(right):
    boss, user = make_staff("boss", is_superuser=True), make_user()
    content = {"username": "ada", "date_joined_0": "2026-01-01", "date_joined_1": "00:00", "is_active": "on"}
    sign_in(boss).post(f"/admin/auth/user/{user.pk}/change/", content | {"user_permissions": [right.pk]})
    (event,) = events("rights.change", subject=f"user:{user.pk}", outcome="done")
    assert (event.actor, event.actor_name) == (str(boss.pk), "boss")


@pytest.mark.django_db(transaction=True)
def test_a_right_that_cannot_be_recorded_is_not_given(right, refuse, monkeypatch):
    user, group = make_user(), Group.objects.create(name="Helpers")
    refuse()
    helpers = Group.objects.get(name="Helpers")
    helpers.name = "Readers"
    for attempt in (
        helpers.save,
        lambda: user.user_permissions.add(right),
        lambda: right.user_set.add(user),
        lambda: user.groups.add(group),
        lambda: Group.objects.create(name="Readers"),
        lambda: AuthToken.objects.create(user=user),
    ):
        with pytest.raises(AuditUnavailable):
            attempt()
    monkeypatch.undo()
    assert not user.user_permissions.exists()
    assert not user.groups.exists()
    assert not Group.objects.filter(name="Readers").exists()
    assert not AuthToken.objects.exists()


def test_a_card_number_as_the_name_of_a_group_is_not_in_the_log(canary):
    digits = canary("group")
    # It may have been put there by SQL; the log does not repeat it all the same.
    assert digits not in repr(access_log._about(Group(name=digits), is_saved=False))


def test_tokens_of_the_api_are_recorded_without_the_token():
    user = make_user()
    issued, token = AuthToken.objects.create(user=user)
    issued.delete()
    assert outcomes("token.create", subject=f"user:{user.pk}") == ["intent", "done"]
    assert outcomes("token.delete", subject=f"user:{user.pk}") == ["done"]
    assert token[:15] not in repr([event.details for event in events("token.create")])


# --- Processes ----------------------------------------------------------------------------------------------------


def test_a_worker_says_that_it_starts_and_stops(monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    gunicorn_conf.post_worker_init(None)
    gunicorn_conf.worker_exit(None, None)
    assert (outcomes("process.start"), outcomes("process.stop")) == (["done"], ["done"])


def test_a_worker_starts_and_stops_without_an_audit_log(monkeypatch, refuse, caplog):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    refuse()
    gunicorn_conf.post_worker_init(None)
    gunicorn_conf.worker_exit(None, None)
    assert "could not be recorded" in caplog.text
