"""Lists taken away as CSV: without digits, without formulas, on record first, and not held in memory."""

import csv
import gc
import io

import pytest
from django.db import DatabaseError

from orders.models import Order
from tests.factories import make_card, make_order, make_orders, make_user
from tests.vault.admin.visitors import signed_in, strangers
from vault.admin import sheets
from vault.models import AuditEvent

pytestmark = pytest.mark.django_db
ORDERS, CARDS = "/admin/orders/order/", "/admin/vault/card/"
HEADING = ["order", "placed_at", "customer", "name", "amount", "currency", "status", "brand", "last4"]


@pytest.fixture
def clerk():
    return make_user("clerk", "orders.view_order", "vault.view_card", is_staff=True)


@pytest.fixture
def client(clerk):
    return signed_in(clerk)


def read(answer):
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


def exports(outcome="done"):
    return AuditEvent.objects.filter(operation="list.export", outcome=outcome)


def test_orders_leave_with_brand_and_last_four_and_without_digits_or_token(wire, client, canary):
    card = make_card(canary("order"))
    order = make_order(make_user(), card)
    wire.calls.clear()
    answer = client.get(f"{ORDERS}csv/")
    heading, row = read(answer)
    assert heading == HEADING
    assert row[0] == order.public_id
    assert row[2:] == ["ada@example.com", "Milk jug", "24.90", "EUR", "placed", "visa", card.last4]
    assert card.token not in "".join(row)
    assert "no-store" in answer["Cache-Control"]
    assert answer["Content-Disposition"].startswith('attachment; filename="order-20')
    assert not wire.calls


def test_cards_leave_masked(wire, client, canary):
    card = make_card(canary("card"))
    wire.calls.clear()
    _, row = read(client.get(f"{CARDS}csv/"))
    assert row[:5] == [card.token, "visa", card.last4, "", "active"]
    assert not wire.calls


def test_the_filters_and_the_search_of_the_list_count(client, canary):
    card, ada = make_card(canary("order")), make_user()
    make_order(ada, card, name="Milk jug")
    make_order(ada, card, name="Milk can", status="cancelled")
    make_order(ada, card, name="Grinder")
    assert (
        f'href="{ORDERS}csv/?q=milk&amp;status__exact=placed"'
        in client.get(f"{ORDERS}?q=milk&status__exact=placed").text
    )
    _, *rows = read(client.get(f"{ORDERS}csv/?q=milk&status__exact=placed"))
    assert [row[3] for row in rows] == ["Milk jug"]


def test_what_was_chosen_is_exported_alone(client, clerk, canary):
    orders = make_orders(3, make_user(), make_card(canary("order")))
    answer = client.post(ORDERS, {"action": "export_chosen", "_selected_action": [orders[0].pk, orders[2].pk]})
    assert [row[0] for row in read(answer)[1:]] == [orders[0].public_id, orders[2].public_id]
    event = exports().get()
    assert (event.actor, event.details["chosen"]) == (
        str(clerk.pk),
        [str(order.pk) for order in (orders[0], orders[2])],
    )


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_a_cell_that_begins_as_a_formula_is_text(begin):
    assert sheets.cell(f"{begin}1+1") == f"'{begin}1+1"
    assert sheets.cell(f"a{begin}1") == f"a{begin}1"


def test_a_formula_in_a_name_leaves_as_text_and_in_quotes(client, canary):
    make_order(make_user(), make_card(canary("order")), name='=HYPERLINK("https://example.com";"pay")')
    body = b"".join(client.get(f"{ORDERS}csv/").streaming_content).decode()
    assert body.startswith("\ufeff")
    assert '''"'=HYPERLINK(""https://example.com"";""pay"")"''' in body


def test_it_is_recorded_with_the_filters_before_the_first_row_is_read(client, clerk, canary, django_assert_num_queries):
    make_order(make_user(), make_card(canary("order")))
    answer = client.get(f"{ORDERS}csv/?status__exact=placed")
    event = exports().get()
    assert (event.actor, event.subject) == (str(clerk.pk), "list:orders.order")
    assert event.details == {"filters": {"status__exact": ["placed"]}, "rows": 1}
    # The rows, and whose they are.
    with django_assert_num_queries(2):
        read(answer)


def test_what_cannot_be_recorded_is_not_exported(client, canary, monkeypatch):
    make_order(make_user(), make_card(canary("order")))

    def fail(event, **options):
        raise DatabaseError

    monkeypatch.setattr(AuditEvent, "save", fail)
    answer = client.get(f"{ORDERS}csv/")
    assert answer.status_code == 503
    assert b"Milk jug" not in answer.content


STRANGE = [case for case in strangers.args[1] if case[1] == 302]


@pytest.mark.parametrize(("who", "status"), [*STRANGE, (lambda: make_user("carl", is_staff=True), 403)])
@pytest.mark.parametrize("address", [f"{ORDERS}csv/", f"{CARDS}csv/"])
def test_strangers_get_no_row_and_staff_are_recorded(canary, who, status, address):
    make_order(make_user(), make_card(canary("order")))
    client, user = signed_in(make_user("other")), who()
    if user:
        client.force_login(user)
    else:
        client.logout()
    answer = client.get(address)
    assert answer.status_code == status
    assert not answer.streaming
    assert not exports().exists()
    assert exports("denied").count() == (status == 403)


def test_a_card_number_among_the_filters_exports_nothing(client, canary):
    answer = client.get(f"{ORDERS}csv/?q={canary('filter')}")
    assert (answer.status_code, answer["Location"]) == (302, f"{ORDERS}csv/")
    assert not exports().exists()


def test_filters_that_are_none_lead_back_to_the_list(client):
    answer = client.get(f"{ORDERS}csv/?placed_at__gte=never")
    assert (answer.status_code, answer["Location"]) == (302, ORDERS)
    assert not exports().exists()


def test_every_row_comes_once_in_pages_by_the_newest(client, canary, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(sheets, "_PAGE", 7)
    orders = make_orders(30, make_user(), make_card(canary("order")))
    same = orders[10].placed_at
    Order.objects.filter(pk__in=[order.pk for order in orders[10:25]]).update(placed_at=same)
    answer = client.get(f"{ORDERS}csv/")
    # For each page its rows, and whose they are.
    with django_assert_num_queries(10):
        rows = read(answer)[1:]
    assert len(rows) == len({row[0] for row in rows}) == 30
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), reverse=True)


def test_no_more_than_a_page_or_two_is_in_memory(client, canary, monkeypatch):
    monkeypatch.setattr(sheets, "_PAGE", 50)
    make_orders(600, make_user(), make_card(canary("order")))
    gc.collect()
    alive = []
    for number, _ in enumerate(client.get(f"{ORDERS}csv/").streaming_content):
        if number % 100 == 99:
            alive.append(sum(type(each) is Order for each in gc.get_objects()))
    assert number == 600
    assert max(alive) <= 2 * 50
