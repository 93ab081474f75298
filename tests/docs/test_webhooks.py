"""What docs/webhooks.md tells consumers to do, done with what is really sent."""

import json
import re
from pathlib import Path

import pytest

from orders.feed import deliveries, endpoints, sending, signing
from orders.feed.models import Delivery, Event
from tests.factories import make_user
from tests.orders.feed.consumers import consumer
from tests.orders.feed.making import make_endpoint, place

__all__ = ["consumer"]
pytestmark = pytest.mark.django_db
TEXT = (Path(__file__).parents[2] / "docs/webhooks.md").read_text()


def block(language):
    return re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)[1]


@pytest.fixture
def is_genuine():
    names = {}
    exec(block("python"), names)  # noqa: S102 - that it runs is what the document promises
    return names["is_genuine"]


@pytest.fixture
def got(consumer, canary):
    shop = make_user("shop")
    make_endpoint(shop, f"{consumer.url}/204")
    place(shop, canary("order"))
    sending.run()
    return consumer.got[0]


def test_what_is_sent_after_a_rotation_is_genuine_by_either_secret(got, consumer, is_genuine):
    endpoint = Event.objects.get().deliveries.get().endpoint
    before = signing.shown_secret(endpoint)
    endpoints.rotate(endpoint)
    deliveries.send_again(Delivery.objects.all())
    sending.run()
    again = consumer.got[1]
    assert is_genuine(again.headers, again.body, before)
    assert is_genuine(again.headers, again.body, signing.shown_secret(endpoint))


@pytest.mark.parametrize("spoiled", ["nothing", "body", "id", "secret", "old"])
def test_what_was_changed_on_the_way_is_not(got, is_genuine, spoiled):
    secret = signing.shown_secret(Event.objects.get().deliveries.get().endpoint)
    headers, body = dict(got.headers), got.body
    match spoiled:
        case "body":
            body += b" "
        case "id":
            headers["webhook-id"] = "evt_other"
        case "secret":
            secret = "whsec_" + "A" * 43 + "="
        case "old":
            headers["webhook-timestamp"] = "1614265330"
    assert is_genuine(headers, body, secret) is (spoiled == "nothing")


def test_the_example_has_the_fields_that_are_sent(got):
    example = json.loads(block("json"))
    assert example.keys() == got.event.keys()
    assert example["data"].keys() == got.event["data"].keys()
    assert example["data"]["card"].keys() == got.event["data"]["card"].keys()
    assert all(f"`{kind}`" in TEXT for kind in Event.Type.values)
