"""A card number that is typed where a name belongs goes nowhere: not into SQL, not into a mail, not back to the page."""

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import User
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client

from billing.accounts import AccountAdapter
from tests.billing.people import PASSWORD, sign_in
from tests.factories import make_authenticator, make_user

pytestmark = pytest.mark.django_db


def forms_with(digits):
    address = f"{digits}@example.com"
    return [
        ("/accounts/login/", {"login": digits, "password": PASSWORD}),
        ("/accounts/login/", {"login": address, "password": PASSWORD}),
        ("/accounts/signup/", {"email": digits, "password1": PASSWORD, "password2": PASSWORD}),
        ("/accounts/signup/", {"email": address, "password1": PASSWORD, "password2": PASSWORD}),
        ("/accounts/password/reset/", {"email": address}),
    ]


@pytest.mark.parametrize("which", range(5), ids=["sign-in", "sign-in-address", "sign-up", "sign-up-address", "reset"])
def test_a_card_number_as_a_name_is_refused_and_goes_nowhere(client, canary, which):
    digits = canary("name")
    path, data = forms_with(digits)[which]
    asked = []
    with connection.execute_wrapper(
        lambda run, sql, params, *more: (asked.append(str(params)), run(sql, params, *more))[1]
    ):
        response = client.post(path, data)
    assert response.status_code == 200
    assert digits not in response.content.decode()
    assert digits not in "".join(asked)
    assert not User.objects.exists()
    assert not mail.outbox


@pytest.mark.parametrize("action", ["add", "send", "remove", "primary"])
def test_nor_does_one_among_the_addresses_of_an_account(canary, action):
    digits = canary("address")
    client = sign_in(make_user(password=PASSWORD))
    page = client.post("/accounts/email/", {"email": f"{digits}@example.com", f"action_{action}": ""})
    assert page.status_code == (200 if action == "add" else 400)
    assert EmailAddress.objects.count() == 1


@pytest.mark.parametrize("separator", ["", "%20", "%2520"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_nor_does_one_in_the_way_back(canary, method, separator):
    """It would be in the page again, in a redirect, and in the session that waits for the second factor."""
    digits, user = canary("next"), make_user(password=PASSWORD)
    make_authenticator(user)
    client = Client()
    sent = {"login": user.email, "password": PASSWORD, "next": f"/orders/?q={digits[:4]}{separator}{digits[4:]}"}
    for path in ("login/", "signup/", "password/reset/"):
        page = getattr(client, method)(f"/accounts/{path}", sent)
        assert page.status_code == {"get": 302, "post": 400}[method]
        assert digits[4:] not in page.text + page.get("Location", "") + str(dict(client.session))
    assert not mail.outbox


def test_everybody_else_signs_up(client):
    client.post("/accounts/signup/", {"email": "ann@example.com", "password1": PASSWORD, "password2": PASSWORD})
    assert User.objects.get().email == "ann@example.com"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (1, "", "127.0.0.1"),
        (1, "no address", "127.0.0.1"),
        (3, "203.0.113.9", "203.0.113.9"),
    ],
)
def test_sign_in_counts_by_the_address_that_the_audit_log_has(settings, rf, proxies, forwarded, expected):
    settings.TRUSTED_PROXIES = proxies
    request = rf.get("/accounts/login/", HTTP_X_FORWARDED_FOR=forwarded)
    assert AccountAdapter().get_client_ip(request) == expected


def test_without_an_address_nobody_signs_in(rf):
    with pytest.raises(PermissionDenied):
        AccountAdapter().get_client_ip(rf.get("/accounts/login/", REMOTE_ADDR=""))
