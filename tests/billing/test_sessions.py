"""Sessions of staff end after 15 minutes without a request; all sessions and tokens end with a deactivation."""

import time

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken

from billing import middleware
from orders.models import Order
from tests.billing.people import PASSWORD, events, make_staff, sign_in
from tests.factories import client_of, make_card, make_order, make_user
from vault.audit import ledger
from vault.exceptions import AuditUnavailable

pytestmark = pytest.mark.django_db
ORDERS = "/admin/orders/order/"
RIGHTS = ("orders.view_order", "orders.change_order")


@pytest.fixture
def wait(monkeypatch):
    """Let seconds pass for sessions."""
    now, passed = time.time, 0

    def let(seconds):
        nonlocal passed
        passed += seconds

    monkeypatch.setattr("billing.sessions.time.time", lambda: now() + passed)
    return let


@pytest.fixture
def order(canary):
    return make_order(make_user(), make_card(canary("order")))


def is_over(client):
    return client.get(ORDERS).status_code == 302


@pytest.mark.parametrize("is_superuser", [False, True], ids=["staff", "superuser"])
def test_after_15_minutes_staff_sign_in_again_and_nothing_is_shown(order, wait, is_superuser):
    staff = make_staff("sam", *RIGHTS, is_superuser=is_superuser)
    client = sign_in(staff)
    assert order.public_id in client.get(ORDERS).text
    wait(901)
    answer = client.get(f"{ORDERS}?q=4242")
    assert answer.url == "/accounts/login/?next=%2Fadmin%2Forders%2Forder%2F%3Fq%3D4242"
    assert order.public_id not in answer.text
    assert middleware.IDLE in client.get(answer.url).text
    (event,) = events("session.idle")
    assert (event.actor, event.subject) == (str(staff.pk), f"user:{staff.pk}")


def test_what_was_sent_after_15_minutes_is_not_carried_out_nor_kept(order, wait, canary):
    client, digits = sign_in(make_staff("sam", *RIGHTS)), canary("late")
    wait(901)
    answer = client.post(f"{ORDERS}{order.pk}/change/", {"name": "Late", "description": digits})
    assert answer.url == "/accounts/login/"
    assert Order.objects.get().name == order.name
    assert not [each for each in Session.objects.all() if "Late" in repr(each.get_decoded())]
    assert is_over(client)


def test_who_goes_on_working_stays_signed_in(order, wait):
    client = sign_in(make_staff("sam", *RIGHTS))
    for _ in range(10):
        wait(800)
        assert not is_over(client)


@pytest.mark.parametrize("first", range(0, 60, 7))
def test_it_is_never_longer_than_15_minutes(order, wait, first):
    client = sign_in(make_staff("sam", *RIGHTS))
    wait(first)
    client.get(ORDERS)
    wait(901)
    assert is_over(client)


def test_a_session_is_written_once_a_minute(order, wait):
    client = sign_in(make_staff("sam", *RIGHTS))
    client.get(ORDERS)
    # The session, and the list in which its user sees it.
    for seconds, expected in ((0, 0), (30, 0), (31, 2), (1, 0)):
        wait(seconds)
        with CaptureQueriesContext(connection) as queries:
            client.get(ORDERS)
        assert len([each for each in queries if "UPDATE" in each["sql"] and "session" in each["sql"]]) == expected


def test_people_see_when_each_of_their_sessions_was_last_in_use(wait):
    customer = make_user(password=PASSWORD)
    client, other = sign_in(customer, headers={"User-Agent": "Firefox/1 Linux"}), sign_in(customer)
    begun = UserSession.objects.get(user_agent="").last_seen_at
    wait(61)
    other.get("/orders/")
    assert UserSession.objects.get(user_agent="").last_seen_at > begun
    page = client.get("/accounts/sessions/").text
    assert page.count("Firefox on Linux") == page.count("This browser") == 1
    assert "An unknown program" in page
    client.post("/accounts/sessions/")
    assert client.get("/orders/").status_code == 200
    assert other.get("/orders/").status_code == 302


def test_a_session_of_which_nobody_knows_how_old_it_is_is_over(order):
    client = sign_in(make_staff("sam", *RIGHTS))
    session = client.session
    del session["billing.seen"]
    session.save()
    assert is_over(client)


def test_a_session_from_the_future_is_over(order, wait):
    client = sign_in(make_staff("sam", *RIGHTS))
    wait(-3600)
    assert is_over(client)


def test_customers_are_not_affected(order, wait):
    client = sign_in(make_user("carl", password=PASSWORD))
    wait(100_000)
    assert client.get("/orders/").status_code == 200


def test_without_an_audit_log_the_session_ends_all_the_same(order, wait, monkeypatch):
    client = sign_in(make_staff("sam", *RIGHTS))
    wait(901)

    def refuse(*_):
        raise AuditUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(ledger.Ledger, "append", refuse)
        answer = client.get(ORDERS)
    assert answer.status_code == 503
    assert order.public_id not in answer.text
    assert is_over(client)


# --- Deactivation ----------------------------------------------------------------------------------------------------


def by_saving(user):
    user.is_active = False
    user.save()


def by_saving_one_field(user):
    user.is_active = False
    user.save(update_fields=["is_active"])


def by_the_admin(user):
    boss = make_staff("boss", is_superuser=True)
    sign_in(boss).post(f"/admin/auth/user/{user.pk}/change/", {"username": user.username, "date_joined_0": "2026-01-01", "date_joined_1": "00:00"})  # fmt: skip


def by_an_update(user):
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize("deactivate", [by_saving, by_saving_one_field, by_the_admin, by_an_update])
def test_nothing_from_before_a_deactivation_revives(order, deactivate):
    staff = make_staff("sam", "vault.view_card", *RIGHTS)
    # One of them never asked for a page after it was begun.
    browsers, api = [sign_in(staff), sign_in(staff)], client_of(staff)
    assert not is_over(browsers[0])
    assert api.get("/api/v1/orders/").status_code == 200
    deactivate(staff)
    assert not User.objects.get(pk=staff.pk).is_active
    assert all(is_over(each) for each in browsers)
    assert api.get("/api/v1/orders/").status_code == 401
    staff = User.objects.get(pk=staff.pk)
    staff.is_active = True
    staff.save()
    assert all(is_over(each) for each in browsers)
    assert api.get("/api/v1/orders/").status_code == 401
    assert not AuthToken.objects.filter(user=staff).exists()
    assert not UserSession.objects.filter(user=staff).exists()


@pytest.mark.parametrize("is_staff", [True, False], ids=["becomes-staff", "is-staff-no-more"])
def test_nothing_is_left_of_before_somebody_became_staff_or_ceased_to_be(is_staff):
    user = make_user("sam", "vault.view_card", "orders.view_order", password=PASSWORD, is_staff=not is_staff)
    browser, api = sign_in(user), client_of(user)
    user.is_staff = is_staff
    user.save()
    assert browser.get("/orders/").status_code == 302
    assert api.get("/api/v1/orders/").status_code == 401
    assert not UserSession.objects.filter(user=user).exists()


def test_others_stay_signed_in(order):
    other, staff = sign_in(make_staff("olga", *RIGHTS)), make_staff()
    token = client_of(make_user("shop"))
    by_saving(staff)
    assert not is_over(other)
    assert token.get("/api/v1/orders/").status_code == 200


def test_a_session_is_known_whatever_began_it_and_after_its_key_has_changed(order):
    staff = make_staff("sam", *RIGHTS)
    client = Client()
    client.force_login(staff)
    client.get(ORDERS)
    new = "another horse battery"
    client.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert not is_over(client)
    assert UserSession.objects.filter(session_key=client.session.session_key).exists()
    by_saving(User.objects.get(pk=staff.pk))
    assert not Session.objects.exists()


def test_a_new_password_ends_the_other_sessions(order):
    staff = make_staff("sam", *RIGHTS)
    other = sign_in(staff)
    staff.set_password("another horse battery")
    staff.save()
    assert is_over(other)


def test_the_name_of_a_browser_is_no_place_for_a_card_number(without_screening, canary):
    digits = canary("browser")
    sign_in(make_user(password=PASSWORD), HTTP_USER_AGENT=f"Browser {digits}")
    assert digits not in UserSession.objects.get().user_agent


def test_a_card_number_where_the_name_is_cut_is_not_half_kept(without_screening, canary):
    digits, limit = canary("browser"), UserSession._meta.get_field("user_agent").max_length
    name = "B" * (limit - 13) + " " + digits
    sign_in(make_user(password=PASSWORD), HTTP_USER_AGENT=name)
    kept = UserSession.objects.get().user_agent
    assert digits[:7] not in kept
    assert len(kept) <= limit
