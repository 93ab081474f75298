"""What the page of an order says has happened to it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from orders import services
from orders.models import Order
from orders.timeline import MOST_REPEATS, Happening, timeline
from tests.factories import make_order, make_saved_card, make_user
from vault.models import Card

pytestmark = pytest.mark.django_db
PLACED, PAID, REPEATED, CANCELLED, ERASED = Happening
START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def customer():
    return make_user()


@pytest.fixture
def order(customer, canary):
    return make_order(customer, make_saved_card(customer, canary("order")).card, placed_at=START)


@pytest.fixture
def page(client, customer, order):
    client.force_login(customer)
    return lambda each=order: client.get(reverse("orders:detail", args=[each.public_id]))


def again(order, days):
    return make_order(
        order.customer, order.card, name="Once more", repeat_of=order, placed_at=START + timedelta(days=days)
    )


def erase(order, at=None):
    Card.objects.filter(token=order.card.token.text).update(status="erased", erased_at=at)


def happened(order):
    return [entry.what for entry in timeline(Order.objects.for_list().get(pk=order.pk))]


def test_an_order_is_placed_and_paid(order, page):
    assert happened(order) == [PLACED, PAID]
    assert f"Paid with {order.card}" in page().text
    assert page().text.count('<time datetime="2026-03-01T09:30:00+00:00">') == 2


def test_what_happened_later_stands_below(order, page):
    repeat = again(order, days=2)
    services.cancel(order)
    erase(order, START + timedelta(days=1))
    assert happened(order) == [PLACED, PAID, ERASED, REPEATED, CANCELLED]
    assert happened(repeat) == [ERASED, PLACED, PAID]
    text = page().text
    assert "The number of the card was erased." in text
    assert '<time datetime="2026-03-02T09:30:00+00:00">' in text


def test_an_order_and_its_repetition_lead_to_each_other(order, page):
    repeat = again(order, days=2)
    (there,) = [entry for entry in timeline(order) if entry.what is REPEATED]
    assert (there.other, there.when) == (repeat, repeat.placed_at)
    assert f'<a href="/orders/{repeat.public_id}/">Once more</a>' in page().text
    assert f'Placed as a repetition of <a href="/orders/{order.public_id}/">{order.name}</a>' in page(repeat).text


def test_of_many_repetitions_the_newest_are_listed(order):
    repeats = [again(order, days=number + 1) for number in range(MOST_REPEATS + 2)]
    entries = timeline(order)
    assert [entry.other for entry in entries[2:]] == repeats[2:]


def test_an_erasure_of_which_nobody_knows_the_day_stands_last(order, page):
    erase(order)
    services.cancel(order)
    assert happened(order) == [PLACED, PAID, CANCELLED, ERASED]
    assert "Date unknown" in page().text


def test_it_costs_the_same_for_ten_repetitions_as_for_one_and_asks_nothing_of_aws(
    wire, order, page, django_assert_max_num_queries
):
    counts, erased_at = [], timezone.now()
    page()
    for number in (1, 9):
        for day in range(number):
            again(order, days=day + 1)
        erase(order, erased_at)
        wire.calls.clear()
        with django_assert_max_num_queries(12) as queries:
            assert page().status_code == 200
        counts.append(len(queries))
        assert not wire.calls
    assert counts[0] == counts[1]
