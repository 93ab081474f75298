"""The pages of the feed in a real browser. `SCREENSHOTS=folder pytest tests/orders/feed/test_feed_browser.py` keeps them."""

import pytest
from playwright.sync_api import expect

from orders import services
from orders.feed import sending
from orders.feed.models import Delivery, Endpoint
from tests.browsers import DESKTOP, PHONE, shoot
from tests.factories import make_user
from tests.orders.feed.consumers import consumer
from tests.orders.feed.making import make_endpoint, place

__all__ = ["consumer"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
PAGES = ["endpoint", "event", "delivery"]
RIGHTS = ("view_endpoint", "view_event", "view_order", "view_delivery", "change_delivery")


def shoot_both(page, name):
    for width in (PHONE, DESKTOP):
        page.set_viewport_size({"width": width, "height": 700})
        shoot(page, f"{name}-{width}")


def test_what_became_of_an_event_is_seen_and_it_is_sent_again(visit, consumer, canary, complaints):
    shop = make_user("shop")
    make_endpoint(shop, f"{consumer.url}/500")
    services.cancel(place(shop, canary("order")))
    sending.run()
    Endpoint.objects.update(url=f"{consumer.url}/204")
    page = visit(make_user("clerk", *(f"orders.{right}" for right in RIGHTS), is_staff=True))
    for name in PAGES:
        page.goto(f"/admin/orders/{name}/")
        shoot_both(page, f"{name}s")
        page.locator("#result_list tbody th a").first.click()
        page.locator(".field-created_at, .field-log").first.wait_for()
        shoot_both(page, name)
    page.goto("/admin/orders/delivery/")
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option("send_again")
    page.locator("button[name=index]").click()
    expect(page.get_by_text("2 deliveries will be sent again.")).to_be_visible()
    shoot_both(page, "sent-again")
    assert sending.run().delivered == Delivery.objects.filter(state="delivered").count() == 2
    assert complaints == []
