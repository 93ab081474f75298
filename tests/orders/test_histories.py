"""The history of an order: what customers, the API and staff did, masked."""

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders import services
from orders.models import Order
from tests.cards import NUMBERS
from tests.factories import make_card, make_order, make_user
from tests.vault.admin.visitors import signed_in
from vault import services as vault
from vault.redaction import redact

pytestmark = pytest.mark.django_db
ORDERS = "/admin/orders/order/"


@pytest.fixture
def order(wire, canary):
    return make_order(make_user(), make_card(canary("order")))


@pytest.fixture
def editor():
    return make_user("editor", "orders.view_order", "orders.change_order", is_staff=True)


@pytest.fixture
def client(editor):
    return signed_in(editor)


def history(order):
    return f"{ORDERS}{order.pk}/history/"


def lines(page):
    """The cells of each line but its time."""
    rows = page.text.split("<tbody>")[1].split("</tbody>")[0].split("<tr>")[1:]
    return [[cell.split("</td>")[0] for cell in row.split("<td>")[1:]] for row in rows]


def cancel_in_admin(client, order):
    client.post(f"{ORDERS}cancel/", {"order": [order.pk]})


def test_it_says_who_did_what_in_order(client, order, wire):
    wire.calls.clear()
    client.post(f"{ORDERS}{order.pk}/change/", {"name": "Milk jug, blue", "description": "Half a liter"})
    cancel_in_admin(client, order)
    assert lines(client.get(history(order))) == [
        ["ada", "Placed."],
        ["editor", "Changed Name."],
        ["editor", "Cancelled."],
    ]
    assert not wire.calls


def test_a_cancellation_elsewhere_is_said_to_be_one(client, order):
    services.cancel(order)
    assert lines(client.get(history(order)))[-1] == ["-", "Cancelled by the customer, or through the API."]


def test_repetitions_lead_to_each_other(client, order):
    repeat = Order.objects.create(
        customer=order.customer, card=order.card, name="Again", amount="1.00", currency="EUR", repeat_of=order
    )
    assert f"Placed once more as {repeat.public_id}." in client.get(history(order)).text
    assert f"Placed as a repetition of {order.public_id}." in client.get(history(repeat)).text
    assert f'href="{ORDERS}{repeat.pk}/change/"' in client.get(history(order)).text


def test_an_erased_card_is_said(client, order):
    vault.erase(order.card.token, actor=make_user("sue", "vault.erase_card"), reason="Asked for it")
    assert lines(client.get(history(order)))[-1] == ["-", "The card is no longer on file."]


def test_what_came_into_the_table_past_every_form_is_masked(client, order, editor):
    kind, digits = ContentType.objects.get_for_model(Order), NUMBERS["visa"][0]
    LogEntry.objects.create(
        user=editor, content_type=kind, object_id=order.pk, action_flag=CHANGE, change_message=f"card {digits}"
    )
    page = client.get(history(order))
    assert digits not in page.text
    assert lines(page)[-1] == ["editor", f"card {redact(digits)}"]


def test_it_costs_the_same_however_much_there_is(client, order):
    client.get(history(order))
    with CaptureQueriesContext(connection) as few:
        client.get(history(order))
    for number in range(5):
        client.post(f"{ORDERS}{order.pk}/change/", {"name": f"Jug {number}", "description": ""})
    with CaptureQueriesContext(connection) as many:
        client.get(history(order))
    assert len(few) == len(many)


def test_it_takes_the_right_to_see_orders(order):
    stranger = signed_in(make_user("carl", is_staff=True))
    answer = stranger.get(history(order))
    assert answer.status_code == 403
    assert "Placed." not in answer.text
    assert signed_in(make_user("root", "orders.view_order", is_staff=True)).get(history_of_none()).status_code == 404


def history_of_none():
    return f"{ORDERS}999/history/"


def test_an_order_leads_to_its_card_and_customer_for_those_who_may_go_there(client, order):
    token = order.card.token.text
    card_page, customer_page = (
        f"/admin/vault/card/{token.replace('_', '_5F')}/change/",
        f"/auth/user/{order.customer_id}/",
    )
    page = client.get(f"{ORDERS}{order.pk}/change/").text
    assert token in page
    assert card_page not in page
    assert customer_page not in page
    boss = make_user("boss", "orders.view_order", "vault.view_card", "auth.view_user", is_staff=True)
    page = signed_in(boss).get(f"{ORDERS}{order.pk}/change/").text
    assert card_page in page
    assert customer_page in page
