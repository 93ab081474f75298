"""A passkey signs in alone only if it verified who holds it; it is counted, recorded and refused like a password."""

import json

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from billing import lockout
from tests.billing.keys import Key
from tests.billing.people import PASSWORD, events, make_staff, outcomes, post_password
from tests.factories import make_authenticator, make_user
from vault.audit import events as module
from vault.exceptions import AuditUnavailable

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/2fa/webauthn/login/"


@pytest.fixture(autouse=True)
def any_rate(settings):
    settings.ACCOUNT_RATE_LIMITS = settings.MFA_RATE_LIMITS = False
    settings.STAFF_MFA_REQUIRED = True


@pytest.fixture
def key():
    key = Key(make_staff("sam", "orders.view_order"))
    key.register()
    return key


def options(client):
    return client.get(LOGIN, headers={"Accept": "application/json"}).json()["request_options"]


def sign_in(client, key, **claims):
    return client.post(LOGIN, {"credential": key.answer(options(client), **claims)}, follow=True)


def is_signed_in(client):
    return "_auth_user_id" in client.session


def test_it_signs_staff_in_and_is_their_second_factor(client, key):
    sign_in(client, key)
    assert client.session["_auth_user_id"] == str(key.user.pk)
    assert client.get("/admin/orders/order/").status_code == 200
    account = lockout.subject_of_account(key.user.pk)
    assert outcomes("sign_in", subject=account) == ["intent", "done"]
    assert outcomes("mfa.use", subject=f"user:{key.user.pk}") == ["intent", "done"]
    (started,) = events("session.start")
    assert started.details["methods"] == ["passkey"]


def test_it_goes_where_somebody_wanted_to_go(client, key):
    answer = client.post(LOGIN, {"credential": key.answer(options(client)), "next": "/admin/orders/order/"})
    assert answer.url == "/admin/orders/order/"


def test_a_key_that_did_not_verify_its_holder_is_refused(client, key):
    page = sign_in(client, key, is_verified=False)
    assert "Incorrect code" in page.text
    assert not is_signed_in(client)
    assert outcomes("sign_in", subject=lockout.subject_of_account(key.user.pk)) == ["intent", "failed"]


def test_nor_with_a_challenge_that_was_for_a_second_factor_of_somebody_else(key):
    """Whoever found a key, and has an account of their own, gets a challenge that does not insist on a PIN."""
    eve = make_user("eve", password=PASSWORD)
    Key(eve).register()
    client = Client()
    post_password(client, eve)
    page = client.get("/accounts/2fa/authenticate/").text
    lenient = json.loads(page.partition('<script id="js_data" type="application/json">')[2].partition("</script>")[0])
    answer = key.answer(lenient["request_options"], is_verified=False)
    # "Cancel" ends the sign-in that waits for its second factor, and leaves the challenge.
    client.post("/accounts/logout/")
    page = client.post(LOGIN, {"credential": answer}, follow=True)
    assert "Incorrect code" in page.text
    assert not is_signed_in(client)
    assert client.get("/admin/orders/order/").status_code == 302


@pytest.mark.parametrize("claims", [{"is_forged": True}, {"user": "another"}], ids=["forged", "of another"])
def test_what_its_key_did_not_sign_is_refused(client, key, claims):
    if "user" in claims:
        claims = {"user": make_staff("olga")}
    sign_in(client, key, **claims)
    assert not is_signed_in(client)


def test_an_answer_works_once(client, key):
    answer = key.answer(options(client))
    client.post(LOGIN, {"credential": answer})
    other = Client()
    options(other)
    other.post(LOGIN, {"credential": answer})
    assert is_signed_in(client)
    assert not is_signed_in(other)


def test_who_is_not_active_is_refused_with_the_same_sentence(client, key):
    type(key.user).objects.filter(pk=key.user.pk).update(is_active=False)
    page = sign_in(client, key)
    assert "Incorrect code" in page.text
    assert not is_signed_in(client)


@pytest.mark.parametrize("locked", ["password", "factor"])
def test_a_locked_account_is_locked_for_passkeys_too(client, key, locked):
    if locked == "password":
        for _ in range(10):
            post_password(Client(), key.user, "wrong horse battery")
    else:
        make_authenticator(key.user)
        half = Client()
        post_password(half, key.user)
        for _ in range(10):
            half.post("/accounts/2fa/authenticate/", {"code": "000000"})
    page = sign_in(client, key)
    assert lockout.SENTENCE in page.text
    assert not is_signed_in(client)


def test_ten_refused_answers_lock_the_account_of_the_key(client, key):
    for _ in range(10):
        sign_in(Client(), key, is_forged=True)
    assert lockout.SENTENCE in sign_in(client, key).text
    assert lockout.SENTENCE in post_password(client, key.user).text
    assert len(events("sign_in.lock")) == 1


def test_who_has_no_key_of_an_account_does_not_lock_it(client, key):
    stranger = Key(key.user)
    for _ in range(11):
        sign_in(Client(), stranger)
    assert outcomes("sign_in", subject=lockout.subject_of_account(key.user.pk)) == []
    assert outcomes("sign_in", subject="") == ["intent", "failed"] * 11
    sign_in(client, key)
    assert is_signed_in(client)


NONSENSE = pytest.mark.parametrize(
    "answer",
    [
        "{}", "[]", '"x"', "null", "NaN", '{"rawId": 1}', '{"id": "a", "rawId": "a", "response": 1}',
        '{"id": "\\ud800", "rawId": "AA", "response": {}}', "[" * 5000, "1" * 5000,
        '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "e30", "attestationObject": "AA"}}',
    ],
    ids=["empty", "list", "text", "null", "nan", "number", "response", "surrogate", "deep", "digits", "cbor"],
)  # fmt: skip


@NONSENSE
def test_nonsense_is_refused_and_no_error_of_ours(client, answer):
    options(client)
    assert client.post(LOGIN, {"credential": answer}).status_code == 302
    assert not is_signed_in(client)


@NONSENSE
def test_nor_is_it_as_a_second_factor(client, answer):
    user = make_user(password=PASSWORD)
    Key(user).register()
    post_password(client, user)
    client.get("/accounts/2fa/authenticate/")
    assert client.post("/accounts/2fa/authenticate/", {"credential": answer}).status_code == 200
    assert not is_signed_in(client)


@NONSENSE
def test_nor_is_it_as_a_new_key(client, answer):
    user = make_user(password=PASSWORD)
    post_password(client, user)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.get("/accounts/2fa/webauthn/add/")
    assert client.post("/accounts/2fa/webauthn/add/", {"credential": answer, "name": "Mine"}).status_code == 200
    assert not Authenticator.objects.exists()


def test_nobody_signs_in_unseen(client, key, monkeypatch):
    answer = key.answer(options(client))

    class Broken:
        def append(self, content):
            raise AuditUnavailable

    monkeypatch.setattr(module, "current_ledger", Broken)
    assert client.post(LOGIN, {"credential": answer}).status_code == 503
    monkeypatch.undo()
    assert not is_signed_in(client)


def test_customers_may_use_one_as_well(client):
    key = Key(make_user())
    key.register()
    sign_in(client, key)
    assert client.get("/orders/").status_code == 200


def test_the_page_offers_it(client):
    page = client.get("/accounts/login/").text
    assert 'id="passkey_login"' in page
