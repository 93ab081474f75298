"""In the admin second factors are taken and not given, and no session is hidden."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User

from tests.billing.people import PASSWORD, make_staff, outcomes, sign_in
from tests.factories import make_authenticator, make_user

pytestmark = pytest.mark.django_db
FACTORS, SESSIONS = "/admin/mfa/authenticator/", "/admin/usersessions/usersession/"


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
