import pytest
from django.db import connection

from orders.models import Order
from tests.factories import make_card, make_order, make_orders, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def orders(canary):
    return make_orders(7, make_user(), make_card(canary("lists")))


def ids(rows):
    return [row.public_id for row in rows]


def test_older_pages_meet_without_a_gap_or_a_repetition(orders):
    first = Order.objects.all().page(size=3)
    second = Order.objects.all().page(size=3, before=first.orders[-1])
    third = Order.objects.all().page(size=3, before=second.orders[-1])
    assert ids(first.orders + second.orders + third.orders) == ids(orders)
    assert [(page.has_newer, page.has_older) for page in (first, second, third)] == [
        (False, True),
        (True, True),
        (True, False),
    ]


def test_newer_pages_lead_back(orders):
    page = Order.objects.all().page(size=3, after=orders[6])
    assert ids(page.orders) == ids(orders[3:6])
    assert (page.has_newer, page.has_older) == (True, True)
    assert not Order.objects.all().page(size=3, after=orders[3]).has_newer


def test_orders_of_the_same_moment_are_told_apart(orders):
    Order.objects.update(placed_at=orders[0].placed_at)
    page, seen = Order.objects.all().page(size=2), []
    while page.orders:
        seen += ids(page.orders)
        page = Order.objects.all().page(size=2, before=page.orders[-1])
    assert sorted(seen) == sorted(ids(orders))


def test_an_order_that_changes_while_a_page_is_read_is_left_out_and_the_page_still_has_a_next(orders):
    def cancel(execute, sql, *rest):
        if " IN (" in sql:
            # Rows are asked for: their keys are known.
            Order.objects.filter(pk=orders[0].pk).update(status="cancelled")
        return execute(sql, *rest)

    with connection.execute_wrapper(cancel):
        page = Order.objects.matching(status="placed").page(size=3)
    assert (ids(page.orders), page.has_older) == (ids(orders[1:3]), True)


def test_everybody_sees_their_own_and_the_right_shows_all(canary):
    card = make_card(canary("lists"))
    ada, bob, clerk = make_user(), make_user("bob"), make_user("clerk", "orders.view_order")
    make_order(ada, card)
    make_order(bob, card)
    assert [order.customer for order in Order.objects.visible_to(ada)] == [ada]
    assert Order.objects.visible_to(clerk).count() == 2
