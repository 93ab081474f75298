"""The one way to a token of the API: printed once, recorded, and an alarm where the vault is behind it."""

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.core.management import CommandError, call_command
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from billing.access_log import TOKEN_OF_VAULT
from billing.management.commands import create_api_token
from tests.billing.people import events, outcomes
from tests.factories import make_user

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


@pytest.mark.parametrize(
    ("name", "fields", "sentence"),
    [
        ("nobody", {}, create_api_token.UNKNOWN),
        ("sam", {"is_active": False}, create_api_token.INACTIVE),
        ("sam", {"is_staff": True}, create_api_token.STAFF),
        ("sam", {"is_superuser": True}, create_api_token.STAFF),
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
    assert str(caught.value) == create_api_token.UNKNOWN


@pytest.mark.parametrize("days", [0, -1, 367])
def test_a_token_ends(days):
    make_user("shop")
    with pytest.raises(CommandError, match="1 to 366"):
        call_command("create_api_token", "shop", expires=days)
    assert not AuthToken.objects.exists()


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
