"""Before a card number is shown somebody shows who they are: in this session, just now, and with a second factor."""

import time

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.storage.fallback import FallbackStorage
from django.test import Client
from django.utils.module_loading import import_string

from billing.accounts import confirm_identity
from billing.settings import base
from tests.billing.people import PASSWORD, make_staff, sign_in
from tests.factories import code_of, make_authenticator, make_user

pytestmark = pytest.mark.django_db
AGAIN = "/accounts/reauthenticate/?next=%2Freveal%2F"
WITH_CODE = "/accounts/2fa/reauthenticate/?next=%2Freveal%2F"


@pytest.fixture
def ask(rf):
    """What `confirm_identity` answers to a request of this browser."""

    def ask(client, user, method="get", address="/reveal/", **data):
        request = getattr(rf, method)(address, data)
        request.session, request.user = client.session, user
        request._messages = FallbackStorage(request)
        before = dict(request.session)
        answer = confirm_identity(request)
        assert {**dict(request.session), "_messages": 0} == {**before, "_messages": 0}
        return answer

    return ask


@pytest.fixture
def age(monkeypatch):
    """Let seconds pass since whatever was shown."""
    now = time.time

    def let(seconds):
        monkeypatch.setattr("billing.accounts.time.time", lambda: now() + seconds)

    return let


def test_it_is_what_the_vault_asks():
    assert import_string(base.VAULT["CONFIRM_IDENTITY"]) is confirm_identity


def test_a_code_of_a_moment_ago_is_enough(ask, age):
    staff = make_staff()
    client = sign_in(staff, make_authenticator(staff))
    assert ask(client, staff) is None
    age(299)
    assert ask(client, staff) is None


@pytest.mark.parametrize("seconds", [301, 3600, -10], ids=["just over", "long over", "yet to come"])
def test_a_code_of_another_time_is_not(ask, age, seconds):
    staff = make_staff()
    client = sign_in(staff, make_authenticator(staff))
    age(seconds)
    assert ask(client, staff).url == WITH_CODE


def test_the_time_is_a_setting(ask, age, settings):
    settings.IDENTITY_FRESH_SECONDS = 10
    staff = make_staff()
    client = sign_in(staff, make_authenticator(staff))
    age(11)
    assert ask(client, staff).url == WITH_CODE


def test_who_has_a_second_factor_does_not_get_by_with_the_password(ask):
    staff = make_staff()
    client = sign_in(staff)
    secret = make_authenticator(staff)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert ask(client, staff).url == WITH_CODE
    client.post("/accounts/2fa/reauthenticate/", {"code": code_of(secret)})
    assert ask(client, staff) is None


@pytest.mark.parametrize("is_superuser", [False, True], ids=["staff", "superuser"])
def test_where_it_is_required_one_has_to_be_set_up(ask, settings, is_superuser):
    settings.STAFF_MFA_REQUIRED = True
    staff = make_staff(is_superuser=is_superuser)
    assert ask(sign_in(staff), staff).url == "/accounts/2fa/"


def test_where_it_is_not_the_password_of_a_moment_ago_is_enough(ask, age):
    user = make_user(password=PASSWORD)
    client = sign_in(user)
    assert ask(client, user) is None
    age(301)
    assert ask(client, user).url == AGAIN


def test_a_session_that_nobody_signed_in_to_is_not(ask):
    user, client = make_user(password=PASSWORD), Client()
    client.force_login(user)
    assert ask(client, user).url == AGAIN


def test_what_another_person_showed_in_this_session_does_not_count(ask):
    staff, other = make_staff(), make_staff("olga")
    make_authenticator(other)
    assert ask(sign_in(staff, make_authenticator(staff)), other).url == WITH_CODE


def test_nobody_is_nobody(ask):
    assert ask(Client(), AnonymousUser()).url == "/accounts/login/?next=%2Freveal%2F"


def test_what_was_sent_is_neither_kept_nor_repeated(ask, canary):
    staff, digits = make_staff(), canary("reason")
    make_authenticator(staff)
    client = Client()
    client.force_login(staff)
    answer = ask(client, staff, "post", "/reveal/?step=2", reason=digits)
    # The page, and not the step: what comes back is a GET.
    assert answer.url == WITH_CODE
    assert ask(client, staff, "get", "/reveal/", step=2).url == f"{WITH_CODE}%3Fstep%3D2"
