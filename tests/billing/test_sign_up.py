"""Nobody is let in with an address whose mail they cannot read, and nobody learns who has an account."""

import re

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import call_command
from django.test import Client

from tests.billing.people import PASSWORD, events, make_staff, outcomes, post_password, sent_code, sign_in
from tests.factories import client_of, code_of, make_authenticator, make_user

pytestmark = pytest.mark.django_db
CONFIRM = "/accounts/confirm-email/"
WRONG = "BBBB-BBBB"


@pytest.fixture(autouse=True)
def any_rate(settings):
    settings.ACCOUNT_RATE_LIMITS = False


@pytest.fixture
def wait(monkeypatch):
    """Let seconds pass for codes."""
    import time

    now, passed = time.time, 0

    def let(seconds):
        nonlocal passed
        passed += seconds

    monkeypatch.setattr("time.time", lambda: now() + passed)
    return let


def sign_up(client, email="ann@example.com", password=PASSWORD):
    return client.post("/accounts/signup/", {"email": email, "password1": password, "password2": password})


def is_signed_in(client):
    return "_auth_user_id" in client.session


def test_the_code_from_the_mail_lets_in(client):
    assert sign_up(client).url == CONFIRM
    assert not is_signed_in(client)
    answer = client.post(CONFIRM, {"code": sent_code().lower().replace("-", " ")}, follow=True)
    assert is_signed_in(client)
    assert answer.redirect_chain[-1][0] == "/"
    assert EmailAddress.objects.get().verified
    (user,) = User.objects.all()
    assert outcomes("email.verify", subject=f"user:{user.pk}") == ["done"]


def test_without_the_code_nobody_is_let_in(client):
    sign_up(client)
    for address in ("/", "/orders/", "/accounts/", "/accounts/email/", "/accounts/2fa/"):
        assert client.get(address).url.startswith("/accounts/login/")
    assert post_password(Client(), User.objects.get()).url == CONFIRM
    assert not EmailAddress.objects.get().verified


def test_a_wrong_code_is_said_beside_the_field_and_three_begin_anew(client):
    sign_up(client)
    page = client.post(CONFIRM, {"code": WRONG})
    assert 'id="id_code_error"' in page.text
    client.post(CONFIRM, {"code": WRONG})
    page = client.post(CONFIRM, {"code": WRONG}, follow=True)
    assert "Too many failed login attempts" in page.text
    assert page.redirect_chain[-1][0] == "/accounts/login/"
    client.post(CONFIRM, {"code": sent_code()})
    assert not is_signed_in(client)
    assert outcomes("email.verify") == ["failed"] * 3


def test_a_code_that_is_too_old_is_said_to_be(client, wait):
    sign_up(client)
    code = sent_code()
    wait(601)
    page = client.post(CONFIRM, {"code": code}, follow=True)
    assert "This code is too old." in page.text
    assert not is_signed_in(client)
    page = post_password(client, User.objects.get())
    assert page.url == CONFIRM
    assert sent_code() != code
    client.post(CONFIRM, {"code": sent_code()})
    assert is_signed_in(client)


def test_another_code_is_sent_and_the_one_before_is_over(client):
    sign_up(client)
    first = sent_code()
    client.post(CONFIRM, {"action": "resend"})
    assert len(mail.outbox) == 2
    client.post(CONFIRM, {"code": first})
    assert not is_signed_in(client)
    client.post(CONFIRM, {"code": sent_code()})
    assert is_signed_in(client)


def test_a_code_is_good_in_its_own_browser_alone(client):
    sign_up(client)
    other = Client()
    sign_up(other, "bob@example.com")
    other.post(CONFIRM, {"code": re.findall(r"[A-Z]{4}-[A-Z]{4}", mail.outbox[0].body)[0]})
    assert not is_signed_in(other)


def test_a_sign_up_does_not_say_who_has_an_account(client):
    known = make_user("ann")
    other = Client()
    for each, email in ((client, known.email), (other, "bob@example.com")):
        assert sign_up(each, email).url == CONFIRM
        each.post(CONFIRM, {"action": "resend"})
    pages = [
        [
            each.get(CONFIRM).text,
            each.post(CONFIRM, {"code": WRONG}).text,
        ]
        for each in (client, other)
    ]

    def strip(page):
        return re.sub(r'value="[^"]{64}"', "", page.replace(known.email, "").replace("bob@example.com", ""))

    assert [strip(page) for page in pages[0]] == [strip(page) for page in pages[1]]
    assert [message.to for message in mail.outbox[:2]] == [[known.email], ["bob@example.com"]]
    assert "has an account already" in mail.outbox[0].body
    assert not re.search(r"[A-Z]{4}-[A-Z]{4}", mail.outbox[0].body)
    assert User.objects.count() == 2


def test_nor_does_its_time(monkeypatch):
    """A password is hashed for who is new and for who is not; the rest is a few milliseconds."""
    make_user("ann")
    hashed, encode = [], MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda *each: hashed.append(1) or encode(*each))
    counts = []
    for email in ("ann@example.com", "bob@example.com"):
        hashed.clear()
        sign_up(Client(), email)
        counts.append(len(hashed))
    assert counts == [1, 1]


def test_mails_are_ours(client):
    sign_up(client)
    (message,) = mail.outbox
    assert message.subject == "Your code for Billing"
    assert "example.com" not in message.body
    assert "http" not in message.body
    assert not message.alternatives


def test_no_code_is_in_a_log_or_an_address(client, caplog):
    caplog.set_level("DEBUG")
    answers = [sign_up(client)]
    code = sent_code()
    answers += [client.get(CONFIRM), client.post(CONFIRM, {"code": WRONG}), client.post(CONFIRM, {"code": code})]
    logged = caplog.text + repr([(event.subject, event.details) for event in events("email.verify")])
    for text in (code, code.replace("-", ""), WRONG):
        assert text not in logged
        assert not [answer for answer in answers if text in answer.headers.get("Location", "")]
    assert not [answer for answer in answers if code in answer.text]


# --- Who was here before ---------------------------------------------------------------------------------------------


def test_who_was_made_at_a_shell_verifies_the_address_and_signs_in(client, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--no-input", username="root", email="root@example.com", verbosity=0)
    root = User.objects.get()
    assert post_password(client, root).url == CONFIRM
    client.post(CONFIRM, {"code": sent_code()})
    assert is_signed_in(client)
    assert is_signed_in(sign_in(root))


def test_the_code_stands_for_no_second_factor():
    staff = make_staff(is_verified=False)
    secret, client = make_authenticator(staff), Client()
    assert post_password(client, staff).url == CONFIRM
    assert client.post(CONFIRM, {"code": sent_code()}).url == "/accounts/2fa/authenticate/"
    assert not is_signed_in(client)
    client.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    assert is_signed_in(client)


def test_accounts_of_the_api_need_no_verified_address():
    shop = make_user("shop", "orders.view_order", is_verified=False)
    assert client_of(shop).get("/api/v1/orders/").status_code == 200
    assert not mail.outbox
