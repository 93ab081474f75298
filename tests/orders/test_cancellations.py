"""Many orders cancelled at once in the admin: confirmed first, each for itself, and once."""

import re
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.db import DatabaseError

from orders import cancellations, services
from orders.models import Event, Order
from tests.factories import make_card, make_order, make_orders, make_user
from tests.vault.admin.visitors import signed_in

pytestmark = pytest.mark.django_db
ORDERS = "/admin/orders/order/"
CANCEL = f"{ORDERS}cancel/"


@pytest.fixture
def client():
    return signed_in(make_user("editor", "orders.view_order", "orders.change_order", is_staff=True))


@pytest.fixture
def orders(canary):
    return make_orders(3, make_user(), make_card(canary("order")))


def choose(client, orders, query=""):
    return client.post(ORDERS + query, {"action": "cancel_chosen", "_selected_action": [order.pk for order in orders]})


def confirmed(page):
    """What the form of the confirmation sends."""
    fields = re.findall(r'<input type="hidden" name="(order|submission|filters)" value="([^"]*)"', page.text)
    return {name: [unescape(value) for each, value in fields if each == name] for name, _ in fields}


def cancelled():
    return Order.objects.filter(status="cancelled").count()


def test_nothing_is_cancelled_before_it_is_confirmed(client, orders):
    services.cancel(orders[2])
    page = choose(client, orders)
    will, cannot = page.text.split("Cannot be cancelled")
    assert orders[0].public_id in will
    assert orders[1].public_id in will
    assert orders[2].public_id in cannot
    assert confirmed(page)["order"] == [str(orders[0].pk), str(orders[1].pk)]
    assert cancelled() == 1


def test_each_is_cancelled_by_the_service_and_stands_in_its_history(client, orders):
    answer = client.post(CANCEL, confirmed(choose(client, orders[:2])), follow=True)
    assert "2 orders were cancelled." in answer.text
    assert cancelled() == Event.objects.filter(type="order.cancelled").count() == 2
    assert sorted(LogEntry.objects.values_list("object_repr", flat=True)) == sorted(o.public_id for o in orders[:2])


def test_sent_twice_it_is_done_once(client, orders):
    form = confirmed(choose(client, orders[:2]))
    client.post(CANCEL, form)
    before = list(Order.objects.values())
    client.post(CANCEL, form)
    assert list(Order.objects.values()) == before
    assert Event.objects.filter(type="order.cancelled").count() == LogEntry.objects.count() == 2


def test_what_was_cancelled_meanwhile_is_said(client, orders):
    form = confirmed(choose(client, orders))
    services.cancel(orders[0])
    page = client.post(CANCEL, form, follow=True).text
    assert "2 orders were cancelled." in page
    assert "1 order was cancelled already." in page


def test_one_that_fails_leaves_the_others_cancelled(client, orders, monkeypatch):
    form, real = confirmed(choose(client, orders)), cancellations.services.cancel

    def fail(order, **options):
        if order.pk == orders[1].pk:
            raise DatabaseError
        return real(order, **options)

    monkeypatch.setattr(cancellations.services, "cancel", fail)
    page = client.post(CANCEL, form, follow=True).text
    assert "2 orders were cancelled." in page
    assert "1 order could not be cancelled now. Try again." in page
    assert cancelled() == 2


def test_the_list_comes_back_as_it_was_filtered(client, orders):
    page = choose(client, orders, "?status__exact=placed&q=milk")
    assert client.post(CANCEL, confirmed(page))["Location"] == f"{ORDERS}?status__exact=placed&q=milk"


@pytest.mark.parametrize("filters", ["//evil.example", "https://evil.example/", "\r\nLocation: x"])
def test_it_leads_nowhere_else(client, filters):
    answer = client.post(CANCEL, {"filters": filters})
    assert answer["Location"].startswith(f"{ORDERS}?")


@pytest.mark.parametrize(
    "write", [str, lambda digits: "".join(f"%{ord(digit):x}" for digit in digits)], ids=["plain", "%34"]
)
def test_a_card_number_among_the_filters_is_not_in_the_address(client, canary, write):
    assert client.post(CANCEL, {"filters": f"q={write(canary('filters'))}"})["Location"] == ORDERS


def test_filters_without_end_still_lead_to_the_list_once_orders_are_cancelled(client, orders):
    answer = client.post(CANCEL, {"order": [orders[0].pk], "filters": "&" * 2_000})
    assert (answer.status_code, answer["Location"]) == (302, ORDERS)
    assert cancelled() == 1


def test_all_rows_of_a_page_are_chosen_and_cancelled(client, orders):
    """As a browser sends them, with the other fields of the two forms: within Django's limit to fields."""
    page = [*orders, *make_orders(97, orders[0].customer, orders[0].card)]
    asked = {"action": "cancel_chosen", "select_across": "0", "index": "0", "csrfmiddlewaretoken": "x"}
    answer = client.post(ORDERS, asked | {"_selected_action": [order.pk for order in page]})
    assert answer.status_code == 200
    client.post(CANCEL, confirmed(answer) | {"csrfmiddlewaretoken": "x"})
    assert cancelled() == 100


def test_more_than_is_read_by_a_person_is_refused(client, orders, monkeypatch):
    monkeypatch.setattr(cancellations, "MOST", 2)
    chosen = {"action": "cancel_chosen", "_selected_action": [orders[0].pk], "select_across": "1", "index": "0"}
    assert "At most 2 orders" in client.post(ORDERS, chosen, follow=True).text
    assert "At most 2 orders" in client.post(CANCEL, {"order": [order.pk for order in orders]}, follow=True).text
    assert cancelled() == 0


def test_where_nothing_can_be_cancelled_there_is_no_page(client, orders):
    for order in orders:
        services.cancel(order)
    answer = client.post(ORDERS, {"action": "cancel_chosen", "_selected_action": [orders[0].pk]}, follow=True)
    assert "None of the chosen orders can be cancelled." in answer.text


def test_keys_that_are_none_are_passed_over(client, orders):
    answer = client.post(CANCEL, {"order": ["x", "9" * 30, "-1"], "submission": "x"}, follow=True)
    assert "None of the chosen orders can be cancelled." in answer.text
    assert cancelled() == 0


def test_a_name_is_escaped(client, canary):
    order = make_order(make_user(), make_card(canary("order")), name="<script>alert(1)</script>")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in choose(client, [order]).text


def test_it_takes_the_right_to_change_orders_and_a_post(orders):
    clerk = signed_in(make_user("clerk", "orders.view_order", is_staff=True))
    assert "cancel_chosen" not in clerk.get(ORDERS).text
    assert "Cancel these orders" not in choose(clerk, orders).text
    assert clerk.post(CANCEL, {"order": [orders[0].pk]}).status_code == 403
    assert clerk.get(CANCEL).status_code == 405
    assert cancelled() == 0
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("address", [ORDERS, CANCEL])
def test_a_card_number_among_the_chosen_is_no_key(client, canary, django_assert_max_num_queries, address):
    digits = canary("key")
    with django_assert_max_num_queries(20) as queries:
        answer = client.post(address, {"action": "export_chosen", "_selected_action": [digits], "order": [digits]})
    assert answer.status_code == 302
    assert not any(digits in each["sql"] for each in queries.captured_queries)
