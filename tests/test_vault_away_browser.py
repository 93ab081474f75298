"""What a customer sees while the vault is away: everything that was ordered, and why a new order waits."""

import pytest
from playwright.sync_api import expect

from orders.models import Order
from tests.browsers import PHONE, check_page, shoot
from tests.cards import grouped
from tests.factories import make_card, make_order, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_history_stays_and_a_new_order_says_why_it_waits(wire, visit, canary):
    customer, digits = make_user(), canary("order")
    old = make_order(customer, make_card(canary("earlier order")), name="Coffee beans")
    page = visit(customer, reduced_motion="reduce")
    wire.fail("TransactWriteItems", "AccessDeniedException")
    wire.fail("Decrypt", "AccessDeniedException")
    for address in ("/", "/orders/", f"/orders/{old.public_id}/"):
        page.goto(address)
        expect(page.locator("main")).to_contain_text("Coffee beans")
    page.goto("/orders/new/")
    page.get_by_label("What do you order?").fill("Milk jug")
    page.get_by_label("Amount").fill("24.90")
    page.get_by_label("Card number").fill(grouped(digits, " "))
    page.get_by_label("Expiry date").fill("08/39")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("alert")).to_contain_text("Cards cannot be charged at the moment. Nothing was ordered.")
    assert page.get_by_label("What do you order?").input_value() == "Milk jug"
    assert page.get_by_label("Amount").input_value() == "24.90"
    assert page.get_by_label("Card number").input_value() == ""
    for width in (1280, PHONE):
        page.set_viewport_size({"width": width, "height": 800})
        check_page(page)
        shoot(page, f"vault-away-{width}")
        page.emulate_media(color_scheme="dark")
        shoot(page, f"vault-away-{width}-dark")
    assert Order.objects.get() == old
