"""The order form and the pages of cards in a real Chromium: nothing of a card is kept, and everything is in order."""

import re

import pytest
from playwright.sync_api import expect

from orders.models import Order, SavedCard
from tests.browsers import DESKTOP, PHONE, check_page, shoot
from tests.cards import NUMBERS
from tests.factories import last_month, make_orders, make_saved_card, make_user, next_year
from tests.leaks import Sink

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
NEW = "/orders/new/"
AMEX = NUMBERS["amex"][0]


@pytest.fixture
def customer():
    return make_user()


@pytest.fixture
def page(visit, customer, complaints):
    """A new order, its card fields in view; the console must have said nothing by the end."""
    page = visit(customer)
    page.goto(NEW)
    yield page
    assert complaints == []


def left_behind(page):
    """Everything in which a browser keeps something of a page, but for the page itself."""
    return page.evaluate(
        """() => JSON.stringify([location.href, document.title, history.state, {...localStorage}, {...sessionStorage},
        document.cookie])"""
    )


# --- The form -------------------------------------------------------------------------------------------------------


def fill(page, digits, **changes):
    page.get_by_label("What do you order?").fill(changes.get("name", "Milk jug"))
    page.get_by_label("Amount").fill(changes.get("amount", "24.90"))
    page.get_by_label("Card number").fill(digits)
    page.get_by_label("Expiry date").fill(f"{next_year():%m/%y}")


def test_two_clicks_are_one_order_and_it_says_that_the_card_is_saved(page, canary):
    digits = canary("order")
    fill(page, digits)
    page.get_by_role("button", name="Place order").dblclick()
    expect(page.get_by_text("Your order is placed.")).to_be_visible()
    expect(page.get_by_text(f"Visa •••• {digits[-4:]} is saved for your next order.")).to_be_visible()
    assert Order.objects.count() == 1
    assert SavedCard.objects.get().is_default


def test_nothing_of_the_card_is_kept_by_the_browser(page, canary, leaks):
    fill(page, canary("order"))
    page.get_by_role("button", name="Place order").click()
    page.get_by_text("Your order is placed.").wait_for()
    leaks.record(Sink.BROWSER, [page.content(), left_behind(page)], "page of the order")
    page.go_back()
    assert page.get_by_label("Card number").input_value() == ""
    assert page.get_by_label("Expiry date").input_value() == ""
    expect(page.locator(".card-brand")).to_have_text("")
    leaks.record(Sink.BROWSER, [page.content(), left_behind(page)], "page after Back")


def test_a_refused_form_leads_to_what_is_wrong_and_keeps_the_rest(page, canary, leaks):
    fill(page, canary("order"), amount="")
    page.get_by_label("Currency").select_option("CHF")
    page.get_by_label("Keep this card").uncheck()
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("alert").get_by_role("link", name="Amount")).to_have_attribute("href", "#id_amount")
    expect(page.get_by_label("Amount")).to_be_focused()
    assert page.title().startswith("Error: ")
    assert page.get_by_label("What do you order?").input_value() == "Milk jug"
    assert page.get_by_label("Currency").input_value() == "CHF"
    assert not page.get_by_label("Keep this card").is_checked()
    assert page.get_by_label("Card number").input_value() == page.get_by_label("Expiry date").input_value() == ""
    assert page.get_by_text("Please type them again.").is_visible()
    leaks.record(Sink.BROWSER, [page.content(), left_behind(page)], "refused form")
    assert not Order.objects.exists()


def test_without_javascript_an_order_is_placed_and_a_refusal_leads_to_the_field(visit, customer, canary):
    page = visit(customer, java_script_enabled=False)
    page.goto(NEW)
    fill(page, canary("refused")[:-1])
    page.get_by_role("button", name="Place order").click()
    page.get_by_role("alert").get_by_role("link", name="Card number").click()
    assert page.url.endswith("#id_number")
    assert page.locator(".field.wrong").get_by_text("This card number has the wrong number of digits.").is_visible()
    fill(page, canary("order"))
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_text("Your order is placed.")).to_be_visible()
    assert Order.objects.count() == 1


# --- Every page of cards --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_every_page_of_cards_is_in_order(visit, customer, complaints, canary, width):
    saved = make_saved_card(customer, canary("saved"), next_year())
    SavedCard.objects.filter(pk=saved.pk).update(nickname="Team card", default_of=customer)
    make_saved_card(customer, canary("over"), last_month())
    order = make_orders(30, customer, saved.card)[0]
    page = visit(customer, width=width)
    address = f"/cards/{saved.token}/"
    pages = {
        "cards": "/cards/",
        "card": address,
        "card-remove": f"{address}remove/",
        "new-order": NEW,
        "pay-again": f"/orders/{order.public_id}/pay-again/",
    }
    for name, path in pages.items():
        page.goto(path)
        shoot(page, f"{name}-{width}")
        check_page(page)
    page.goto(NEW)
    page.get_by_label("A new card").check()
    page.get_by_label("Card number").fill(AMEX[:-1])
    page.get_by_label("Expiry date").fill("13")
    page.get_by_label("Amount").focus()
    shoot(page, f"new-order-hints-{width}")
    check_page(page)
    page.get_by_role("button", name="Place order").click()
    page.get_by_role("alert").wait_for()
    shoot(page, f"new-order-refused-{width}")
    check_page(page)
    assert complaints == []


def test_a_card_is_named_chosen_and_removed(visit, customer, complaints, canary):
    first, second = (make_saved_card(customer, canary(name), next_year()) for name in ("first", "second"))
    SavedCard.objects.filter(pk=first.pk).update(default_of=customer)
    page = visit(customer)
    page.goto("/cards/")
    expect(page.locator(".wallet li").first).to_contain_text(first.card.last4)
    page.get_by_role("link", name=str(second), exact=True).click()
    page.get_by_role("textbox", name="Name").fill("Travel")
    page.get_by_role("button", name="Save the name").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Travel")
    page.get_by_role("button", name="Make it the default").click()
    expect(page.get_by_text("This card is offered first from now on.")).to_be_visible()
    page.goto(NEW)
    expect(page.get_by_role("radio", name=re.compile("Travel"))).to_be_checked()
    page.goto("/cards/")
    page.get_by_role("link", name=f"Remove {second}").click()
    page.get_by_role("button", name="Remove card").click()
    expect(page.get_by_text("The card is removed.")).to_be_visible()
    assert SavedCard.objects.get().is_default
    assert complaints == []
