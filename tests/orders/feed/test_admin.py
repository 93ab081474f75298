import pytest

from orders.feed import sending
from orders.feed.models import Delivery, Endpoint, Event
from orders.feed.signing import shown_secret
from tests.factories import make_user
from tests.orders.feed.consumers import consumer
from tests.orders.feed.making import make_endpoint, place
from vault.models import AuditEvent

__all__ = ["consumer"]
pytestmark = pytest.mark.django_db
ENDPOINTS, EVENTS, DELIVERIES = (f"/admin/orders/{name}/" for name in ("endpoint", "event", "delivery"))
RIGHTS = {ENDPOINTS: ["view_endpoint"], EVENTS: ["view_event", "view_order"], DELIVERIES: ["view_delivery"]}
MODELS = {ENDPOINTS: Endpoint, EVENTS: Event, DELIVERIES: Delivery}
LISTS = list(RIGHTS)


@pytest.fixture
def delivery(consumer, canary):
    shop = make_user("shop")
    make_endpoint(shop, f"{consumer.url}/500?key=consumers-own-key")
    place(shop, canary("order"))
    sending.run()
    return Delivery.objects.select_related("event", "endpoint").get()


def sign_in(client, *rights):
    client.force_login(make_user("clerk", *(f"orders.{right}" for right in rights), is_staff=True))


@pytest.mark.parametrize("address", LISTS)
def test_what_is_seen_with_the_right(client, delivery, address):
    sign_in(client, *RIGHTS[address])
    detail = f"{address}{MODELS[address].objects.get().pk}/change/"
    for page in (client.get(address).text, client.get(detail).text):
        assert {EVENTS: delivery.event, ENDPOINTS: delivery.endpoint, DELIVERIES: delivery.event}[
            address
        ].public_id in page
        assert shown_secret(delivery.endpoint).removeprefix("whsec_") not in page
        assert "consumers-own-key" not in page
        assert 'name="_save"' not in page


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize("rights", [[], ["view_order"], ["view_event"], ["change_delivery"]], ids=str)
def test_nothing_is_seen_without_it(client, delivery, address, rights):
    sign_in(client, *rights)
    for path in (address, f"{address}{MODELS[address].objects.get().pk}/change/"):
        answer = client.get(path)
        assert answer.status_code == 403
        assert delivery.event.public_id not in answer.text


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize("act", ["add/", "{}/delete/"])
def test_nothing_is_added_or_deleted_even_by_a_superuser(admin_client, delivery, address, act):
    path = address + act.format(MODELS[address].objects.get().pk)
    assert admin_client.get(path).status_code == admin_client.post(path, {"post": "yes"}).status_code == 403
    assert MODELS[address].objects.count() == 1


def send_again(client, delivery):
    return client.post(DELIVERIES, {"action": "send_again", "_selected_action": [delivery.pk]}, follow=True)


def test_the_log_is_on_the_page_of_a_delivery(client, delivery):
    sign_in(client, "view_delivery")
    page = client.get(f"{DELIVERIES}{delivery.pk}/change/").text
    assert "<td>500</td>" in page
    assert "what a consumer answered" not in page


def test_who_may_has_it_sent_again(client, delivery):
    Delivery.objects.update(state="failed")
    sign_in(client, "view_delivery", "change_delivery")
    assert "1 delivery will be sent again." in send_again(client, delivery).text
    assert Delivery.objects.get().state == "pending"
    event = AuditEvent.objects.get(operation="webhook.resend", outcome="done")
    assert (event.actor_name, event.details) == ("clerk", {"deliveries": 1})


def test_who_may_only_look_has_nothing_sent_again(client, delivery):
    Delivery.objects.update(state="failed")
    sign_in(client, "view_delivery")
    assert "Send again" not in client.get(DELIVERIES).text
    send_again(client, delivery)
    assert Delivery.objects.get().state == "failed"
    assert not AuditEvent.objects.filter(operation="webhook.resend").exists()


def test_what_cannot_be_recorded_is_not_sent_again(client, delivery, monkeypatch):
    Delivery.objects.update(state="failed")
    sign_in(client, "view_delivery", "change_delivery")
    client.get(DELIVERIES)
    monkeypatch.setattr("vault.audit.events._logger.disabled", True)
    send_again(client, delivery)
    assert Delivery.objects.get().state == "failed"


@pytest.mark.parametrize("address", LISTS)
def test_a_list_costs_the_same_for_100_rows_as_for_10(client, delivery, django_assert_max_num_queries, address):
    sign_in(client, *RIGHTS[address])
    order, account, counts = delivery.event.order, delivery.endpoint.account, []
    client.get(address)
    for more in (10, 90):
        for number in range(more):
            endpoint = make_endpoint(account, "https://shop.example/hook")
            event = Event.objects.create(type="order.placed", subject=f"{more} {number}", order=order, payload={})
            Delivery.objects.create(event=event, endpoint=endpoint)
        with django_assert_max_num_queries(20) as queries:
            client.get(address)
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("address", LISTS)
def test_a_card_number_in_a_search_reaches_no_sql(client, delivery, canary, django_assert_max_num_queries, address):
    sign_in(client, *RIGHTS[address])
    digits = canary("search")
    with django_assert_max_num_queries(10) as queries:
        assert client.get(f"{address}?q={digits}").status_code == 302
    assert not any(digits in each["sql"] for each in queries.captured_queries)
