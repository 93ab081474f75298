"""The demo: complete, repeatable, and impossible where real cards are."""

import re

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone
from knox.models import AuthToken

from orders.models import Order, SavedCard
from vault.models import Card

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_chosen_password(monkeypatch):
    monkeypatch.delenv("DEMO_PASSWORD", raising=False)


@pytest.fixture
def demo(capsys):
    """Run the command and give back what it printed, but for the audit events on stdout."""

    def run() -> str:
        call_command("demo")
        return "\n".join(line for line in capsys.readouterr().out.splitlines() if not line.startswith("{"))

    return run


def password_of(email: str, output: str) -> str:
    return re.search(rf"{email}  (\S+)", output).group(1)


def test_what_is_printed_signs_in(demo, client):
    output = demo()

    for username in ("customer", "staff"):
        assert client.login(username=username, password=password_of(f"{username}@example.com", output))


def test_the_chosen_password_is_taken(demo, client, monkeypatch):
    monkeypatch.setenv("DEMO_PASSWORD", "chosen for a meeting")

    demo()

    assert client.login(username="customer", password="chosen for a meeting")


def test_a_second_run_changes_nothing_and_keeps_people_signed_in(demo, client):
    first = demo()
    client.force_login(User.objects.get(username="customer"))
    before = list(Order.objects.values()), list(SavedCard.objects.values()), list(Card.objects.values())

    second = demo()

    assert (list(Order.objects.values()), list(SavedCard.objects.values()), list(Card.objects.values())) == before
    assert password_of("customer@example.com", second) == password_of("customer@example.com", first)
    assert client.get("/").status_code == 200


def test_a_run_that_was_cut_off_is_completed(demo):
    demo()
    kept = set(Order.objects.values_list("submission", flat=True))
    Order.objects.first().delete()

    demo()

    assert set(Order.objects.values_list("submission", flat=True)) == kept


def test_orders_are_spread_over_the_last_weeks_and_those_of_today_are_the_newest(demo):
    demo()

    newest = list(Order.objects.newest_first().values_list("placed_at", "name"))
    today = timezone.localdate()
    days = {(today - timezone.localdate(placed_at)).days for placed_at, _ in newest}
    assert (min(days), max(days)) == (0, 27)
    assert len(days) > 10
    assert len({name for _, name in newest[:5]}) == 5
    assert len(set(Order.objects.values_list("submission"))) == len(newest)


def test_it_makes_no_token_and_says_how_to_get_one(demo, data_dir):
    """A token that is printed at each start would stay in the scrollback of a terminal."""
    output = demo()
    assert f"export TOKEN=$(DATA_DIR={data_dir} make -s token)" in output
    assert not AuthToken.objects.exists()


def test_where_the_data_is_by_itself_nobody_has_to_say(demo, settings):
    settings.DATA_DIR = settings.BASE_DIR / "data"
    assert "export TOKEN=$(make -s token)" in demo()


def test_a_second_run_leaves_the_tokens_of_the_first(demo):
    demo()
    AuthToken.objects.create(User.objects.get(username="shop-api"))
    demo()
    assert AuthToken.objects.count() == 1


def test_nobody_gets_more_rights_than_the_part_needs(demo):
    demo()

    rights = {user.username: user.get_all_permissions() for user in User.objects.all()}
    assert rights == {
        "customer": set(),
        "staff": {
            "orders.view_order",
            "orders.view_savedcard",
            "vault.view_card",
            "vault.search_pan",
            "vault.erase_card",
            "vault.detokenize_pan",
            "vault.approve_reveal",
            "vault.view_revealrequest",
            "vault.view_auditevent",
            "vault.hold_card",
            "vault.view_erasurecertificate",
            "vault.view_incident",
            "vault.work_incident",
            "vault.view_exportrequest",
            "vault.view_key",
            "knox.view_authtoken",
        },
        "shop-api": {
            "vault.tokenize_pan",
            "vault.view_card",
            "orders.view_order",
            "orders.add_order",
            "orders.change_order",
        },
    }
    assert not User.objects.filter(is_superuser=True).exists()
    assert not User.objects.get(username="shop-api").has_usable_password()


def test_where_another_server_has_the_admin_it_leads_there(capsys):
    where = {
        "url": "http://localhost:8000",
        "data_access_url": "http://localhost:8001/",
        "token_command": "docker token",
    }
    call_command("demo", **where)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if not line.startswith("{")]
    assert ["Orders", "http://localhost:8000/"] in lines
    assert ["Admin", "http://localhost:8001/admin/"] in lines
    assert ["API", "http://localhost:8001/api/docs/"] in lines
    assert ["export", "TOKEN=$(docker", "token)"] in lines


REFUSED = {
    "aws": {"BACKEND": "aws"},
    "production": {"EMBEDDED_ALLOWED": False},
    "production on AWS": {"BACKEND": "aws", "EMBEDDED_ALLOWED": False, "ENDPOINT_URL": "https://kms.example.com"},
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_it_is_refused_where_real_cards_are(settings, change):
    """Also by itself: `--skip-checks` would let it come this far."""
    settings.VAULT = settings.VAULT | change

    with pytest.raises(CommandError, match="embedded vault alone"):
        call_command("demo")

    assert not User.objects.exists()
