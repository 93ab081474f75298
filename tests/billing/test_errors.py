"""Error pages: what they say and to whom, that they need nothing which may be broken, and that programs get problems."""

import json

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import Error, InterfaceError, OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing import errors
from orders.models import Order
from tests.billing.people import make_staff
from tests.factories import make_card, make_order, make_user
from vault.exceptions import AuditUnavailable, VaultSealed, VaultUnavailable
from vault.middleware import unavailable

NAVIGATION = 'aria-label="Main"'

PAGES = {
    "400": (lambda request: errors.bad_request(request, Exception("secret")), 400, "Bad request"),
    "403": (lambda request: errors.permission_denied(request, PermissionDenied("secret")), 403, "Not allowed"),
    "csrf": (lambda request: errors.csrf_failure(request, "secret"), 403, "Please try again"),
    "404": (lambda request: errors.not_found(request, Exception("secret")), 404, "Not found"),
    "429": (errors.too_many_requests, 429, "Too many requests"),
    "500": (errors.server_error, 500, "Something went wrong"),
    "mail": (errors.mail_unavailable, 503, "No mail can be sent now"),
    "503": (lambda request: unavailable(request, VaultSealed()), 503, "Not possible now"),
}


@pytest.mark.parametrize("page", PAGES)
def test_each_says_what_happened_and_where_to_go_without_a_query(rf, page):
    handler, status, title = PAGES[page]
    # No database: this test has none, and pytest-django refuses every query.
    answer = handler(rf.get("/orders/"))
    assert answer.status_code == status
    assert f"<h1>{title}</h1>" in answer.text
    assert f"<title>{title} · Billing</title>" in answer.text
    assert 'href="/"' in answer.text
    assert "secret" not in answer.text
    assert "no-store" in answer["Cache-Control"]
    assert NAVIGATION not in answer.text


@pytest.mark.django_db
@pytest.mark.parametrize("page", sorted(PAGES.keys() - {"500"}))
def test_who_is_known_keeps_the_navigation_at_no_query(rf, page):
    request = rf.get("/orders/")
    request.user = request._cached_user = make_user()
    with CaptureQueriesContext(connection) as queries:
        answer = PAGES[page][0](request)
    assert NAVIGATION in answer.text
    assert "My orders" in answer.text
    assert len(queries) == 0


@pytest.mark.parametrize("page", sorted(PAGES.keys() - {"csrf", "429", "503"}))
def test_programs_get_a_problem_and_no_page(rf, page):
    answer = PAGES[page][0](rf.get("/api/v1/orders/"))
    assert answer["Content-Type"] == "application/problem+json"
    assert "secret" not in answer.text


@pytest.mark.django_db
def test_a_page_that_is_not_there_sends_customers_and_staff_different_ways(client):
    client.force_login(make_user())
    customer = client.get("/nowhere/")
    client.force_login(make_staff())
    staff = client.get("/nowhere/")
    assert customer.status_code == staff.status_code == 404
    assert "Your orders and cards are where they were" in customer.text
    assert 'href="/admin/"' not in customer.text
    assert "Look for it in the admin" in staff.text
    assert 'href="/admin/"' in staff.text
    assert "sign in to see what is yours" in Client().get("/nowhere/").text


@pytest.mark.django_db
def test_the_page_names_the_request(client):
    answer = client.get("/nowhere/")
    assert answer["Request-Id"] in answer.text


@pytest.mark.django_db
def test_without_a_database_there_is_a_page(client):
    client.force_login(make_user())
    client.raise_request_exception = False

    def refuse(*_):
        raise OperationalError("gone away")

    with connection.execute_wrapper(refuse):
        answer = client.get("/orders/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "Our database does not answer" in answer.text
    assert answer["Request-Id"] in answer.text
    assert "gone away" not in answer.text


@pytest.mark.parametrize("error", [OperationalError("gone away"), InterfaceError("closed")])
def test_programs_learn_that_the_database_is_away_wherever_it_was_missed(rf, error):
    try:
        raise error
    except Error:
        answer = errors.server_error(rf.get("/api/v1/orders/"))
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert json.loads(answer.text)["code"] == "database_unavailable"
    assert str(error) not in answer.text


@pytest.mark.parametrize(
    ("error", "retry_after", "sentence"),
    [
        (AuditUnavailable(), None, "the log cannot be written"),
        (VaultSealed(), None, "cannot be opened at the moment"),
        (VaultUnavailable(), "5", "does not answer this very moment"),
    ],
    ids=["audit", "sealed", "unavailable"],
)
def test_what_is_away_is_said_and_when_it_is_worth_another_try(rf, error, retry_after, sentence):
    request = rf.get("/orders/")
    request.user = AnonymousUser()
    answer = unavailable(request, error)
    assert sentence in answer.text
    assert answer.get("Retry-After") == retry_after


@pytest.mark.django_db
def test_orders_and_cards_are_read_while_the_vault_is_sealed(wire, client, canary):
    customer = make_user()
    order = make_order(customer, make_card(canary("order")))
    client.force_login(customer)
    wire.fail("Decrypt", "AccessDeniedException")
    wire.fail("GetItem", "AccessDeniedException")
    wire.fail("TransactWriteItems", "AccessDeniedException")
    before = wire.calls.copy()
    for address in ("/", "/orders/", f"/orders/{order.public_id}/", "/cards/", "/orders/new/"):
        assert client.get(address).status_code == 200, address
    assert wire.calls == before
    assert Order.objects.get().card == order.card
