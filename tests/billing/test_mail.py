import io

import pytest
from django.core.mail import EmailMessage
from django.test import Client

from billing.mail import TerminalBackend
from tests.billing.people import PASSWORD, sent_code, sign_in
from tests.factories import make_user
from tests.servers import free_port


def test_the_terminal_shows_what_a_reader_would_see():
    stream = io.StringIO()
    message = EmailMessage("Your code for Billing", "ABCD-EFGH", "billing@localhost", ["ann@example.com"])
    assert TerminalBackend(stream=stream).send_messages([message]) == 1
    shown = stream.getvalue()
    assert "Mail to ann@example.com: Your code for Billing\n\nABCD-EFGH\n" in shown
    assert "Content-Type" not in shown


def test_it_keeps_out_of_the_stream_of_the_audit_log(capsys):
    TerminalBackend().send_messages([EmailMessage("Subject", "Body", None, ["ann@example.com"])])
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Body" in printed.err


@pytest.fixture
def nobody_takes_mail(settings):
    settings.ACCOUNT_RATE_LIMITS = False
    working = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()

    def heal():
        settings.EMAIL_BACKEND = working

    return heal


SIGN_UP = {"email": "eve@example.com", "password1": PASSWORD, "password2": PASSWORD}
ASKED = {
    "sign-up": ("/accounts/signup/", SIGN_UP),
    "sign-up with an address that is taken": ("/accounts/signup/", SIGN_UP | {"email": "ada@example.com"}),
    "reset": ("/accounts/password/reset/", {"email": "ada@example.com"}),
    "reset of nobody's": ("/accounts/password/reset/", {"email": "nobody@example.com"}),
}


@pytest.mark.django_db
@pytest.mark.parametrize("asked", ASKED)
def test_without_a_mail_server_people_are_told_the_same_whoever_they_are(nobody_takes_mail, caplog, asked):
    make_user()
    address, form = ASKED[asked]
    page = Client().post(address, form)
    assert (page.status_code, page["Retry-After"]) == (503, "60")
    assert "No mail can be sent now" in page.text
    assert form["email"] not in page.text + caplog.text


@pytest.mark.django_db
def test_who_signed_up_meanwhile_gets_the_code_at_the_sign_in(nobody_takes_mail):
    client = Client()
    client.post("/accounts/signup/", SIGN_UP)
    nobody_takes_mail()
    client.post("/accounts/login/", {"login": SIGN_UP["email"], "password": PASSWORD})
    client.post("/accounts/confirm-email/", {"code": sent_code()})
    assert "_auth_user_id" in client.session


@pytest.mark.django_db
def test_an_address_is_not_added_without_its_code(nobody_takes_mail):
    client = sign_in(make_user(password=PASSWORD))
    page = client.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})
    assert page.status_code == 503
    assert "new@example.com" not in client.get("/accounts/email/").text
