"""The service accounts of the API on one page: what each may do, from where, with which tokens."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from knox.models import AuthToken

from billing.models import APIAccount, TokenUse
from billing.token_digests import start_of
from tests.factories import make_user
from tests.vault.admin.visitors import signed_in

pytestmark = pytest.mark.django_db
ACCOUNTS = "/admin/knox/authtoken/accounts/"


def make_account(name):
    user = make_user(name, "orders.add_order")
    user.groups.add(Group.objects.get(name="Support"))
    APIAccount.objects.create(user=user, networks=["10.0.0.0/8"])
    issued, text = AuthToken.objects.create(user)
    TokenUse.objects.create(token=issued, last_used=timezone.now())
    return issued, text


@pytest.fixture
def boss():
    return signed_in(make_user("boss", "knox.view_authtoken", "knox.delete_authtoken", "auth.view_user", is_staff=True))


def test_an_account_is_shown_with_rights_networks_and_tokens(wire, boss):
    issued, text = make_account("shop")
    wire.calls.clear()
    page = boss.get(ACCOUNTS).text
    for shown in ("shop", "orders.add_order", "vault.view_card", "10.0.0.0/8", start_of(issued.digest)):
        assert shown in page
    assert f"/admin/knox/authtoken/{issued.digest}/delete/" in page
    assert f"/admin/auth/user/{issued.user_id}/change/" in page
    assert text not in page
    assert issued.token_key not in page
    assert not wire.calls


def test_customers_and_staff_are_none(boss):
    make_user("customer")
    AuthToken.objects.create(make_user("sam", is_staff=True))
    page = boss.get(ACCOUNTS).text
    assert "There are no service accounts." in page


def test_what_one_may_not_do_is_not_offered():
    issued, _ = make_account("shop")
    page = signed_in(make_user("al", "knox.view_authtoken", is_staff=True)).get(ACCOUNTS).text
    assert start_of(issued.digest) in page
    assert "/delete/" not in page
    assert "/admin/auth/user/" not in page


def test_it_takes_the_right_to_see_tokens():
    make_account("shop")
    answer = signed_in(make_user("carl", "auth.view_user", is_staff=True)).get(ACCOUNTS)
    assert answer.status_code == 403
    assert "shop" not in answer.text


def test_a_token_is_revoked_after_a_question(boss):
    issued, _ = make_account("shop")
    address = f"/admin/knox/authtoken/{issued.digest}/delete/"
    assert "Are you sure" in boss.get(address).text
    assert AuthToken.objects.exists()
    boss.post(address, {"post": "yes"})
    assert not AuthToken.objects.exists()


def test_many_cost_as_many_queries_as_few(boss):
    make_account("shop")
    boss.get(ACCOUNTS)
    with CaptureQueriesContext(connection) as few:
        boss.get(ACCOUNTS)
    for number in range(10):
        make_account(f"other{number}")
    with CaptureQueriesContext(connection) as many:
        page = boss.get(ACCOUNTS).text
    assert page.count("Tokens of") == 11
    assert len(few) == len(many)


def test_the_list_of_tokens_leads_there(boss):
    assert f'href="{ACCOUNTS}"' in boss.get("/admin/knox/authtoken/").text
