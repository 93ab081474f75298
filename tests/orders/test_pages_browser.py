"""The order pages in a real browser, for axe-core and at both widths; what a browser does before anything is sent."""

import pytest
from playwright.sync_api import expect

from orders import services
from orders.models import Order
from tests.browsers import DESKTOP, PHONE, check_page, shoot
from tests.factories import last_month, make_card, make_order, make_orders, make_saved_card, make_user
from tests.leaks import Sink
from vault.models import Card

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def customer():
    return make_user()


@pytest.fixture
def order(customer, canary):
    """One that was repeated and cancelled, and whose card is erased."""
    order = make_order(customer, make_card(canary("order")), name="Milk jug, blue")
    make_order(customer, make_saved_card(customer, canary("again"), last_month()).card, repeat_of=order)
    services.cancel(order)
    Card.objects.filter(token=order.card.token.text).update(status="erased", erased_at=order.cancelled_at)
    return order


def addresses(order):
    newest = Order.objects.newest_first().first()
    return {
        "overview": "/",
        "orders": "/orders/",
        "orders-searched": "/orders/?q=milk&status=cancelled",
        "orders-refused": "/orders/?q=milk&placed_from=2026-03-02&placed_to=2026-03-01",
        "orders-none": "/orders/?q=teapot",
        "orders-end": f"/orders/?after={newest.public_id}",
        "order": f"/orders/{order.public_id}/",
        "order-repeated": f"/orders/{newest.public_id}/",
        "cancel": f"/orders/{newest.public_id}/cancel/",
        "receipt": f"/orders/{order.public_id}/receipt/",
    }


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_every_page_can_be_used_by_everybody(visit, customer, order, complaints, width):
    make_orders(26, customer, order.card)
    page, titles = visit(customer, width=width), set()
    for name, address in addresses(order).items():
        page.goto(address)
        check_page(page)
        shoot(page, f"{name}-{width}")
        titles.add(page.title())
    # Those of the two orders are their names, which can be the same; the end of a list is a list.
    assert len(titles) >= len(addresses(order)) - 2
    assert complaints == []


@pytest.mark.parametrize("scripts", [True, False])
def test_a_search_takes_no_scripts_and_goes_on_at_the_orders(visit, customer, order, scripts):
    page = visit(customer, java_script_enabled=scripts)
    page.goto("/orders/")
    page.get_by_role("searchbox").fill("blue")
    page.get_by_label("Status").select_option("Cancelled")
    page.get_by_role("button", name="Show orders").click()
    expect(page.get_by_role("status")).to_have_text("1 order found")
    assert page.url.endswith("/orders/?q=blue&status=cancelled&placed_from=&placed_to=#found")
    # The first Tab goes to the first order, past the search and the bar.
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Milk jug, blue")).to_be_focused()


def test_a_browser_does_not_send_a_card_number_that_was_typed_into_the_search(visit, customer, order, leaks, canary):
    digits = canary("search")
    page, sent = visit(customer), []
    page.goto("/orders/")
    page.on("request", lambda request: sent.append(request.url))
    for spelled in (digits, " ".join(digits), f"paid with {digits[:4]} {digits[4:8]}-{digits[8:12]} - {digits[12:]}"):
        page.get_by_role("searchbox").fill(spelled)
        page.get_by_role("button", name="Show orders").click()
    assert [address for address in sent if "/static/" not in address] == []
    assert page.url.endswith("/orders/")
    for harmless in (order.public_id, order.card.last4, "50 x 70, 12345678901"):
        page.get_by_role("searchbox").fill(harmless)
        page.get_by_role("button", name="Show orders").click()
        page.wait_for_url("**/orders/?q=*")
    leaks.record(Sink.BROWSER, sent, "requests")


def test_a_receipt_is_printed_by_a_button_where_scripts_run(visit, customer, order):
    page = visit(customer)
    page.goto(f"/orders/{order.public_id}/receipt/")
    page.evaluate("() => { window.print = () => { document.title = 'printed'; } }")
    expect(page.get_by_text("choose Print in the menu")).to_be_hidden()
    page.get_by_role("button", name="Print").click()
    assert page.title() == "printed"


def test_without_scripts_a_sentence_says_how_to_print(visit, customer, order):
    page = visit(customer, java_script_enabled=False)
    page.goto(f"/orders/{order.public_id}/receipt/")
    expect(page.get_by_text("choose Print in the menu")).to_be_visible()
    expect(page.get_by_role("button", name="Print")).to_be_hidden()


@pytest.mark.parametrize("address", ["/orders/", "/orders/{}/", "/orders/{}/receipt/"])
def test_paper_is_black_on_white_without_what_can_only_be_clicked(visit, customer, order, address):
    # As wide as A4 between its margins.
    page = visit(customer, width=672, color_scheme="dark")
    page.goto(address.format(order.public_id))
    page.emulate_media(media="print", color_scheme="dark")
    for gone in (".bar", ".foot", ".order-search", ".actions", ".button", "button"):
        assert not any(each.is_visible() for each in page.locator(gone).all())
    color, ground = page.evaluate(
        "() => { const style = getComputedStyle(document.body); return [style.color, style.backgroundColor] }"
    )
    assert (color, ground) == ("rgb(0, 0, 0)", "rgb(255, 255, 255)")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    shoot(page, f"paper{address.format('order').replace('/', '-')}")
