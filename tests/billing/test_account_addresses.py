"""Every page below /accounts/: which there are, and that each is one of ours."""

import itertools
import re
import time

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.core import mail
from django.test import Client
from django.urls import URLResolver

from billing import urls
from tests.billing.keys import Key
from tests.billing.people import PASSWORD, outcomes, post_password, sign_in
from tests.factories import code_of, make_authenticator, make_user
from vault.audit import events as module
from vault.exceptions import AuditUnavailable

pytestmark = pytest.mark.django_db

# By the name of the address. What is not a page is said to be what it is.
ANYBODY = {
    "account_login",
    "account_signup",
    "account_inactive",
    "account_reset_password",
    "account_password_reset_completed",
}
SIGNED_IN = {
    "account_start", "account_logout", "account_email", "account_change_password", "mfa_index", "mfa_activate_totp",
    "mfa_list_webauthn", "mfa_add_webauthn", "mfa_edit_webauthn", "mfa_remove_webauthn", "mfa_deactivate_totp",
    "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "usersessions_list", "mfa_reauthenticate",
    "mfa_reauthenticate_webauthn", "account_reauthenticate",
}  # fmt: skip
# In the middle of something.
HALF_WAY = {
    "account_email_verification_sent": "/accounts/login/",
    "account_confirm_password_reset_code": "/accounts/login/",
    "account_complete_password_reset": "/accounts/password/reset/",
    "account_confirm_login_code": "/accounts/login/",
    "mfa_authenticate": "/accounts/login/",
}
# Text, JSON, and what leads elsewhere: whoever has a password sets none.
NO_PAGES = {"mfa_download_recovery_codes", "mfa_login_webauthn", "account_set_password"}


def addresses(patterns, prefix="/"):
    for pattern in patterns:
        here = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, here)
        else:
            yield pattern.name, here


def accounts():
    return {name: path for name, path in addresses(urls.urlpatterns) if path.startswith("/accounts/")}


def assert_is_ours(page):
    assert page.status_code == 200
    assert "css/site.css" in page.text
    assert len(re.findall("<h1[ >]", page.text)) == 1
    assert re.search("<title>[^<]+ · Billing</title>", re.sub(r"\s+", " ", page.text))
    assert not re.search(r"\sstyle=|<style", page.text)
    assert "no-store" in page["Cache-Control"]
    levels = [int(level) for level in re.findall("<h([1-6])[ >]", page.text)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    return re.search("<title>([^<]+)</title>", page.text)[1].strip()


def test_these_are_all_there_are():
    assert accounts().keys() == ANYBODY | SIGNED_IN | HALF_WAY.keys() | NO_PAGES


@pytest.mark.parametrize("name", sorted(ANYBODY))
def test_what_anybody_may_see(client, name):
    assert_is_ours(client.get(accounts()[name]))


@pytest.mark.parametrize("name", sorted(SIGNED_IN))
def test_what_is_of_an_account_is_shown_to_nobody_else(client, name):
    answer = client.get(accounts()[name].replace("<int:pk>", "1"))
    assert (answer.status_code, answer.text) == (302, "")


@pytest.mark.parametrize("name", sorted(HALF_WAY))
def test_nobody_begins_in_the_middle(client, name):
    assert client.get(accounts()[name]).url.startswith(HALF_WAY[name])


def test_the_pages_of_an_account_are_ours_and_tell_each_other_apart():
    """Of somebody who has everything, and then of somebody who has nothing yet."""
    user, poor = make_user(password=PASSWORD), make_user("bob", password=PASSWORD)
    key = Key(user)
    authenticator = key.register()
    secret = make_authenticator(user)
    client, other = Client(), sign_in(poor)
    post_password(client, user)
    client.post("/accounts/2fa/authenticate/", {"code": RecoveryCodes.activate(user).get_unused_codes()[0]})
    client.post("/accounts/2fa/reauthenticate/", {"code": code_of(secret)})
    other.post("/accounts/reauthenticate/", {"password": PASSWORD})
    titles = {}
    for name in SIGNED_IN - {"account_reauthenticate", "mfa_activate_totp"}:
        titles[name] = assert_is_ours(client.get(accounts()[name].replace("<int:pk>", str(authenticator.pk))))
    for name in ("account_reauthenticate", "mfa_activate_totp"):
        titles[name] = assert_is_ours(other.get(accounts()[name]))
    for name in ("account_start", "mfa_index", "mfa_list_webauthn", "mfa_add_webauthn", "usersessions_list"):
        assert_is_ours(other.get(accounts()[name]))
    again = {"mfa_reauthenticate", "mfa_reauthenticate_webauthn", "account_reauthenticate"}
    assert len(set(titles.values())) == len(titles) - len(again) + 1
    assert Authenticator.objects.filter(user=user).count() == 3


def test_the_pages_in_the_middle_are_ours():
    user = make_user(password=PASSWORD)
    secret = make_authenticator(user)
    client = Client()
    post_password(client, user)
    assert_is_ours(client.get("/accounts/2fa/authenticate/"))
    client.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    new, forgetful = Client(), Client()
    new.post("/accounts/signup/", {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD})
    assert_is_ours(new.get("/accounts/confirm-email/"))
    forgetful.post("/accounts/password/reset/", {"email": user.email})
    assert_is_ours(forgetful.get("/accounts/password/reset/confirm/"))


def test_who_asks_too_often_gets_a_page(client, settings):
    settings.ACCOUNT_RATE_LIMITS = {"reset_password": "1/m/key"}
    for _ in range(2):
        page = client.post("/accounts/password/reset/", {"email": "ann@example.com"})
    assert page.status_code == 429
    assert "<h1>Too many requests</h1>" in page.text


@pytest.mark.parametrize("action", ["add", "primary", "remove"])
def test_an_address_is_changed_by_who_has_just_shown_who_they_are(monkeypatch, action):
    user = make_user(password=PASSWORD)
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    client, now = sign_in(user), time.time
    monkeypatch.setattr("time.time", lambda: now() + 301)
    email = "third@example.com" if action == "add" else "second@example.com"
    answer = client.post("/accounts/email/", {"email": email, f"action_{action}": ""})
    assert answer.url == "/accounts/reauthenticate/?next=%2Faccounts%2Femail%2F"
    assert not mail.outbox
    user.refresh_from_db()
    assert user.email == "ada@example.com"
    assert EmailAddress.objects.filter(user=user).count() == 2
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/accounts/email/", {"email": email, f"action_{action}": ""})
    assert mail.outbox


@pytest.mark.django_db(transaction=True)
def test_the_removal_of_an_address_is_recorded_or_does_not_happen(monkeypatch):
    user = make_user(password=PASSWORD)
    EmailAddress.objects.create(user=user, email="second@example.com", verified=True)
    client, remove = sign_in(user), {"email": "second@example.com", "action_remove": ""}

    class Broken:
        def append(self, content):
            raise AuditUnavailable

    with monkeypatch.context() as away:
        away.setattr(module, "current_ledger", Broken)
        assert client.post("/accounts/email/", remove).status_code == 503
    assert EmailAddress.objects.filter(email="second@example.com").exists()
    client.post("/accounts/email/", remove)
    assert outcomes("email.remove", subject=f"user:{user.pk}") == ["done"]
    assert not EmailAddress.objects.filter(email="second@example.com").exists()
