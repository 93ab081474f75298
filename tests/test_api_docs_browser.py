"""The description of the API in a real browser, under the policy that every page has."""

import re

import pytest
from playwright.sync_api import expect, sync_playwright

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture
def complaints():
    """What the console said: a violation of the policy among it."""
    return []


@pytest.fixture
def page(live_server, complaints, monkeypatch):
    # Playwright's own loop makes Django believe that this thread is asynchronous.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        context = browser.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        browser.close()


def opened(page, name):
    page.goto("/api/docs/")
    operation = page.locator(f"#operations-tokens-{name}")
    operation.locator(".opblock-summary-control").click()
    expect(operation.get_by_role("heading", name="Responses")).to_be_visible()
    return operation


def test_operations_are_listed_and_unfold_under_the_strict_policy(page, complaints):
    operation = opened(page, "tokenize")
    expect(page.locator(".opblock-summary")).to_have_count(12)
    expect(operation.get_by_text("Idempotency-Key").first).to_be_visible()
    expect(operation.get_by_text("Takes the right").first).to_be_visible()
    assert complaints == []


def test_the_page_is_to_read_and_asks_for_no_token_and_no_number(page, complaints):
    operation = opened(page, "tokenize")
    expect(page.get_by_role("button", name=re.compile("try it out|authorize|execute", re.IGNORECASE))).to_have_count(0)
    expect(operation.locator("input:enabled, textarea:enabled")).to_have_count(0)
    assert (
        page.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])") == '[{},{},""]'
    )
    assert complaints == []


def test_errors_are_explained_in_pages_that_lead_to_each_other(page, complaints):
    page.goto("/api/docs/")
    page.get_by_role("link", name="Errors", exact=True).click()
    page.get_by_role("link", name="card_erased").click()
    expect(page).to_have_url(re.compile("/api/problems/card_erased$"))
    expect(page.get_by_text("410 Gone")).to_be_visible()
    assert complaints == []
