"""What orders bring to the start page of the admin."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from orders.models import Delivery, Endpoint, Event
from tests.factories import make_card, make_order, make_user
from tests.vault.admin.visitors import signed_in

pytestmark = pytest.mark.django_db
CONSOLE = "/admin/"


@pytest.fixture
def place(card):
    """`place(ago)` makes an order of that time."""
    kept, customer = make_card(card("visa")).token, make_user()
    return lambda ago: make_order(customer, kept, placed_at=timezone.now() - ago)


def staff(*rights):
    return signed_in(make_user("sam", *(f"orders.{right}" for right in rights), is_staff=True))


def counted(page, label):
    address, number = re.search(rf'<a href="([^"]+)"><strong>([^<]+)</strong> <span>{label}</span>', page).groups()
    return int(number), address.replace("&amp;", "&")


def test_orders_are_counted_and_each_count_leads_to_its_orders(place):
    for back in (0, 0, 1, 6, 7, 29, 30):
        place(timedelta(days=back))
    client = staff("view_order")
    page = client.get(CONSOLE).text
    for label, number in (("Orders today", 2), ("Orders in 7 days", 4)):
        found, address = counted(page, label)
        assert found == number
        assert len(client.get(address).context["cl"].result_list) == number
    found = [int(number) for number in re.findall(r'</th><td class="console-number">(\d+)</td>', page)]
    assert (found[0], found[1], found[6], found[7], found[29], sum(found)) == (2, 1, 1, 1, 1, 6)


def test_the_highest_bar_of_the_drawing_is_the_day_with_the_most(place):
    for back in (0, 0, 3, 3, 3, 3, 9):
        place(timedelta(days=back))
    page = staff("view_order").get(CONSOLE).text
    heights = [
        int(height) for height in re.findall(r'class="console-bar" x="\d+" y="\d+" width="8" height="(\d+)"', page)
    ]
    assert (heights[29], heights[26], heights[20], sum(heights)) == (500, 1000, 250, 1750)


def test_without_orders_it_says_so():
    assert "There is nothing to show yet." in staff("view_order").get(CONSOLE).text


@pytest.mark.parametrize("rights", [(), ("view_savedcard",), ("view_delivery",)])
def test_whoever_may_not_view_all_orders_sees_nothing_of_them(place, rights):
    place(timedelta(0))
    page = staff(*rights).get(CONSOLE).text
    assert "Orders today" not in page
    assert "Orders per day" not in page


@pytest.mark.parametrize(("minutes", "state"), [(0, "good"), (14, "good"), (16, "attention")])
def test_webhooks_that_nobody_sends_are_pointed_out(minutes, state):
    endpoint = Endpoint.objects.create(account=make_user(), url="https://example.com/")
    event = Event.objects.create(type="order.placed", subject="x", payload={})
    due = timezone.now() - timedelta(minutes=minutes)
    Delivery.objects.create(event=event, endpoint=endpoint, next_at=due)
    client = staff("view_delivery")
    page = client.get(CONSOLE).text
    row = page.partition(">Webhooks</a>")[2].partition("</tr>")[0]
    assert f"console-{state}" in row
    address = re.search(r'href="([^"]+)">Webhooks<', page).group(1).replace("&amp;", "&")
    assert len(client.get(address).context["cl"].result_list) == (state == "attention")


def test_webhooks_are_for_those_who_may_view_deliveries():
    assert ">Webhooks<" not in staff("view_order").get(CONSOLE).text
