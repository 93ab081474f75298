"""In the admin second factors are taken and not given, and no session is hidden."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from knox.models import AuthToken

from billing.models import APIAccount, TokenUse
from billing.token_digests import start_of
from tests.billing.people import PASSWORD, make_staff, outcomes, sign_in
from tests.factories import client_of, make_authenticator, make_user

pytestmark = pytest.mark.django_db
FACTORS, SESSIONS = "/admin/mfa/authenticator/", "/admin/usersessions/usersession/"
TOKENS = "/admin/knox/authtoken/"


@pytest.fixture
def boss():
    return sign_in(make_staff("boss", is_superuser=True))


def test_nobody_gives_or_sees_a_second_factor(boss):
    secret, factor = make_authenticator(make_user()), Authenticator.objects.get()
    shown = boss.get(f"{FACTORS}{factor.pk}/change/").text
    assert secret not in shown
    assert factor.data["secret"] not in shown
    assert boss.post(f"{FACTORS}{factor.pk}/change/", {"type": "totp", "data": "{}"}).status_code == 403
    assert boss.post(f"{FACTORS}add/", {"user": 1, "type": "totp", "data": "{}"}).status_code == 403
    assert list(Authenticator.objects.values_list("data", flat=True)) == [factor.data]


def test_one_that_was_lost_is_taken_and_that_is_recorded(boss):
    user = make_user()
    make_authenticator(user)
    boss.post(f"{FACTORS}{Authenticator.objects.get().pk}/delete/", {"post": "yes"})
    assert not Authenticator.objects.exists()
    assert outcomes("mfa.remove", subject=f"user:{user.pk}") == ["done"]


def test_not_by_whoever_lacks_the_right():
    make_authenticator(make_user())
    client = sign_in(make_staff("sam", "mfa.view_authenticator"))
    assert client.post(f"{FACTORS}{Authenticator.objects.get().pk}/delete/", {"post": "yes"}).status_code == 403
    assert Authenticator.objects.exists()


def test_sessions_are_not_in_the_admin_and_do_not_keep_a_user_there(boss):
    assert boss.get(SESSIONS).status_code == 404
    user = make_user(password=PASSWORD)
    sign_in(user)
    assert UserSession.objects.filter(user=user).exists()
    boss.post(f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=user.pk).exists()
    assert outcomes("user.delete", subject=f"user:{user.pk}") == ["done"]


# --- Tokens of the API ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["superuser", "holder"])
def test_nobody_is_shown_a_token_of_somebody_else(boss, who):
    user = make_user("shop", "vault.detokenize_pan")
    right = sign_in(make_staff("sam", "knox.add_authtoken", "knox.change_authtoken", "knox.view_authtoken"))
    client = boss if who == "superuser" else right
    answers = [client.get(f"{TOKENS}add/"), client.post(f"{TOKENS}add/", {"user": user.pk})]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert "TOKEN" not in client.get(TOKENS).text
    assert not AuthToken.objects.exists()


def test_a_token_is_listed_by_its_digest_and_not_changed(boss):
    user, other = make_user("shop"), make_user("other")
    issued, token = AuthToken.objects.create(user)
    assert start_of(issued.digest) in boss.get(TOKENS).text
    page = boss.get(f"{TOKENS}{issued.pk}/change/")
    assert issued.token_key not in page.text
    assert token not in page.text
    assert boss.post(f"{TOKENS}{issued.pk}/change/", {"user": other.pk}).status_code == 403
    assert AuthToken.objects.get().user == user


def test_a_token_is_taken_and_that_is_recorded(boss):
    user = make_user("shop")
    issued, _ = AuthToken.objects.create(user)
    boss.post(f"{TOKENS}{issued.pk}/delete/", {"post": "yes"})
    assert not AuthToken.objects.exists()
    assert outcomes("token.delete", subject=f"user:{user.pk}") == ["done"]


def test_a_token_that_is_taken_is_dead_from_the_next_request_on(boss):
    user = make_user("shop", "vault.view_card", "orders.view_order")
    client = client_of(user)
    assert client.get("/api/v1/orders/").status_code == 200
    page = boss.get(f"{TOKENS}{AuthToken.objects.get().pk}/delete/")
    assert page.status_code == 200
    boss.post(f"{TOKENS}{AuthToken.objects.get().pk}/delete/", {"post": "yes"})
    assert client.get("/api/v1/orders/").status_code == 401
    assert not TokenUse.objects.exists()


def make_used_tokens(first, last):
    for number in range(first, last):
        user = make_user(f"shop{number}")
        APIAccount.objects.create(user=user, networks=["10.0.0.0/8", "2001:db8::/32"])
        TokenUse.objects.create(token=AuthToken.objects.create(user)[0], last_used=timezone.now())
        AuthToken.objects.create(make_user(f"other{number}"))


def test_the_list_of_tokens_shows_networks_and_last_use_in_as_many_queries_for_many(boss):
    make_used_tokens(0, 1)
    boss.get(TOKENS)
    with CaptureQueriesContext(connection) as few:
        page = boss.get(TOKENS).text
    assert "10.0.0.0/8, 2001:db8::/32" in page
    assert ">never</td>" in page
    make_used_tokens(1, 8)
    with CaptureQueriesContext(connection) as many:
        boss.get(TOKENS)
    assert len(many) == len(few)


def test_the_networks_of_a_user_are_shown_and_not_set(boss):
    user = make_user("shop")
    APIAccount.objects.create(user=user, networks=["10.0.0.0/8"])
    page = f"/admin/auth/user/{user.pk}/change/"
    assert "10.0.0.0/8" in boss.get(page).text
    content = {"username": "shop", "date_joined_0": "2026-01-01", "date_joined_1": "00:00", "is_active": "on"}
    boss.post(page, content | {"api_networks": "192.0.2.0/24", "networks": "192.0.2.0/24"})
    assert APIAccount.objects.get().networks == ["10.0.0.0/8"]
    assert not outcomes("account.networks")
    assert boss.get("/admin/auth/user/add/").status_code == 200
