"""A card number is nobody's name, whatever writes it: it is refused before it becomes SQL. The leak scanner watches."""

import pytest
from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connections

from billing.users import STANDING
from tests.billing.people import PASSWORD, events, make_staff, outcomes, sign_in
from tests.factories import make_user
from vault.exceptions import AuditUnavailable

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked():
    """The parameters of everything that any database is asked."""
    heard = []

    def hear(run, sql, params, *more):
        heard.append(f"{sql} {params}")
        return run(sql, params, *more)

    with connections["default"].execute_wrapper(hear), connections["audit"].execute_wrapper(hear):
        yield heard


def values(digits):
    return {"username": digits, "email": f"{digits}@example.com", "first_name": f"Ann {digits}", "last_name": digits}


@pytest.mark.parametrize("field", ["username", "email", "first_name", "last_name"])
def test_code_that_saves_a_user_is_refused(canary, asked, field):
    digits = canary("name")
    names = {"username": "ann", field: values(digits)[field]}
    for attempt in (
        lambda: User.objects.create_user(**names),
        lambda: User.objects.create_superuser(**names, password=PASSWORD),
        lambda: User(**names).save(),
    ):
        with pytest.raises(ValidationError) as caught:
            attempt()
        assert digits not in str(caught.value)
    assert digits not in "".join(asked)
    assert not User.objects.exists()


def test_a_name_cannot_become_a_card_number(canary, asked):
    user, digits = make_user(), canary("name")
    user.first_name = digits
    for options in ({}, {"update_fields": ["first_name"]}):
        with pytest.raises(ValidationError):
            user.save(**options)
    assert digits not in "".join(asked)
    assert User.objects.get().first_name == ""


@pytest.mark.parametrize("field", ["username", "email"])
def test_the_command_refuses_it(canary, asked, monkeypatch, field):
    digits = canary("name")
    names = {"username": "ann", "email": "ann@example.com", field: values(digits)[field]}
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    with pytest.raises((CommandError, ValidationError)) as caught:
        call_command("createsuperuser", interactive=False, **names)
    assert digits not in str(caught.value)
    assert digits not in "".join(asked)
    assert not User.objects.exists()


def test_the_command_refuses_it_when_it_asks_and_asks_again(canary, asked, monkeypatch, capsys):
    digits = canary("name")
    answers = iter([digits, "ann", "ann@example.com"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    monkeypatch.setattr("getpass.getpass", lambda *_: PASSWORD)

    class Terminal:
        def isatty(self):
            return True

    call_command("createsuperuser", stdin=Terminal())
    assert "contains a card number" in capsys.readouterr().err
    assert digits not in "".join(asked)
    assert User.objects.get().username == "ann"


@pytest.mark.parametrize("field", ["username", "email", "first_name", "last_name"])
def test_the_admin_refuses_it(canary, asked, field):
    boss, user, digits = make_staff("boss", is_superuser=True), make_user(), canary("name")
    client = sign_in(boss)
    content = {"username": "ada", "date_joined_0": "2026-01-01", "date_joined_1": "00:00", "is_active": "on"}
    changed = client.post(f"/admin/auth/user/{user.pk}/change/", content | {field: values(digits)[field]})
    assert "contains a card number" in changed.text
    assert digits not in changed.text
    assert digits not in "".join(asked)
    assert getattr(User.objects.get(pk=user.pk), field) == getattr(user, field)


def test_the_admin_refuses_it_for_a_new_user(canary, asked):
    client, digits = sign_in(make_staff("boss", is_superuser=True)), canary("name")
    new = {"username": digits, "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    page = client.post("/admin/auth/user/add/", new)
    assert "contains a card number" in page.text
    assert digits not in page.text
    assert digits not in "".join(asked)
    assert User.objects.count() == 1
    client.post("/admin/auth/user/add/", new | {"username": "ann"})
    assert User.objects.count() == 2


def test_another_address_is_refused(canary, asked):
    client, digits = sign_in(make_user(password=PASSWORD)), canary("address")
    page = client.post("/accounts/email/", {"action_add": "", "email": f"{digits}@example.com"})
    assert digits not in page.text
    assert digits not in "".join(asked)
    assert not EmailAddress.objects.filter(email__contains=digits[:6]).exists()


@pytest.mark.parametrize("which", ["group", "address"])
def test_code_that_names_a_group_or_an_address_is_refused(canary, asked, which):
    user, digits = make_user(), canary("name")
    asked.clear()
    for attempt in {
        "group": [lambda: Group.objects.create(name=digits), lambda: Group(name=f"Team {digits}").save()],
        "address": [lambda: EmailAddress.objects.create(user=user, email=f"{digits}@example.com")],
    }[which]:
        with pytest.raises(ValidationError) as caught:
            attempt()
        assert digits not in str(caught.value)
    assert digits not in "".join(asked)


def test_a_group_cannot_be_renamed_to_one(canary, asked):
    group, digits = Group.objects.create(name="Readers"), canary("name")
    group.name = digits
    with pytest.raises(ValidationError):
        group.save()
    assert digits not in "".join(asked)


@pytest.mark.parametrize("which", ["group", "address"])
@pytest.mark.parametrize("step", ["add", "change"])
def test_the_admin_refuses_it_there_too(canary, asked, which, step):
    client, digits = sign_in(make_staff("boss", is_superuser=True)), canary("name")
    group, user = Group.objects.create(name="Readers"), make_user()
    address = EmailAddress.objects.create(user=user, email="new@example.com")
    asked.clear()
    page, data = {
        "group": (f"/admin/auth/group/{group.pk}/change/", {"name": digits}),
        "address": (f"/admin/account/emailaddress/{address.pk}/change/", {"user": user.pk, "email": f"{digits}@example.com"}),
    }[which]  # fmt: skip
    answer = client.post(page if step == "change" else f"{page.rsplit('/', 3)[0]}/add/", data)
    assert answer.status_code == 200
    assert "contains a card number" in answer.text
    assert digits not in answer.text
    assert digits not in "".join(asked)
    assert not LogEntry.objects.exists()


# --- Passwords --------------------------------------------------------------------------------------------------------

SHORT = "horse batte"


def test_a_password_has_12_characters_at_sign_up(client):
    page = client.post("/accounts/signup/", {"email": "ann@example.com", "password1": SHORT, "password2": SHORT})
    assert "at least 12 characters" in page.text
    assert not User.objects.exists()


def test_a_password_has_12_characters_in_the_admin():
    client, user = sign_in(make_staff("boss", is_superuser=True)), make_user(password=PASSWORD)
    new = {"username": "ann", "usable_password": "true", "password1": SHORT, "password2": SHORT}
    assert "at least 12 characters" in client.post("/admin/auth/user/add/", new).text
    assert "at least 12 characters" in client.post(f"/admin/auth/user/{user.pk}/password/", new).text
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)
    assert not User.objects.filter(username="ann").exists()


# --- What is recorded -------------------------------------------------------------------------------------------------


def test_creation_change_and_deletion_are_recorded_with_who_did_it():
    boss = make_staff("boss", is_superuser=True)
    client = sign_in(boss)
    client.post("/admin/auth/user/add/", {"username": "ann", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD})  # fmt: skip
    ann = User.objects.get(username="ann")
    content = {
        "username": "ann",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00",
        "is_active": "on",
        "is_staff": "on",
    }
    client.post(f"/admin/auth/user/{ann.pk}/change/", content)
    client.post(f"/admin/auth/user/{ann.pk}/delete/", {"post": "yes"})
    for operation, details in [("user.create", None), ("user.change", {"flags": {"is_staff": True}, "fields": []}), ("user.delete", None)]:  # fmt: skip
        event = events(operation, subject=f"user:{ann.pk}", outcome="done")[0]
        assert event.actor == str(boss.pk)
        assert details is None or event.details == details


def test_a_new_password_is_recorded_and_a_sign_in_is_none(client):
    user = make_user(password=PASSWORD)
    sign_in(user)
    assert not events("password.change")
    user.set_password("another horse battery")
    user.save()
    assert outcomes("password.change", subject=f"user:{user.pk}") == ["intent", "done"]


def test_a_stronger_hash_of_the_same_password_is_no_change(settings):
    settings.PASSWORD_HASHERS = [*settings.PASSWORD_HASHERS, "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    user = make_user(password=PASSWORD)
    settings.PASSWORD_HASHERS = settings.PASSWORD_HASHERS[::-1]
    before = user.password
    sign_in(user)
    assert User.objects.get().password != before
    assert not events("password.change")


@pytest.mark.parametrize("flag", ["is_staff", "is_superuser"])
@pytest.mark.parametrize("before", [False, True], ids=["given", "taken"])
@pytest.mark.parametrize("right", ["detokenize_pan", "detokenize_unattended", "approve_reveal"])
def test_another_standing_of_somebody_with_a_right_to_numbers_is_an_alarm(settings, flag, before, right):
    settings.VAULT |= {"ALARM_EMAILS": ["security@example.com"]}
    user = make_user("ada", f"vault.{right}", **{flag: before})
    mail.outbox.clear()
    setattr(user, flag, not before)
    user.save()
    (alarm,) = events("user.change", is_alarm=True)
    assert (alarm.outcome, alarm.details["flags"]) == ("done", {flag: not before})
    assert [message.subject for message in mail.outbox] == [f"[vault] {STANDING}"]


def test_a_superuser_is_an_alarm_and_a_customer_is_none():
    User.objects.create_superuser("root", password=PASSWORD)
    user = make_user()
    user.is_staff = True
    user.save()
    assert [event.details["username"] for event in events("user.create", is_alarm=True)] == ["root"]
    assert not events("user.change", is_alarm=True)


@pytest.mark.parametrize("is_superuser", [False, True], ids=["staff", "superuser"])
def test_nobody_changes_their_own_standing_or_rights(is_superuser):
    staff = make_staff("sam", "auth.change_user", "auth.view_user", is_superuser=is_superuser)
    rights = {right.pk for right in staff.user_permissions.all()}
    content = {"username": "sam", "first_name": "Sam", "date_joined_0": "2026-01-01", "date_joined_1": "00:00"}
    grab = {"is_superuser": "" if is_superuser else "on", "groups": [Group.objects.get(name="Fraud").pk], "user_permissions": []}  # fmt: skip
    sign_in(staff).post(f"/admin/auth/user/{staff.pk}/change/", content | grab)
    after = User.objects.get(pk=staff.pk)
    assert after.first_name == "Sam"
    assert (after.is_active, after.is_staff, after.is_superuser) == (True, True, is_superuser)
    assert not after.groups.exists()
    assert {right.pk for right in after.user_permissions.all()} == rights


@pytest.mark.parametrize("is_superuser", [False, True], ids=["staff", "superuser"])
def test_nobody_changes_the_rights_of_a_group_of_their_own(is_superuser):
    staff = make_staff("sam", "auth.change_group", "auth.view_group", is_superuser=is_superuser)
    mine, other = Group.objects.create(name="Mine"), Group.objects.create(name="Other")
    staff.groups.add(mine)
    right = Permission.objects.get(codename="detokenize_pan").pk
    client = sign_in(staff)
    for group in (mine, other):
        client.post(f"/admin/auth/group/{group.pk}/change/", {"name": f"{group.name} renamed", "permissions": [right]})
    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.name, mine.permissions.count()) == ("Mine", 0)
    assert (other.name, other.permissions.count()) == ("Other renamed", 1)


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_recorded_is_not_done(monkeypatch):
    user = make_user()

    def refuse(*_):
        raise AuditUnavailable

    monkeypatch.setattr("vault.audit.ledger.Ledger.append", refuse)
    user.is_superuser = True
    for attempt in (user.save, user.delete, lambda: User.objects.create_user("ann")):
        with pytest.raises(AuditUnavailable):
            attempt()
    monkeypatch.undo()
    assert list(User.objects.values_list("username", "is_superuser")) == [("ada", False)]
