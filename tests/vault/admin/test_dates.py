"""Years, months and days above the lists of staff, and what these lists cost when there is much in them."""

import re
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders.models import Order, SavedCard
from tests.factories import make_card, make_order, make_orders, make_user
from tests.plans import plan_of, wait_until_measured
from vault.models import Card
from vault.tokens import Token

pytestmark = pytest.mark.django_db
ORDERS, CARDS = "/admin/orders/order/", "/admin/vault/card/"
MANY = 10_000


@pytest.fixture
def clerk(client):
    rights = ("orders.view_order", "vault.view_card", "vault.view_auditevent")
    client.force_login(make_user("clerk", *rights, is_staff=True))
    return client


@pytest.fixture
def customer():
    return make_user("carl")


@pytest.fixture
def stored(canary):
    return make_card(canary("dates"))


def placed(customer, card, *days):
    for day in days:
        make_order(customer, card, placed_at=datetime(*day, 12, tzinfo=UTC))


def offered(client, query=""):
    """What stands above the list: the way back and the choices."""
    nav = client.get(f"{ORDERS}?{query}").text.partition('<nav class="toplinks">')[2].partition("</nav>")[0]
    return [re.sub("<.*?>|&lsaquo;", "", line).strip() for line in nav.splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("query", "choices"),
    [
        ("", ["2024", "2025", "2026"]),
        ("placed_at__year=2024", ["All dates", "November 2024", "December 2024"]),
        ("placed_at__year=2026&placed_at__month=1", ["2026", "January 1", "January 2"]),
        ("placed_at__year=2026&placed_at__month=1&placed_at__day=2", ["January 2026", "January 2"]),
        ("placed_at__year=1999", ["All dates"]),
        ("placed_at__month=1", ["2024", "2025", "2026"]),
        ("placed_at__year=2024&placed_at__day=3", ["All dates", "November 2024", "December 2024"]),
    ],
)
def test_offered_is_what_there_may_be(clerk, customer, stored, query, choices):
    placed(customer, stored, (2024, 11, 30), (2026, 1, 2))
    assert offered(clerk, query) == choices


def test_nothing_to_choose_between_is_no_step(clerk, customer, stored):
    assert offered(clerk) == []
    placed(customer, stored, (2026, 1, 2), (2026, 1, 4))
    assert offered(clerk) == ["2026", "January 2", "January 3", "January 4"]


@pytest.mark.parametrize("query", ["placed_at__day=31", "placed_at__day=99", "placed_at__month=2&placed_at__day=30"])
def test_a_day_of_no_year_is_no_step_of_the_only_month(clerk, customer, stored, query):
    placed(customer, stored, (2026, 2, 2), (2026, 2, 3))
    assert offered(clerk, query) == ["2026", "February 2", "February 3"]


def test_a_choice_leads_to_its_rows_and_keeps_the_other_filters(clerk, customer, stored):
    placed(customer, stored, (2024, 11, 30), (2026, 1, 2), (2026, 1, 3))
    page = clerk.get(f"{ORDERS}?q=milk&placed_at__year=2026&placed_at__month=1")
    (address,) = re.findall(r'<a href="([^"]+)">January 2</a>', page.text)
    found = clerk.get(ORDERS + address.replace("&amp;", "&"))
    assert "q=milk" in address
    assert [row.placed_at.day for row in found.context["cl"].result_list] == [2]


@pytest.mark.parametrize(
    "query",
    [
        "gte=0001-01-01T00:00:00%2B14:00",
        "year=9999",
        "year=9999&{}month=12",
        "year=x",
        "year=0",
        "year=2026&{}month=13",
        "year=2026&{}day=32",
    ],
)
@pytest.mark.parametrize(
    ("address", "column"), [(ORDERS, "placed_at"), (CARDS, "created_at"), ("/admin/vault/auditevent/", "time")]
)
def test_what_is_no_date_leads_back_to_the_list(clerk, address, column, query):
    answer = clerk.get(f"{address}?{column}__{query.format(column + '__')}")
    assert (answer.status_code, answer["Location"]) == (302, f"{address}?e=1")


def many(customer, card):
    make_orders(MANY, customer, card)
    own = {"brand": "visa", "last4": card.last4, "item_version": 1, "item_digest": ""}
    cards = Card.objects.bulk_create(Card(token=Token.generate().text, **own) for _ in range(MANY))
    SavedCard.objects.bulk_create(
        SavedCard(customer=customer, card=Token.parse(each.token), card_brand="visa", card_last4=card.last4)
        for each in cards
    )


def test_a_long_list_is_neither_read_whole_nor_sorted_for_one_page(wire, clerk, customer, stored):
    many(customer, stored)
    wire.calls.clear()
    for address, model in ((ORDERS, Order), (CARDS, Card)):
        with CaptureQueriesContext(connection) as queries:
            assert clerk.get(address).status_code == 200
        wait_until_measured(model)
        asked = [each["sql"] for each in queries.captured_queries if f"FROM {quoted(model)}" in each["sql"]]
        # All but the count, which an index answers.
        for sql in (each for each in asked if "COUNT(*)" not in each):
            steps = " ".join(plan_of(sql))
            assert "LIMIT" in sql, sql
            assert not re.search("filesort|TEMP B-TREE FOR ORDER BY", steps), (sql, steps)
    assert not wire.calls


def test_who_saved_a_card_is_found_by_index(customer, stored):
    many(customer, stored)
    with CaptureQueriesContext(connection) as queries:
        assert not SavedCard.objects.filter(card=Token.parse(stored.token)).exclude(customer=customer).exists()
    assert "saved_card_by_card" in " ".join(plan_of(queries.captured_queries[0]["sql"]))


def quoted(model):
    return connection.ops.quote_name(model._meta.db_table)
