"""The pages of the feed in a real browser. `SCREENSHOTS=folder pytest tests/orders/feed/test_feed_browser.py` keeps them."""

import os
from pathlib import Path

import pytest
from django.test import Client
from playwright.sync_api import expect, sync_playwright

from orders import services
from orders.feed import sending
from orders.feed.models import Delivery, Endpoint
from tests.factories import make_user
from tests.orders.feed.consumers import consumer
from tests.orders.feed.making import make_endpoint, place
from tests.test_reveal_browser import CHROMIUM

__all__ = ["consumer"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
SCREENSHOTS = os.environ.get("SCREENSHOTS")
PAGES = ["endpoint", "event", "delivery"]


def shoot(page, name):
    if SCREENSHOTS:
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 700})
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{width}.png")


def test_what_became_of_an_event_is_seen_and_it_is_sent_again(live_server, consumer, canary, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    shop, client, complaints = make_user("shop"), Client(), []
    make_endpoint(shop, f"{consumer.url}/500")
    services.cancel(place(shop, canary("order")))
    sending.run()
    Endpoint.objects.update(url=f"{consumer.url}/204")
    rights = ("view_endpoint", "view_event", "view_order", "view_delivery", "change_delivery")
    client.force_login(make_user("clerk", *(f"orders.{right}" for right in rights), is_staff=True))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        context = browser.new_context(base_url=live_server.url)
        context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        for name in PAGES:
            page.goto(f"/admin/orders/{name}/")
            shoot(page, f"{name}s")
            page.locator("#result_list tbody th a").first.click()
            page.locator(".field-created_at, .field-log").first.wait_for()
            shoot(page, name)
        page.set_viewport_size({"width": 1280, "height": 700})
        page.goto("/admin/orders/delivery/")
        page.locator("#action-toggle").check()
        page.locator("select[name=action]").select_option("send_again")
        page.locator("button[name=index]").click()
        expect(page.get_by_text("2 deliveries will be sent again.")).to_be_visible()
        shoot(page, "sent-again")
        browser.close()
    assert sending.run().delivered == Delivery.objects.filter(state="delivered").count() == 2
    assert complaints == []
