"""Credentials that AWS calls expired, and a clock that is an hour off (trial A16)."""

import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from botocore.credentials import Credentials, RefreshableCredentials
from django.core.management import CommandError, call_command

from orders.models import Order
from tests.factories import client_of, make_user
from tests.wire import Wire
from vault.models import Card

pytestmark = [pytest.mark.django_db, pytest.mark.either]
ORDERS = "/api/v1/orders/"
CONTENT = {"name": "Milk jug", "amount": "24.90", "currency": "EUR"}


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=[].append))


class Role:
    """What gives out the credentials of a role: each time others, good for `hours`."""

    def __init__(self, hours=6):
        self.hours = hours
        self.asked = 0

    def __call__(self):
        self.asked += 1
        end = datetime.now(UTC) + timedelta(hours=self.hours)
        return {
            "access_key": f"KEY{self.asked}", "secret_key": "s", "token": "t", "expiry_time": end.isoformat(),
        }  # fmt: skip


@pytest.fixture
def role(vault):
    role = Role()
    vault.session.botocore._credentials = RefreshableCredentials.create_from_metadata(role(), role, "role")
    return role


@pytest.fixture
def wire(vault, role):
    """After the role, whose credentials clients take over when they are made."""
    return Wire(vault)


@pytest.fixture
def api():
    return client_of(make_user("shop", "orders.add_order"))


def place(api, digits):
    return api.post(ORDERS, CONTENT | {"pan": digits}, headers={"Idempotency-Key": "a-key"})


def test_credentials_that_have_expired_are_asked_for_anew_and_nobody_notices(api, wire, role, canary):
    """For this machine they are good for hours yet: boto would go on with them."""
    wire.expired.add("KEY1")
    assert place(api, canary("order")).status_code == 201
    assert role.asked == 2


def test_they_are_asked_for_once_and_then_it_is_503_without_a_word_of_aws(api, wire, role, canary):
    wire.expired.update(f"KEY{number}" for number in range(100))
    answer = place(api, canary("order"))
    assert (answer.status_code, answer.json()["code"]) == (503, "vault_sealed")
    assert "KEY" not in answer.text
    assert role.asked == 2
    assert wire.calls.total() == 2
    assert (Order.objects.count(), Card.objects.count()) == (0, 0)


def test_after_that_failure_the_vault_is_asked_again(api, wire, role, canary):
    digits = canary("order")
    wire.expired.update({"KEY1", "KEY2"})
    assert place(api, digits).status_code == 503
    assert place(api, digits).status_code == 201


def test_a_role_that_gives_out_nothing_is_503(api, vault, wire, role, canary, monkeypatch):
    wire.expired.add("KEY1")

    def fail():
        raise OSError("no metadata")

    monkeypatch.setattr(vault.session.botocore._credentials, "_refresh_using", fail)
    answer = place(api, canary("order"))
    assert (answer.status_code, answer.json()["code"]) == (503, "vault_sealed")
    assert "metadata" not in answer.text


def test_credentials_that_nobody_can_renew_are_said_to_have_expired(vault, wire, capsys):
    vault.session.botocore._credentials = Credentials("KEY9", "s", "t")
    wire.expired.add("KEY9")
    with pytest.raises(CommandError):
        call_command("vault_check")
    assert "The credentials have expired. Sign in again." in capsys.readouterr().out
    assert wire.calls.total() == 1


@pytest.mark.parametrize("hours", [1, -1], ids=["slow", "fast"])
def test_a_clock_that_is_an_hour_off_is_said_to_be(api, wire, canary, capsys, caplog, hours):
    wire.ahead = timedelta(hours=hours)
    with caplog.at_level(logging.WARNING, logger="vault.aws"):
        answer = place(api, canary("order"))
    assert (answer.status_code, answer.json()["code"]) == (503, "vault_sealed")
    assert "clock" not in answer.text
    assert f"The clock of this machine is {'behind' if hours > 0 else 'ahead of'} that of AWS" in caplog.text
    with pytest.raises(CommandError):
        call_command("vault_check")
    said = capsys.readouterr().out
    assert "The clock of this machine is wrong by 60 minutes. Set it, and let NTP keep it." in said
    wire.ahead = timedelta()
    assert place(api, canary("another")).status_code in (201, 422)


def test_a_signature_that_is_wrong_for_another_reason_is_not_blamed_on_the_clock(vault, wire, capsys):
    wire.fail("DescribeKey", "InvalidSignatureException")
    with pytest.raises(CommandError):
        call_command("vault_check")
    assert "minutes" not in capsys.readouterr().out


def test_fresh_credentials_that_this_machine_takes_for_expired_seal_the_vault(api, vault, canary, capsys):
    """Its clock is ahead by more than they are good for: boto gives up with an error that is none of its own."""
    vault.session.botocore._credentials = RefreshableCredentials(
        "KEY1", "s", "t", datetime.now(UTC) - timedelta(hours=1), Role(hours=-1), "role"
    )
    answer = place(api, canary("order"))
    assert (answer.status_code, answer.json()["code"]) == (503, "vault_sealed")
    with pytest.raises(CommandError):
        call_command("vault_check")
    assert "The clock of this machine is ahead, or the role gives out old credentials." in capsys.readouterr().out


# --- No credentials at all ----------------------------------------------------------------------------------------------


def test_a_profile_that_is_not_there_is_503_until_it_is(api, vault, settings, monkeypatch, tmp_path, canary):
    profiles = tmp_path / "config"
    profiles.write_text("")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profiles))
    settings.VAULT = settings.VAULT | {"PROFILE": "shop"}
    digits = canary("order")
    answer = place(api, digits)
    assert (answer.status_code, answer.json()["code"]) == (503, "vault_sealed")
    assert "shop" not in answer.text
    assert (Order.objects.count(), Card.objects.count()) == (0, 0)
    profiles.write_text("[profile shop]\naws_access_key_id = a\naws_secret_access_key = b\n")
    assert place(api, digits).status_code == 201


def test_vault_check_says_that_a_profile_is_not_there(vault, settings, capsys):
    settings.VAULT = settings.VAULT | {"PROFILE": "shop"}
    with pytest.raises(CommandError):
        call_command("vault_check")
    assert "ProfileNotFound" in capsys.readouterr().out
