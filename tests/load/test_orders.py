"""Trial C5: what lists, searches and exports cost does not depend on how many orders there are."""

import csv
import re
import time
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orders.models import Order
from tests.cards import CANARY_BIN, with_check_digit
from tests.factories import CONTENT, client_of, make_card, make_saved_card, make_user, next_year
from tests.load.memory import resident
from tests.load.scale import IS_FULL, scaled, tell
from tests.plans import plan_of, rows_read
from vault.admin import longlists, sheets

pytestmark = [pytest.mark.django_db(transaction=IS_FULL)]
ORDERS = scaled("LOAD_ORDERS", few=10_000, full=1_000_000)
MEGABYTE = 1024 * 1024
BATCH = 10_000
#: One order in so many is of another customer, and one is cancelled.
FOREIGN, CANCELLED = 10, 7
# As in the product, at a million: how much of a list is counted, and looked through for one page of it.
COUNTED, STRETCH = min(longlists.COUNTED, ORDERS // 100), min(longlists.STRETCH, ORDERS // 10)
# What a page looks for in the table of orders: the query that has its limit. Then rows are read by their keys.
LISTING = re.compile(r"^SELECT (?!COUNT|1 ).*\bid\b.*FROM .orders_order. .*LIMIT (6|26|51|100|101)$")
SORTED = re.compile("filesort|TEMP B-TREE FOR ORDER BY|temporary", re.IGNORECASE)
# Of few whole rows MariaDB may find it cheaper to read the table and sort it.
OF_WHOLE_ROWS = {"the admin's search", "export"}
# Rows of tables and indexes that are read for one page: some of the page, of its customers and of what is around it;
# what is counted, which is written down for that; and two stretches, of which one is the way to the end of the other.
FEW = 1_000
# Where there may be less than a page, which is not cut then.
ONE, NONE = "an order's number", "a search that finds nothing"
COUNTING = FEW + 3 * COUNTED
LOOKING = FEW + 3 * STRETCH
ADMIN, API = "/admin/orders/order/", "/api/v1/orders/"


@pytest.fixture
def digits(canary):
    # Whatever a test leaves is searched for a canary, which takes all the orders into memory.
    return with_check_digit(f"{CANARY_BIN}0000001") if IS_FULL else canary("card of many orders")


@pytest.fixture
def card(digits):
    return make_card(digits)


def place(card, customers, start, end):
    """Orders number `start` to `end`, each a minute older than the one before, as an index must find them."""
    now = timezone.now()
    for begin in range(start, end, BATCH):
        Order.objects.bulk_create(
            Order(
                customer=customers[number % FOREIGN == 0],
                card=card,
                placed_at=now - timedelta(minutes=number),
                status="cancelled" if number % CANCELLED == 0 else "placed",
                **CONTENT,
            )
            for number in range(begin, min(begin + BATCH, end))
        )
    if IS_FULL:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE TABLE orders_order" if connection.vendor == "mysql" else "ANALYZE")


def browser_of(user):
    browser = Client()
    browser.force_login(user)
    # The first page of a session notes whose it is.
    browser.get("/")
    return browser


def pages(customer, clerk, shop, count, last4):
    """By what it is: who opens it, where, and how many rows may be read for it."""
    order = Order.objects.filter(customer=customer).order_by("-placed_at")[count // 2]
    return {
        "a customer's orders": (customer, "/orders/", FEW),
        "in the middle": (customer, f"/orders/?before={order.public_id}", FEW),
        "search, every order matches": (customer, "/orders/?q=milk&status=placed", FEW),
        "search by last four": (customer, f"/orders/?q={last4}", FEW),
        "the admin's list": (clerk, ADMIN, COUNTING),
        "its middle in the admin": (clerk, f"{ADMIN}?p=older-{order.pk}", COUNTING),
        "its end in the admin": (clerk, f"{ADMIN}?p=oldest", COUNTING),
        "one state": (clerk, f"{ADMIN}?status__exact=cancelled", LOOKING),
        "one year": (clerk, f"{ADMIN}?placed_at__year={timezone.localdate().year}", COUNTING),
        "the admin's search": (clerk, f"{ADMIN}?q=milk", LOOKING),
        NONE: (clerk, f"{ADMIN}?q=teapot", LOOKING),
        ONE: (clerk, f"{ADMIN}?q={order.public_id}", FEW),
        "a customer's address": (clerk, f"{ADMIN}?q={customer.email}", COUNTING),
        "the API's list": (shop, API, FEW),
        "its middle": (shop, f"{API}?cursor=older-{order.public_id}", FEW),
        "its oldest": (shop, f"{API}?ordering=placed_at", FEW),
        "its cancelled": (shop, f"{API}?status=cancelled", FEW),
    }


def test_lists_take_the_index_and_as_many_queries_as_for_a_tenth_of_the_orders(wire, card, monkeypatch):
    monkeypatch.setattr(longlists, "COUNTED", COUNTED)
    monkeypatch.setattr(longlists, "STRETCH", STRETCH)
    customer, other = make_user("carla"), make_user("bob")
    clerk, shop = make_user("clerk", "orders.view_order", is_staff=True), make_user("shop", "orders.view_order")
    make_saved_card(customer, with_check_digit(f"{CANARY_BIN}0000002"), next_year())
    clients = {customer: browser_of(customer), clerk: browser_of(clerk), shop: client_of(shop)}
    counts, bounds = [], {}
    for start, end in ((0, ORDERS // 10), (ORDERS // 10, ORDERS)):
        place(card, (customer, other), start, end)
        calls, counted = wire.calls.copy(), {}
        for name, (who, address, bound) in pages(customer, clerk, shop, end - start, card.last4).items():
            queries, rows, took = least_of(partial(clients[who].get, address))
            counted[name], bounds[name] = len(queries), (rows, bound)
            listing = [sql for sql in queries if LISTING.search(sql)][-1:]
            assert listing or name in (ONE, NONE), name
            for sql in listing:
                assert_by_index(name, plan_of(sql))
            tell(f"{end:>9,} orders  {name:<30}{len(queries):>3} queries {rows:>9,} rows {took:>9.1f} ms")
        counts.append(counted)
        assert wire.calls == calls
    # A list that is all in one stretch is counted, one query more.
    for name, few in counts[0].items():
        assert few - 1 <= counts[1][name] <= few, name
    for name, (rows, bound) in bounds.items():
        assert rows <= bound, name


def least_of(get):
    """The queries of a request, the rows that they read, and its milliseconds.

    The fewest of three, as each minute one notes that somebody came.
    """
    tries = []
    for _ in range(3):
        began, before = time.perf_counter(), rows_read()
        with CaptureQueriesContext(connection) as queries:
            assert get().status_code == 200
        took = (time.perf_counter() - began) * 1000
        tries.append((len(queries), rows_read() - before, took, [query["sql"] for query in queries]))
    _, rows, took, queries = min(tries)
    return queries, rows, took


def assert_by_index(name, plan):
    step = next(step for step in plan if re.search(r"\borders_order\b", step))
    # Whatever it begins with it reads in the order of the list.
    assert step == plan[0], (name, plan)
    if connection.vendor == "mysql" and not IS_FULL and name in OF_WHOLE_ROWS:
        return
    assert re.search("order_of_customer|order_newest|order_of_status|order_by_last4", step), (name, plan)
    # Sorting would read all of the orders for one page.
    assert not SORTED.search(" ".join(plan)), (name, plan)


def noting(reads):
    """Notes each query for a page of an export, without keeping what it answers."""

    def note(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if re.search(rf"LIMIT {sheets._PAGE}$", sql):
            reads.append(connection.ops.last_executed_query(context["cursor"].cursor, sql, params))
        return result

    return note


def test_an_export_is_written_while_it_is_read(wire, card, monkeypatch):
    """A page is read when the one before was taken, by index; and memory does not grow."""
    # A database reads a table whole rather than a fifth of it by index.
    monkeypatch.setattr(sheets, "_PAGE", min(sheets._PAGE, ORDERS // 100))
    place(card, (make_user("carla"), make_user("bob")), 0, ORDERS)
    browser, calls = browser_of(make_user("clerk", "orders.view_order", is_staff=True)), wire.calls.copy()
    answer = browser.get(f"{ADMIN}csv/")
    assert answer.streaming
    began, sizes, reads = time.perf_counter(), [], []
    with connection.execute_wrapper(noting(reads)):
        for number, _line in enumerate(answer.streaming_content):
            assert len(reads) <= number // sheets._PAGE + 1
            if number % sheets._PAGE == 0:
                sizes.append(resident())
    tell(
        f"{number:,} orders in {time.perf_counter() - began:.1f} s, memory +{(max(sizes) - sizes[4]) / MEGABYTE:.1f} MB"
    )
    assert number == ORDERS
    assert next(csv.reader([_line.decode()]))[0] == Order.objects.order_by("placed_at").first().public_id
    for sql in (reads[0], reads[len(reads) // 2]):
        assert_by_index("export", plan_of(sql))
    # After the first two pages there is no more in memory than then, but for what the allocator does.
    assert max(sizes) - sizes[4] < 16 * MEGABYTE
    assert wire.calls == calls
