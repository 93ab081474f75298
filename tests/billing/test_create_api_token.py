"""The one way to a token of the API: printed once, recorded, two at most, and an alarm where the vault is behind it."""

import hashlib
import threading
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core import mail
from django.core.management import CommandError, call_command, load_command_class
from django.db import connections
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from billing import api_accounts
from billing.access_log import TOKEN_OF_VAULT
from billing.management.commands.create_api_token import LIFE
from tests.billing.people import events, outcomes
from tests.cards import NUMBERS
from tests.factories import make_user
from tests.processes import installation
from vault.audit.ledger import Ledger
from vault.exceptions import AuditUnavailable

__all__ = ["installation"]
pytestmark = pytest.mark.django_db


def test_it_is_printed_alone_and_works(capsys):
    user = make_user("shop", "vault.view_card", "orders.view_order")
    capsys.readouterr()
    call_command("create_api_token", "shop", expires=30)
    token = capsys.readouterr().out
    assert token.count("\n") == 1
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token.strip()}")
    assert client.get("/api/v1/orders/").status_code == 200
    assert (AuthToken.objects.get().expiry - timezone.now()).days == 29
    assert [event.is_alarm for event in events("token.create", subject=f"user:{user.pk}")] == [False, False]


def test_of_the_token_itself_nothing_is_kept(capsys):
    make_user("shop", "vault.view_card")
    capsys.readouterr()
    call_command("create_api_token", "shop", expires=30)
    token = capsys.readouterr().out.strip()
    (row,) = AuthToken.objects.values()
    assert row["digest"] == hashlib.sha512(token.encode()).hexdigest()
    # Its beginning finds the row, and is far from enough to guess the rest.
    assert [name for name, value in row.items() if len(str(value)) > 3 and str(value) in token] == ["token_key"]
    assert len(row["token_key"]) * 4 <= len(token)
    assert token not in "".join(str(event.details) for event in events("token.create"))


@pytest.mark.parametrize(
    ("name", "fields", "sentence"),
    [
        ("nobody", {}, api_accounts.UNKNOWN),
        ("sam", {"is_active": False}, api_accounts.INACTIVE),
        ("sam", {"is_staff": True}, api_accounts.STAFF),
        ("sam", {"is_superuser": True}, api_accounts.STAFF),
    ],
    ids=["unknown", "inactive", "staff", "superuser"],
)
def test_who_is_no_service_account_gets_none(name, fields, sentence):
    make_user("sam", **fields)
    with pytest.raises(CommandError) as caught:
        call_command("create_api_token", name)
    assert str(caught.value) == sentence
    assert not AuthToken.objects.exists()
    assert not events("token.create")


def test_a_card_number_is_no_name_and_is_not_repeated(canary):
    with pytest.raises(CommandError) as caught:
        call_command("create_api_token", canary("name"))
    assert str(caught.value) == api_accounts.UNKNOWN


@pytest.mark.parametrize(
    ("written", "life"),
    [
        ("30", timedelta(days=30)),
        ("90d", timedelta(days=90)),
        ("366d", timedelta(days=366)),
        ("12h", timedelta(hours=12)),
        ("8784h", timedelta(days=366)),
        (None, timedelta(hours=10)),
    ],
)
def test_a_token_lives_as_long_as_was_said(written, life):
    make_user("shop")
    before = timezone.now()
    call_command("create_api_token", "shop", expires=written)
    assert before + life <= AuthToken.objects.get().expiry <= timezone.now() + life


@pytest.mark.parametrize(
    "written", [0, -1, 367, "0h", "8785h", "367d", "", "d", "1w", "1.5", "+1", "1 d", "12H", "١", "1\n", "99999"]
)
def test_a_token_ends(written):
    make_user("shop")
    with pytest.raises(CommandError) as caught:
        call_command("create_api_token", "shop", expires=written)
    assert str(caught.value) == LIFE
    assert "1 to 366" in LIFE
    assert not AuthToken.objects.exists()


# The command closes its connections, as a process does at its end.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "arguments",
    [
        ["shop", "--expires", NUMBERS["visa"][0]],
        [NUMBERS["visa"][0]],
        ["shop", "--number", NUMBERS["visa"][0]],
        ["shop", NUMBERS["visa"][0]],
    ],
    ids=["expires", "user", "option", "more"],
)
@pytest.mark.parametrize("command", ["create_api_token", "api_account"])
def test_a_card_number_among_the_arguments_is_not_printed_back(command, arguments, capsys):
    make_user("shop")
    with pytest.raises(SystemExit):
        load_command_class("billing", command).run_from_argv(["manage.py", command, *arguments])
    captured = capsys.readouterr()
    assert captured.err
    assert NUMBERS["visa"][0][:9] not in captured.out + captured.err
    assert not AuthToken.objects.exists()


# --- Two live ones ---------------------------------------------------------------------------------------------------


def make_token(user, *, minutes_ago=0, **life):
    issued, _ = AuthToken.objects.create(user, **life)
    AuthToken.objects.filter(pk=issued.pk).update(created=timezone.now() - timedelta(minutes=minutes_ago))
    return issued.pk


def digests():
    return set(AuthToken.objects.values_list("digest", flat=True))


def test_a_third_is_refused_and_it_says_how_to_go_on():
    make_user("shop")
    call_command("create_api_token", "shop")
    call_command("create_api_token", "shop")
    before = digests()
    with pytest.raises(CommandError) as caught:
        call_command("create_api_token", "shop")
    assert str(caught.value) == api_accounts.FULL
    assert all(word in api_accounts.FULL for word in ("--revoke", "--replace-oldest"))
    assert digests() == before
    assert outcomes("token.create") == ["intent", "done"] * 2


def test_one_that_has_expired_does_not_count():
    user = make_user("shop")
    make_token(user), make_token(user, expiry=timedelta(seconds=-1))
    call_command("create_api_token", "shop")
    assert api_accounts.live_tokens(user).count() == 2


def test_one_without_an_end_counts():
    user = make_user("shop")
    make_token(user, expiry=None), make_token(user, expiry=None)
    with pytest.raises(CommandError):
        call_command("create_api_token", "shop")


def test_those_of_another_account_do_not_count():
    other = make_user("other")
    make_token(other), make_token(other)
    make_user("shop")
    call_command("create_api_token", "shop", replace_oldest=True)
    assert other.auth_token_set.count() == 2


def test_the_oldest_makes_room():
    user = make_user("shop")
    newer, oldest = make_token(user, minutes_ago=1), make_token(user, minutes_ago=2)
    call_command("create_api_token", "shop", replace_oldest=True)
    assert oldest not in digests()
    assert newer in digests()
    assert len(digests()) == 2
    assert outcomes("token.delete", details__token_digest=oldest[:11]) == ["done"]


def test_nothing_makes_room_where_there_is_some():
    user = make_user("shop")
    only = make_token(user)
    call_command("create_api_token", "shop", replace_oldest=True)
    assert only in digests()
    assert not events("token.delete")


def test_of_too_many_from_before_one_stays():
    user = make_user("shop")
    made = [make_token(user, minutes_ago=number) for number in range(4)]
    call_command("create_api_token", "shop", replace_oldest=True)
    assert digests() & set(made) == {made[0]}
    assert len(digests()) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("operation", ["token.create", "token.delete"])
def test_what_cannot_be_recorded_changes_nothing(operation, monkeypatch):
    user = make_user("shop")
    make_token(user), make_token(user)
    before, append = digests(), Ledger.append

    def refuse(self, content):
        if content["operation"] == operation and content["outcome"] == "done":
            raise AuditUnavailable
        return append(self, content)

    monkeypatch.setattr(Ledger, "append", refuse)
    with pytest.raises(AuditUnavailable):
        call_command("create_api_token", "shop", replace_oldest=True)
    assert digests() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    not settings.DATABASES["default"]["ENGINE"].endswith("mysql"), reason="SQLite has one writer at a time"
)
@pytest.mark.parametrize("replaces", [False, True])
@pytest.mark.parametrize("_", range(3))
def test_who_asks_at_once_gets_two(replaces, _):
    user, barrier, refused = make_user("shop"), threading.Barrier(6), []

    def work():
        barrier.wait()
        try:
            api_accounts.issue_token(user, replaces_oldest=replaces)
        except api_accounts.AccountRefused as error:
            refused.append(str(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ([] if replaces else [api_accounts.FULL] * 4)
    assert len(digests()) == 2


@pytest.mark.django_db(transaction=True)
def test_processes_that_ask_at_once_get_two(installation):
    installation.run("from django.contrib.auth.models import User; print(User.objects.create_user('shop').pk)")
    processes = [installation.start("create_api_token", "shop") for _ in range(5)]
    assert sorted(process.wait() for process in processes) == [0, 0, 1, 1, 1]
    assert installation.manage("api_account", "shop").count("never used") == 2


# --- Alarms ----------------------------------------------------------------------------------------------------------


def by_name():
    return make_user("shop", "vault.tokenize_pan")


def by_group():
    user = make_user("shop")
    user.groups.add(Group.objects.get(name="Fraud"))
    return user


@pytest.mark.parametrize("make", [by_name, by_group, lambda: make_user("root", is_superuser=True)], ids=["name", "group", "superuser"])  # fmt: skip
def test_where_the_vault_is_behind_it_it_is_an_alarm_on_every_path(settings, make):
    settings.VAULT |= {"ALARM_EMAILS": ["security@example.com"]}
    user = make()
    mail.outbox.clear()
    AuthToken.objects.create(user)
    (alarm,) = events("token.create", is_alarm=True)
    assert (alarm.outcome, alarm.subject) == ("done", f"user:{user.pk}")
    assert outcomes("token.create") == ["intent", "done"]
    assert [message.subject for message in mail.outbox] == [f"[vault] {TOKEN_OF_VAULT}"]
