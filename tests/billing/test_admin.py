"""In the admin second factors are taken and not given, and no session is hidden."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from knox.models import AuthToken

from billing.token_digests import start_of
from tests.billing.people import PASSWORD, make_staff, outcomes, sign_in
from tests.factories import make_authenticator, make_user

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
