"""The last days, told apart by the database: at their ends, in any time zone."""

from datetime import datetime, time, timedelta

import pytest
from django.db.models import Count
from django.utils import timezone

from orders.models import Order
from tests.factories import make_card, make_order, make_user
from vault.admin.console.days import SHOWN, LastDays

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata"])
def zone(request):
    """The time zone of the project: days begin when they begin there."""
    with timezone.override(request.param):
        yield


@pytest.fixture
def place(card):
    """`place(moment)` makes an order of that moment."""
    kept, customer = make_card(card("visa")).token, make_user()
    return lambda moment: make_order(customer, kept, placed_at=moment)


def numbers():
    days = LastDays()
    placed = Order.objects.filter(days.within("placed_at")).annotate(day=days.number_of("placed_at"))
    return dict(placed.order_by().values_list("day").annotate(number=Count("*")))


def midnight(back=0):
    today = timezone.localdate() - timedelta(days=back)
    return timezone.make_aware(datetime.combine(today, time.min))


def test_a_day_begins_at_midnight_and_ends_before_the_next(zone, place):
    for moment in (midnight(), midnight(-1) - timedelta(microseconds=1), midnight() - timedelta(microseconds=1)):
        place(moment)
    assert numbers() == {SHOWN - 1: 2, SHOWN - 2: 1}


def test_what_is_older_or_of_tomorrow_is_not_there(zone, place):
    for moment in (midnight(SHOWN - 1), midnight(SHOWN - 1) - timedelta(microseconds=1), midnight(-1)):
        place(moment)
    assert numbers() == {0: 1}


def test_days_without_anything_are_in_the_series():
    days = LastDays(3)
    assert [count for _, count in days.series([(2, 5), (2, 1), (0, 4)])] == [4, 0, 6]
    assert days.dates[-1] == timezone.localdate()
