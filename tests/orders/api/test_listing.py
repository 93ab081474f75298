"""The list of orders: filters, orderings and pages."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orders.models import Order
from tests.cards import NUMBERS
from tests.factories import client_of, make_card, make_order, make_orders, make_user

pytestmark = pytest.mark.django_db
ORDERS = "/api/v1/orders/"
NOW = timezone.now().replace(microsecond=0)


@pytest.fixture
def shop():
    return make_user("shop")


@pytest.fixture
def api(shop):
    return client_of(shop)


@pytest.fixture
def cards():
    return [make_card(NUMBERS[brand][0]) for brand in ("visa", "amex")]


@pytest.fixture
def orders(shop, cards):
    """By name, from the oldest to the newest."""
    made = [
        make_order(shop, cards[0], name="old", amount=Decimal("10.00"), placed_at=NOW - timedelta(days=2)),
        make_order(shop, cards[1], name="mid", amount=Decimal(9), currency="USD", placed_at=NOW - timedelta(days=1)),
        make_order(shop, cards[0], name="new", amount=Decimal("100.00"), placed_at=NOW, status="cancelled"),
    ]
    make_order(make_user("other"), cards[0], name="foreign")
    return {order.name: order for order in made}


def names(api, **query):
    answer = api.get(ORDERS, query)
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()["results"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({}, ["new", "mid", "old"], id="own ones, newest first"),
        pytest.param({"status": "cancelled"}, ["new"], id="status"),
        pytest.param({"currency": "USD"}, ["mid"], id="currency"),
        pytest.param({"brand": "amex"}, ["mid"], id="brand"),
        pytest.param({"last4": NUMBERS["visa"][0][-4:]}, ["new", "old"], id="last4"),
        pytest.param({"placed_from": NOW.isoformat()}, ["new"], id="from, that moment included"),
        pytest.param({"placed_before": NOW.isoformat()}, ["mid", "old"], id="before, that moment not"),
        pytest.param({"brand": "visa", "status": "placed"}, ["old"], id="both"),
        pytest.param({"ordering": "placed_at"}, ["old", "mid", "new"], id="oldest first"),
    ],
)
def test_a_query_finds_what_it_asks_for(api, orders, query, expected):
    assert names(api, **query) == expected


def test_the_orders_of_one_card_are_found_by_its_token(api, orders, cards):
    assert names(api, token=cards[1].token) == ["mid"]


def test_no_filter_shows_the_orders_of_others(api, orders):
    assert "foreign" not in names(api, brand="visa")
    assert "foreign" in names(client_of(make_user("clerk", "orders.view_order")), brand="visa")


@pytest.mark.parametrize("ordering", ["placed_at", "-placed_at"])
def test_pages_have_each_order_once_though_all_are_alike_and_new_ones_come(api, shop, cards, ordering):
    made = make_orders(12, shop, cards[0])
    Order.objects.update(placed_at=NOW)
    seen, address = [], f"{ORDERS}?page_size=5&ordering={ordering}"
    while address:
        page = api.get(address).json()
        seen += [each["id"] for each in page["results"]]
        address = page["next"]
        # At the end from which the list is read, so that counting would go wrong.
        make_order(shop, cards[0], placed_at=NOW + timedelta(days=1 if ordering.startswith("-") else -1))
    ids = [order.public_id for order in made]
    assert seen == (ids[::-1] if ordering.startswith("-") else ids)


@pytest.mark.parametrize("ordering", ["placed_at", "-placed_at"])
def test_a_page_leads_back_to_the_one_before(api, shop, cards, ordering):
    make_orders(7, shop, cards[0])
    first = api.get(f"{ORDERS}?page_size=3&status=placed&ordering={ordering}").json()
    second = api.get(first["next"]).json()
    third = api.get(second["next"]).json()
    assert (first["previous"], third["next"], len(third["results"])) == (None, None, 1)
    assert api.get(second["previous"]).json()["results"] == first["results"]
    assert "status=placed" in second["next"]


def test_a_cursor_stays_good_when_its_order_leaves_the_filter(api, shop, cards):
    orders = make_orders(4, shop, cards[0])
    first = api.get(f"{ORDERS}?page_size=2&status=placed").json()
    Order.objects.filter(pk=orders[1].pk).update(status="cancelled")
    assert [each["id"] for each in api.get(first["next"]).json()["results"]] == [o.public_id for o in orders[2:]]


def test_a_cursor_at_the_order_of_somebody_else_is_none(api, shop, cards):
    foreign = make_order(make_user("other"), cards[0])
    answer = api.get(ORDERS, {"cursor": f"older-{foreign.public_id}"})
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (400, "cursor")


@pytest.mark.parametrize("cursor", ["", "nonsense", "older-", "older-ord_1", f"sideways-ord_{'a' * 26}", "x" * 41])
def test_a_cursor_that_is_none_is_refused(api, cursor):
    answer = api.get(ORDERS, {"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (400, "cursor")


def test_a_page_costs_the_same_however_far_down_it_is(api, shop, cards):
    make_orders(60, shop, cards[0])
    address = api.get(f"{ORDERS}?page_size=20").json()["next"]
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            address = api.get(address).json()["next"]
        counts.append(len(queries))
    assert counts[0] == counts[1]
