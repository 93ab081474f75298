import json
import uuid

import pytest
from django.db import DatabaseError, connection, transaction
from rest_framework.renderers import JSONRenderer

from orders import services
from orders.api.serializers import OrderSerializer
from orders.exceptions import OrderNotCancellable
from orders.feed import events
from orders.feed.models import Event
from orders.models import Order
from tests.factories import client_of, make_user
from tests.orders.feed.making import place

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer():
    return make_user()


def break_table(name):
    """From here on no row gets into this table, whoever writes it."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {name} RENAME TO {name}_away")


def test_each_thing_that_happens_to_an_order_is_an_event(customer, canary):
    order = place(customer, canary("order"))
    repeat = services.pay_again(order, card=order.card.token)
    services.cancel(order)
    found = list(Event.objects.order_by("id").values_list("type", "order__public_id", "subject"))
    assert found == [
        ("order.placed", order.public_id, f"order.placed:{order.public_id}"),
        ("order.paid_again", repeat.public_id, f"order.paid_again:{repeat.public_id}"),
        ("order.cancelled", order.public_id, f"order.cancelled:{order.public_id}"),
    ]


@pytest.mark.parametrize("kind", ["placed", "cancelled"])
def test_the_content_is_what_the_api_shows(customer, canary, kind):
    order = place(customer, digits := canary("order"))
    if kind == "cancelled":
        services.cancel(order)
    event = Event.objects.get(type=f"order.{kind}")
    assert event.payload == client_of(customer).get(f"/api/v1/orders/{order.public_id}/").json()
    assert event.payload == json.loads(JSONRenderer().render(OrderSerializer(Order.objects.get()).data))
    assert event.payload["card"]["last4"] == digits[-4:]
    assert digits.encode() not in event.body


def test_the_same_form_twice_is_one_event(customer, canary):
    submission, digits = uuid.uuid4(), canary("order")
    for _ in range(2):
        place(customer, digits, submission=submission)
    assert Event.objects.count() == 1


def test_a_second_cancellation_is_no_second_event(customer, canary):
    order = place(customer, canary("order"))
    services.cancel(order)
    with pytest.raises(OrderNotCancellable):
        services.cancel(order)
    assert Event.objects.filter(type="order.cancelled").count() == 1


@pytest.mark.django_db(transaction=True)
class TestBothOrNeither:
    """On a database that commits: what the one half cannot store the other half does not keep."""

    @pytest.fixture(autouse=True)
    def mended(self):
        yield
        with connection.cursor() as cursor:
            for name in connection.introspection.table_names():
                if name.endswith("_away"):
                    cursor.execute(f"ALTER TABLE {name} RENAME TO {name.removesuffix('_away')}")

    def test_without_the_event_there_is_no_order(self, customer, canary):
        break_table("orders_event")
        with pytest.raises(DatabaseError):
            place(customer, canary("order"))
        assert not Order.objects.exists()

    def test_without_the_event_nothing_is_cancelled(self, customer, canary):
        order = place(customer, canary("order"))
        break_table("orders_event")
        with pytest.raises(DatabaseError):
            services.cancel(order)
        assert Order.objects.get().status == "placed"

    @pytest.mark.parametrize("table", ["orders_order", "orders_savedcard"])
    def test_without_the_order_there_is_no_event(self, customer, canary, table):
        break_table(table)
        with pytest.raises(DatabaseError):
            place(customer, canary("order"))
        assert not Event.objects.exists()

    def test_what_is_rolled_back_around_it_never_happened(self, customer, canary):
        order = place(customer, canary("order"))
        with transaction.atomic():
            services.cancel(order)
            transaction.set_rollback(True)
        assert list(Event.objects.values_list("type", flat=True)) == ["order.placed"]

    def test_an_event_outside_of_a_transaction_is_refused(self, customer, canary):
        order = place(customer, canary("order"))
        with pytest.raises(transaction.TransactionManagementError):
            events.publish(Event.Type.ORDER_CANCELLED, order)
        assert Event.objects.count() == 1
