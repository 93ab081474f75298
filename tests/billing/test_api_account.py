"""A service account at a glance; what is changed about it holds at once, and is recorded before and after."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from knox.models import AuthToken

from billing import api_accounts
from billing.management.commands.api_account import NETWORKS, _lines
from billing.models import APIAccount, TokenUse
from billing.token_digests import start_of
from tests.billing.people import events, outcomes
from tests.factories import client_of, make_user
from vault.audit.ledger import Ledger
from vault.exceptions import AuditUnavailable

pytestmark = pytest.mark.django_db
ORDERS = "/api/v1/orders/"


@pytest.fixture
def shop():
    return make_user("shop", "vault.view_card", "orders.view_order")


@pytest.fixture
def show(capsys):
    """What the command prints about the account, with these options."""

    def run(*options: str, name: str = "shop") -> str:
        capsys.readouterr()
        call_command("api_account", name, *options)
        return capsys.readouterr().out

    return run


def kept():
    return list(APIAccount.objects.values_list("networks", flat=True))


# --- What it shows ----------------------------------------------------------------------------------------------------


def test_an_account_with_nothing_says_so(show):
    user = make_user("shop")
    assert show().splitlines() == [
        f"shop (user:{user.pk}), service account",
        "Rights:",
        "  none",
        "Tokens:",
        "  none",
        "Networks:",
        "  any",
    ]


def test_rights_are_shown_by_name_and_where_they_come_from(show, shop):
    shop.groups.add(Group.objects.get(name="Auditor"))
    lines = show()
    assert "  orders.view_order: Can view order (directly" in lines
    assert "  vault.view_auditevent: " in lines
    assert "(Auditor)" in lines
    assert lines.count("vault.view_card:") == 1
    assert "vault.tokenize_pan" not in lines


def test_rights_elsewhere_are_none_on_the_api(show):
    make_user("shop", "auth.change_user")
    assert "Rights:\n  none\n" in show()


def test_tokens_are_shown_with_their_times_and_without_themselves(show, shop):
    issued, token = AuthToken.objects.create(shop)
    made, end, used = (datetime(2026, 11, 24, hour, 5, tzinfo=UTC) for hour in (8, 9, 7))
    AuthToken.objects.update(created=made, expiry=end.replace(year=2999))
    TokenUse.objects.create(token=issued, last_used=used)
    text = show()
    assert f"  {start_of(issued.digest)}  made 2026-11-24 08:05 UTC, until 2999-11-24 09:05 UTC, last used 2026-11-24 07:05 UTC" in text  # fmt: skip
    assert token[:8] not in text
    assert issued.digest[:16] not in text


@pytest.mark.parametrize(
    ("life", "words"),
    [(timedelta(hours=1), ", until "), (timedelta(seconds=-1), ", expired "), (None, ", without an end, never used")],
)
def test_a_token_says_whether_it_is_over(show, shop, life, words):
    AuthToken.objects.create(shop, expiry=life)
    assert words in show()


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"is_active": False}, "not active, service"), ({"is_staff": True}, "), staff"), ({"is_superuser": True}, "), staff")],
)  # fmt: skip
def test_who_has_no_use_of_tokens_is_shown_as_such(show, fields, words):
    make_user("shop", **fields)
    assert words in show()


def test_it_asks_the_database_no_more_for_more_tokens(shop, show, django_assert_max_num_queries):
    for _ in range(9):
        TokenUse.objects.create(token=AuthToken.objects.create(shop)[0], last_used=datetime.now(UTC))
    # Two of them for each right.
    with django_assert_max_num_queries(12):
        assert show().count("last used") == 9


def test_a_card_number_in_a_name_is_masked(shop, canary):
    # It may have been put there by SQL.
    shop.username = canary("name")
    assert next(_lines(shop)).startswith("[card ")


def test_events_are_not_on_stdout(show, shop):
    assert "operation" not in show("--networks", "10.0.0.0/8")


@pytest.mark.parametrize("options", [[], ["--revoke-all"], ["--networks", "10.0.0.0/8"]])
def test_nobody_is_unknown(show, options):
    with pytest.raises(CommandError) as caught:
        show(*options, name="nobody")
    assert str(caught.value) == api_accounts.UNKNOWN


@pytest.mark.parametrize("option", ["", "--networks", "--revoke"])
def test_a_card_number_goes_nowhere(show, shop, canary, option):
    AuthToken.objects.create(shop)
    digits = canary("argument")
    with pytest.raises(CommandError) as caught:
        show(*([option, digits] if option else []), name="shop" if option else digits)
    expected = {"": api_accounts.UNKNOWN, "--networks": NETWORKS, "--revoke": api_accounts.NO_TOKEN}
    assert str(caught.value) == expected[option]
    assert AuthToken.objects.count() == 1


# --- Networks ---------------------------------------------------------------------------------------------------------


def test_networks_are_set_shown_and_recorded(show, shop):
    assert "Networks:\n  10.0.0.0/8\n  2001:db8::/32\n" in show("--networks", "10.0.0.0/8,2001:db8::/32")
    tried, done = events("account.networks", subject=f"user:{shop.pk}")
    assert (tried.outcome, done.outcome, tried.operation_id) == ("intent", "done", done.operation_id)
    assert tried.details == done.details == {"networks_before": [], "networks": ["10.0.0.0/8", "2001:db8::/32"]}
    assert not done.is_alarm


def test_networks_are_replaced_and_lifted(show, shop):
    show("--networks", "10.0.0.0/8")
    assert "Networks:\n  192.0.2.0/24\n" in show("--networks", "192.0.2.0/24")
    assert "Networks:\n  any\n" in show("--any-network")
    assert kept() == [[]]
    last = events("account.networks", outcome="done")[-1]
    assert last.details == {"networks_before": ["192.0.2.0/24"], "networks": []}


@pytest.mark.parametrize("written", ["", "10.0.0.1/8", "10.0.0.0/8,", "example.com", "fe80::%eth0/64"])
def test_what_is_no_network_changes_nothing(show, shop, written):
    show("--networks", "10.0.0.0/8")
    with pytest.raises(CommandError) as caught:
        show("--networks", written)
    assert str(caught.value) == NETWORKS
    assert kept() == [["10.0.0.0/8"]]
    assert outcomes("account.networks") == ["intent", "done"]


def test_staff_have_none(show):
    make_user("shop", is_staff=True)
    with pytest.raises(CommandError) as caught:
        show("--networks", "10.0.0.0/8")
    assert str(caught.value) == api_accounts.STAFF
    assert kept() == []


def test_of_two_changes_one_is_made(show, shop):
    with pytest.raises(CommandError):
        show("--any-network", "--revoke-all")
    assert not events("account.networks")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("outcome", ["intent", "done"])
def test_networks_that_cannot_be_recorded_are_not_changed(show, shop, monkeypatch, outcome):
    show("--networks", "10.0.0.0/8")
    append = Ledger.append

    def refuse(self, content):
        if content["outcome"] == outcome:
            raise AuditUnavailable
        return append(self, content)

    monkeypatch.setattr(Ledger, "append", refuse)
    with pytest.raises(AuditUnavailable):
        show("--any-network")
    assert kept() == [["10.0.0.0/8"]]


# --- Revoking ---------------------------------------------------------------------------------------------------------


def test_one_token_is_revoked_at_once_and_the_other_stays(show, shop):
    first, second = client_of(shop), client_of(shop)
    digest = shop.auth_token_set.order_by("created").first().digest
    assert first.get(ORDERS).status_code == 200
    assert start_of(digest) not in show("--revoke", start_of(digest))
    assert (first.get(ORDERS).status_code, second.get(ORDERS).status_code) == (401, 200)
    (event,) = events("token.delete", subject=f"user:{shop.pk}")
    assert event.details == {"token_digest": start_of(digest)}


def test_all_are_revoked_and_their_use_goes_with_them(show, shop):
    client = client_of(shop)
    client.get(ORDERS)
    assert TokenUse.objects.count() == 1
    assert "Tokens:\n  none\n" in show("--revoke-all")
    assert client.get(ORDERS).status_code == 401
    assert not TokenUse.objects.exists()


@pytest.mark.parametrize(
    ("start", "sentence"),
    [("", api_accounts.NO_TOKEN), ("zz", api_accounts.NO_TOKEN), ("ab", api_accounts.SEVERAL_TOKENS)],
)
def test_what_names_no_token_revokes_none(show, shop, start, sentence):
    other = AuthToken.objects.create(make_user("other"))[0]
    AuthToken.objects.bulk_create(AuthToken(digest=f"ab{n}", user=shop, token_key=f"k{n}") for n in range(2))
    for written in (start, start_of(other.digest)) if sentence == api_accounts.NO_TOKEN else (start,):
        with pytest.raises(CommandError) as caught:
            show("--revoke", written)
        assert str(caught.value) == sentence
    assert AuthToken.objects.count() == 3


def test_staff_who_have_some_from_sql_can_lose_them(show, shop):
    AuthToken.objects.create(shop)
    User.objects.filter(pk=shop.pk).update(is_staff=True)
    show("--revoke-all")
    assert not AuthToken.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_revocation_that_cannot_be_recorded_is_none(show, shop, monkeypatch):
    AuthToken.objects.create(shop), AuthToken.objects.create(shop)

    def refuse(*_):
        raise AuditUnavailable

    monkeypatch.setattr(Ledger, "append", refuse)
    for options in (["--revoke-all"], ["--revoke", shop.auth_token_set.first().digest]):
        with pytest.raises(AuditUnavailable):
            show(*options)
    assert shop.auth_token_set.count() == 2
