"""The SQL database fails while an order is placed (trial A8): connections closed, answers lost, deadlocks, blocked rows.

Whatever happens, the same request again ends in one order, one card and one token.
"""

import time
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from orders.models import Order, SavedCard
from tests.factories import client_of, make_card, make_user
from tests.faults import Point
from tests.faults.sql import Deadlock, held, needs_mysql, wait_briefly
from tests.orders.test_forms import filled
from tests.vault.fsck.broken import found
from vault.api import idempotency
from vault.models import Card, IdempotentRequest
from vault.tokens import Token

pytestmark = [pytest.mark.django_db(transaction=True), needs_mysql]
ORDERS, NEW = "/api/v1/orders/", "/orders/new/"
CONTENT = {"name": "Milk jug", "amount": "24.90", "currency": "EUR"}

# Each with what the first request is answered. A claim that nobody can take back holds for as long as a claim does.
FAULTS = {
    "disconnect before COMMIT of orders_order": 503,
    "lose after COMMIT of orders_order": 503,
    "disconnect before write of orders_event": 503,
    "disconnect before COMMIT of vault_card": 503,
    "lose after COMMIT of vault_card": 503,
    "disconnect before COMMIT of vault_idempotentrequest": 503,
    "lose after COMMIT of vault_idempotentrequest": 503,
    # The order is placed, and its answer cannot be kept.
    "disconnect before COMMIT of vault_idempotentrequest #2": 201,
    "lose after COMMIT of vault_idempotentrequest #2": 201,
    # One of those that lay idle, as far as the audit log can tell: it takes another one.
    "disconnect before COMMIT of vault_auditevent #2": 201,
    "lose after COMMIT of vault_auditevent #2": 503,
    "deny:1205 before write of orders_order": 503,
    "deny:1205 before write of vault_card": 503,
    "deny:1213 before write of vault_card": 503,
    "deny:1213 before write of vault_idempotentrequest": 503,
}


@pytest.fixture
def shop():
    return make_user("shop", "orders.add_order")


def send(shop_client, digits):
    answer = shop_client.post(ORDERS, CONTENT | {"pan": digits}, headers={"Idempotency-Key": "a-key"})
    # As it is between two requests of a worker.
    for each in connections.all(initialized_only=True):
        each.close_if_unusable_or_obsolete()
    return answer


def until_placed(shop_client, digits):
    """The answers to the same request, sent again until it is carried out."""
    answers = [send(shop_client, digits)]
    while answers[-1].status_code != 201:
        assert answers[-1].status_code in (409, 503), answers[-1].json()
        assert int(answers[-1].get("Retry-After", 1)) >= 1
        assert len(answers) < 5
        if answers[-1].status_code == 409:
            # Its claim is as old as a claim gets.
            IdempotentRequest.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
        answers.append(send(shop_client, digits))
    return answers


def assert_one_order(vault, token):
    keys = [item["token"]["S"] for item in vault.session.dynamodb().scan(TableName=vault.config.TABLE)["Items"]]
    assert Order.objects.get().card.token.text == token
    assert [key for key in keys if Token.is_token(key)] == [token] == [Card.objects.get().token]
    # And both stores agree.
    assert found() == ([], 0)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_request_ends_in_one_order_whatever_became_of_the_connection(faults, vault, shop, canary, fault):
    digits, api = canary("order"), client_of(shop)
    faults.add(fault)
    answers = until_placed(api, digits)
    assert answers[0].status_code == FAULTS[fault], answers[0].json()
    assert [answer.status_code for answer in answers].count(409) <= 1
    assert_one_order(vault, answers[-1].json()["card"]["token"])
    assert send(api, digits).json() == answers[-1].json()


@pytest.mark.parametrize("fault", ["disconnect before COMMIT of orders_order", "lose after COMMIT of orders_order"])
def test_what_a_lost_connection_interrupted_can_come_again_at_once(faults, vault, shop, canary, fault):
    digits, api = canary("order"), client_of(shop)
    faults.add(fault)
    assert [send(api, digits).status_code for _ in range(2)] == [503, 201]


def test_so_can_what_was_interrupted_outside_a_transaction(faults, vault, shop, canary):
    digits, api = canary("order"), client_of(shop)
    make_card(digits)
    faults.add("disconnect before COMMIT of vault_card")
    assert [send(api, digits).status_code for _ in range(2)] == [503, 201]


def test_an_order_that_is_the_victim_of_a_deadlock_is_placed_all_the_same(faults, vault, shop, canary):
    """A real one: the other transaction has the gap in the events, and wants the customer, whom the order has."""
    digits, api = canary("order"), client_of(shop)
    with Deadlock(connection, gap="orders_event", row=("auth_user", shop.pk)) as deadlock:
        faults.at(Point("after", "write of orders_order"), deadlock.want)
        answer = send(api, digits)
    assert (answer.status_code, deadlock.count) == (201, 1)
    assert faults.reached[Point("before", "write of orders_order")] == 2
    assert faults.reached[Point("before", "call TransactWriteItems")] == 1
    assert_one_order(vault, answer.json()["card"]["token"])


def test_deadlocks_without_end_are_given_up_after_three_attempts(faults, vault, shop, canary):
    digits, api = canary("order"), client_of(shop)
    faults.add("deny:1213 before write of orders_event #*")
    answer = send(api, digits)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer["Retry-After"] == "5"
    assert faults.reached[Point("before", "write of orders_event")] == 3
    assert faults.reached[Point("before", "call TransactWriteItems")] == 1
    faults.clear()
    assert_one_order(vault, until_placed(api, digits)[-1].json()["card"]["token"])


def test_an_order_whose_customer_is_locked_for_too_long_is_503_and_can_come_again(faults, vault, shop, canary):
    digits, api = canary("order"), client_of(shop)
    faults.at(Point("before", "write of orders_order"), wait_briefly)
    with held(connection, "SELECT id FROM auth_user WHERE id = %s FOR UPDATE", [shop.pk]):
        start = time.monotonic()
        answer = send(api, digits)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert time.monotonic() - start > 1
    assert_one_order(vault, until_placed(api, digits)[-1].json()["card"]["token"])


# --- Pages --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        "disconnect before COMMIT of orders_order",
        "lose after COMMIT of orders_order",
        "disconnect before COMMIT of vault_card",
        "lose after COMMIT of vault_card",
        "deny:1205 before write of orders_order",
    ],
)
def test_a_customer_sends_the_form_again_and_there_is_one_order(faults, vault, client, canary, fault):
    digits = canary("order")
    client.force_login(make_user())
    faults.add(fault)
    first = client.post(NEW, filled(number=digits))
    assert (first.status_code, first["Retry-After"]) == (503, "5")
    assert "it is ordered once" in first.text
    assert 'value="Milk jug"' in first.text
    assert digits not in first.text
    # The same mark, by which an order that was placed is found.
    form = first.context["form"]
    again = client.post(NEW, filled(number=digits, submission=str(form["submission"].value())), follow=True)
    assert again.status_code == 200
    assert f"•••• {digits[-4:]}" in again.text
    assert SavedCard.objects.count() == 1
    assert_one_order(vault, Card.objects.get().token)


def test_the_claim_of_a_request_is_longer_than_a_lock_is_waited_for():
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@innodb_lock_wait_timeout")
        (seconds,) = cursor.fetchone()
    assert timedelta(seconds=seconds) < idempotency.CLAIM
