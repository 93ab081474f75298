"""The queue of exports in a real browser: every column is whole beside the filter."""

import pytest
from django.test import Client
from playwright.sync_api import sync_playwright

from tests.test_reveal_browser import CHROMIUM
from tests.vault.exporting import ada, ask, bob, cleo, configured, digits, kept

__all__ = ["ada", "bob", "cleo", "configured", "digits", "kept"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def page(live_server, bob, monkeypatch):
    # Playwright's own loop makes Django believe that this thread is asynchronous.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    client = Client()
    client.force_login(bob)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        context = browser.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 700})
        context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
        yield context.new_page()
        browser.close()


def test_every_column_of_the_queue_is_whole(kept, ada, page):
    asked = ask(ada)
    type(asked).objects.update(recipient="Payment Services International", ticket="OPS-2026-00417", state="running")
    page.goto("/admin/vault/exportrequest/")
    headings = [text.lower() for text in page.locator("#result_list thead .text").all_inner_texts()]
    assert headings == ["number", "recipient", "state", "purpose", "ticket", "requested"]
    right, edge = page.evaluate(
        """() => [document.querySelector('#result_list').getBoundingClientRect().right,
        document.querySelector('#changelist-filter').getBoundingClientRect().left]"""
    )
    assert right <= edge
