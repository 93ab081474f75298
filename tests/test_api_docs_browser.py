"""The description of the API in a real browser, under the policy that every page has."""

import re

import pytest
from playwright.sync_api import expect

from tests.browsers import check_page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def page(visit):
    page = visit()
    page.goto("/api/docs/")
    return page


def opened(page, name):
    operation = page.locator(f"#{name}")
    operation.locator("summary").click()
    return operation


def test_operations_are_listed_and_unfold(page, complaints):
    expect(page.locator(".operation")).to_have_count(12)
    operation = opened(page, "tokenize")
    expect(operation.get_by_text("Idempotency-Key").first).to_be_visible()
    expect(operation.get_by_text("Takes the right").first).to_be_visible()
    check_page(page)
    assert complaints == []


def test_the_page_is_to_read_and_asks_for_no_token_and_no_number(page):
    opened(page, "tokenize")
    expect(page.locator("input, textarea, form, script")).to_have_count(0)


def test_errors_are_explained_in_pages_that_lead_to_each_other(page, complaints):
    page.get_by_role("link", name="Errors", exact=True).click()
    page.get_by_role("link", name="card_erased").click()
    expect(page).to_have_url(re.compile("/api/problems/card_erased$"))
    expect(page.get_by_text("410 Gone")).to_be_visible()
    assert complaints == []
