"""Nobody uses the admin without a second factor, whatever rights they have, and nothing happens before it was shown."""

import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from cryptography.fernet import InvalidToken
from django.db import connection
from django.test import Client

from billing.second_factor import MFAAdapter
from orders.models import Order
from tests.billing.people import PASSWORD, events, make_staff, outcomes, post_password, sign_in
from tests.factories import client_of, code_of, make_authenticator, make_card, make_order, make_user

pytestmark = pytest.mark.django_db
ORDERS = "/admin/orders/order/"
RIGHTS = ("orders.view_order", "orders.change_order")


@pytest.fixture(autouse=True)
def required(settings):
    settings.STAFF_MFA_REQUIRED = True


@pytest.fixture
def order(canary):
    return make_order(make_user(), make_card(canary("order")))


def try_to_change(client, order):
    """Every answer of the admin to somebody who reads, and then writes."""
    address = f"{ORDERS}{order.pk}/change/"
    answers = [client.get(ORDERS), client.get(address), client.post(address, {"name": "Stolen", "description": ""})]
    assert Order.objects.get().name == order.name
    for answer in answers:
        assert order.public_id not in answer.text
    return answers


def test_with_a_code_the_admin_works(order):
    staff = make_staff("sam", *RIGHTS)
    client = sign_in(staff, make_authenticator(staff))
    assert order.public_id in client.get(ORDERS).text
    client.post(f"{ORDERS}{order.pk}/change/", {"name": "Corrected", "description": ""})
    assert Order.objects.get().name == "Corrected"


@pytest.mark.parametrize("is_superuser", [False, True], ids=["staff", "superuser"])
def test_without_a_factor_staff_are_sent_to_set_one_up(order, is_superuser):
    client = sign_in(make_staff("sam", *RIGHTS, is_superuser=is_superuser))
    for answer in try_to_change(client, order):
        assert (answer.status_code, answer.url) == (302, "/accounts/2fa/")
    assert "Set up a second factor first" in client.get("/accounts/2fa/").text


@pytest.mark.parametrize("is_superuser", [False, True], ids=["staff", "superuser"])
def test_a_factor_that_was_not_used_in_this_session_has_to_be(order, is_superuser):
    staff = make_staff("sam", *RIGHTS, is_superuser=is_superuser)
    client = sign_in(staff)
    secret = make_authenticator(staff)
    listed, read, written = try_to_change(client, order)
    assert listed.url == "/accounts/2fa/reauthenticate/?next=%2Fadmin%2Forders%2Forder%2F"
    assert read.url == written.url
    back = client.post(listed.url, {"code": code_of(secret), "next": ORDERS})
    assert back.url == ORDERS
    assert order.public_id in client.get(ORDERS).text


def test_a_code_in_another_session_does_not_count(order):
    staff = make_staff("sam", *RIGHTS)
    other = sign_in(staff)
    secret = make_authenticator(staff)
    sign_in(staff, secret)
    try_to_change(other, order)


@pytest.mark.parametrize("kind", ["anonymous", "customer", "api"])
def test_everybody_else_is_turned_away_as_before(order, kind):
    customer = make_user("carl", password=PASSWORD)
    client = {"anonymous": Client, "customer": lambda: sign_in(customer), "api": lambda: client_of(customer)}[kind]()
    for answer in try_to_change(client, order):
        assert answer.url.startswith("/admin/login/")
        assert client.get(answer.url).status_code == (403 if kind == "customer" else 302)


def test_staff_with_a_token_of_the_api_are_nobody_in_the_admin(order):
    for answer in try_to_change(client_of(make_staff("sam", *RIGHTS)), order):
        assert answer.url.startswith("/admin/login/")


def test_between_password_and_code_nobody_is_signed_in(order):
    staff = make_staff("sam", *RIGHTS)
    make_authenticator(staff)
    client = Client()
    assert post_password(client, staff).url == "/accounts/2fa/authenticate/"
    assert "_auth_user_id" not in client.session
    try_to_change(client, order)


def test_who_has_a_second_factor_is_not_asked_for_the_password_instead():
    staff = make_staff()
    client = sign_in(staff, make_authenticator(staff))
    answer = client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert answer.url == "/accounts/2fa/reauthenticate/"
    assert "Use your password" not in client.get(answer.url).text
    assert [each["method"] for each in client.session["account_authentication_methods"]] == ["password", "mfa"]


def test_it_can_be_switched_off(order, settings):
    settings.STAFF_MFA_REQUIRED = False
    assert order.public_id in sign_in(make_staff("sam", *RIGHTS)).get(ORDERS).text


def test_setting_one_up_asks_for_the_password_again_and_keeps_nothing_of_what_was_sent(canary):
    client, digits = sign_in(make_staff()), canary("code")
    answer = client.post("/accounts/2fa/totp/activate/", {"code": digits})
    assert answer.url == "/accounts/reauthenticate/?next=%2Faccounts%2F2fa%2Ftotp%2Factivate%2F"
    assert digits not in repr(dict(client.session))
    assert "account_reauthentication_state" not in client.session


# --- Changing them ----------------------------------------------------------------------------------------------------

CHANGES = [
    "/accounts/2fa/totp/deactivate/",
    "/accounts/2fa/webauthn/add/",
    "/accounts/2fa/recovery-codes/generate/",
    "/accounts/2fa/recovery-codes/",
    "/accounts/2fa/recovery-codes/download/",
]


@pytest.mark.parametrize("address", CHANGES)
def test_who_has_a_factor_shows_it_before_it_is_taken_or_another_is_added(address):
    staff = make_staff()
    client = sign_in(staff)
    # Shown again just now, as allauth asks; and then there is a factor, which this session never showed.
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    secret = make_authenticator(staff)
    RecoveryCodes.activate(staff)
    before = set(Authenticator.objects.values_list("pk", flat=True))
    for answer in (client.get(address), client.post(address, {"name": "Mine"})):
        assert answer.url.startswith("/accounts/2fa/reauthenticate/?next=")
    assert set(Authenticator.objects.values_list("pk", flat=True)) == before
    client.post("/accounts/2fa/reauthenticate/", {"code": code_of(secret)})
    assert client.get(address).status_code == 200


def test_a_code_of_earlier_does_not_take_a_factor(monkeypatch):
    staff = make_staff()
    client = sign_in(staff, make_authenticator(staff))
    now = time.time
    monkeypatch.setattr("billing.accounts.time.time", lambda: now() + 301)
    answer = client.post("/accounts/2fa/totp/deactivate/")
    assert answer.url.startswith("/accounts/2fa/reauthenticate/")
    assert Authenticator.objects.exists()


def test_the_first_one_needs_the_password_alone():
    client = sign_in(make_staff())
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert client.get("/accounts/2fa/totp/activate/").status_code == 200


def test_a_session_does_not_outlive_the_factor_that_began_it(order):
    staff = make_staff("sam", *RIGHTS)
    client, other = sign_in(staff, make_authenticator(staff)), make_staff("olga", *RIGHTS)
    unconcerned = sign_in(other, make_authenticator(other))
    assert client.get(ORDERS).status_code == 200
    Authenticator.objects.get(user=staff).delete()
    make_authenticator(staff)
    assert client.get(ORDERS).url.startswith("/admin/login/")
    assert unconcerned.get(ORDERS).status_code == 200


def test_who_gives_up_a_factor_stays_signed_in_there_alone_and_shows_the_new_one(order):
    staff = make_staff("sam", *RIGHTS)
    secret = make_authenticator(staff)
    client, elsewhere = Client(), Client()
    for each in (client, elsewhere):
        each.force_login(staff)
    elsewhere.get("/orders/")
    client.post("/accounts/2fa/reauthenticate/", {"code": code_of(secret)})
    client.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.exists()
    assert elsewhere.get("/orders/").status_code == 302
    secret = make_authenticator(staff)
    assert client.get("/orders/").status_code == 200
    try_to_change(client, order)
    client.post("/accounts/2fa/reauthenticate/", {"code": code_of(secret)})
    assert order.public_id in client.get(ORDERS).text


# --- Codes work once, and not for long ------------------------------------------------------------------------------


def test_a_code_works_once():
    staff = make_staff()
    secret = make_authenticator(staff)
    code = code_of(secret)
    for expected in (True, False):
        client = Client()
        post_password(client, staff)
        client.post("/accounts/2fa/authenticate/", {"code": code})
        assert ("_auth_user_id" in client.session) is expected


def test_a_recovery_code_works_once():
    staff = make_staff()
    make_authenticator(staff)
    code = RecoveryCodes.activate(staff).get_unused_codes()[0]
    for expected in (True, False):
        client = Client()
        post_password(client, staff)
        client.post("/accounts/2fa/authenticate/", {"code": code})
        assert ("_auth_user_id" in client.session) is expected


def test_a_card_number_as_a_code_goes_nowhere(canary):
    staff, digits = make_staff(), canary("code")
    make_authenticator(staff)
    client = Client()
    post_password(client, staff)
    page = client.post("/accounts/2fa/authenticate/", {"code": digits})
    assert digits not in page.text
    assert "_auth_user_id" not in client.session


# --- Secrets are not stored in clear ---------------------------------------------------------------------------------


def test_neither_secrets_nor_recovery_codes_are_in_the_database():
    staff = make_staff()
    secret = make_authenticator(staff)
    codes = RecoveryCodes.activate(staff).get_unused_codes()
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM mfa_authenticator")
        stored = repr(cursor.fetchall())
    assert secret not in stored
    assert not [code for code in codes if code in stored]


def test_a_new_secret_key_opens_what_the_one_before_closed(settings):
    closed = MFAAdapter().encrypt("secret")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert MFAAdapter().decrypt(closed) == "secret"
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(InvalidToken):
        MFAAdapter().decrypt(closed)


# --- What is recorded ------------------------------------------------------------------------------------------------


def test_use_and_failure_are_recorded_without_the_code():
    staff = make_staff()
    secret = make_authenticator(staff)
    client = Client()
    post_password(client, staff)
    wrong = code_of(secret, wrong=True)
    client.post("/accounts/2fa/authenticate/", {"code": wrong})
    client.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    assert outcomes("mfa.use", subject=f"user:{staff.pk}") == ["intent", "failed", "intent", "done"]
    assert wrong not in repr([event.details for event in events("mfa.use")])
    (started,) = events("session.start")
    assert (started.actor, started.details["methods"]) == (str(staff.pk), ["password", "mfa"])


def test_adding_and_removing_is_recorded_on_every_path():
    staff = make_staff()
    make_authenticator(staff)
    Authenticator.objects.get().delete()
    assert outcomes("mfa.add", subject=f"user:{staff.pk}") == ["intent", "done"]
    assert outcomes("mfa.remove", subject=f"user:{staff.pk}") == ["done"]


def test_security_keys_are_offered_without_inline_scripts():
    staff = make_staff()
    client = sign_in(staff)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert "security keys" in client.get("/accounts/2fa/").text
    for address in ("/accounts/2fa/webauthn/add/", "/accounts/2fa/webauthn/"):
        assert client.get(address).status_code == 200
    page = client.get("/accounts/2fa/webauthn/add/").text
    # Data, which no browser runs, and scripts from files.
    for script in page.split("<script")[1:]:
        assert ' src="' in script.partition(">")[0] or 'type="application/json"' in script.partition(">")[0]


def test_a_wrong_answer_of_a_security_key_is_counted():
    staff = make_staff()
    make_authenticator(staff)
    client = Client()
    post_password(client, staff)
    for answer in ('{"id": "x"}', '"x"', '{"id": {"id": []}, "rawId": {"id": []}}'):
        page = client.post("/accounts/2fa/authenticate/", {"credential": answer})
        assert page.status_code == 200
    assert outcomes("mfa.use") == ["intent", "failed"] * 3
    assert "_auth_user_id" not in client.session


def test_the_name_of_a_security_key_is_no_card_number(canary):
    client, digits = sign_in(make_staff()), canary("key")
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    page = client.post("/accounts/2fa/webauthn/add/", {"name": digits, "credential": "{}"})
    assert digits not in page.text
    assert not Authenticator.objects.exists()
