"""A customer with 10,000 orders: what a page costs does not depend on them, on either database."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import make_card, make_orders, make_saved_card, make_user, next_year
from tests.plans import plan_of

pytestmark = pytest.mark.django_db
MANY = 10_000
INDEX = "order_of_customer"
SEARCH = "?q=milk&status=placed&placed_from=2020-01-01"


@pytest.fixture
def customer(canary):
    customer = make_user()
    make_saved_card(customer, canary("saved"), next_year())
    make_orders(10, make_user("bob"), make_card(canary("foreign")))
    return customer


@pytest.fixture
def browser(client, customer):
    client.force_login(customer)
    # The first page of a session notes whose it is.
    client.get("/")
    return client


def listing(queries):
    """The query for a page of orders."""
    (sql,) = [query["sql"] for query in queries if re.search(r"FROM .orders_order. .*LIMIT (6|26)\b", query["sql"])]
    return sql


def test_pages_of_10_000_orders_take_the_index_and_as_many_queries_as_those_of_100(wire, browser, customer, canary):
    card, counts, plans = make_card(canary("list")), [], {}
    for count in (100, MANY - 100):
        orders, found = make_orders(count, customer, card), {}
        wire.calls.clear()
        for address in ("/", "/orders/", f"/orders/{SEARCH}", f"/orders/?before={orders[count // 2].public_id}"):
            with CaptureQueriesContext(connection) as queries:
                assert browser.get(address).status_code == 200
            found[address.split("=ord_")[0]] = len(queries)
            plans[address] = plan_of(listing(queries.captured_queries))
        counts.append(found)
        assert not wire.calls
    assert counts[0] == counts[1]
    for address, plan in plans.items():
        (step,) = [step for step in plan if "orders_order" in step.split()]
        assert INDEX in step, (address, plan)
        # Sorting would read all of a customer's orders for one page.
        assert not re.search("filesort|TEMP B-TREE", " ".join(plan)), (address, plan)
