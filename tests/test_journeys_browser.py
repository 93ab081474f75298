"""The ways that most people go, from end to end in a real browser, on a desk and on a phone.

`SCREENSHOTS=docs/screenshots pytest tests/test_journeys_browser.py` takes the pictures of the documentation.
"""

import re

import pytest
from django.core import mail
from playwright.sync_api import expect

from orders.models import Order, SavedCard
from tests.browsers import DESKTOP, PHONE, check_page, left_behind
from tests.cards import grouped
from tests.factories import make_order, make_saved_card, make_user, next_year
from tests.leaks import Sink
from tests.vault.admin.identity import FRESH
from vault.models import AuditEvent, Card, RevealRequest

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
PASSWORD = "correct horse battery"
widths = pytest.mark.parametrize("width", [DESKTOP, PHONE])


def sign_up(page, email):
    page.goto("/accounts/signup/")
    check_page(page)
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    page.locator("main button[type=submit]").first.click()
    page.get_by_label("Code").wait_for()
    check_page(page)
    code = re.search(r"[A-Z]{4}-[A-Z]{4}", mail.outbox[-1].body).group()
    page.get_by_label("Code").fill(code)
    page.locator("main button[type=submit]").first.click()
    page.get_by_role("heading", name="Overview").wait_for()


def order(page, name, amount):
    page.goto("/orders/new/")
    page.get_by_label("What do you order?").fill(name)
    page.get_by_label("Amount").fill(amount)


def place(page):
    page.get_by_role("button", name="Place order").click()
    page.get_by_text("Your order is placed.").wait_for()
    check_page(page)


@widths
def test_a_stranger_signs_up_orders_orders_again_and_removes_the_card(visit, complaints, canary, leaks, width):
    page, digits = visit(width=width), canary("typed card")
    sign_up(page, "eve@example.com")
    check_page(page)
    order(page, "Espresso machine", "1849.00")
    page.get_by_label("Card number").press_sequentially(digits)
    expect(page.get_by_label("Card number")).to_have_value(grouped(digits, " "))
    page.get_by_label("Expiry date").fill(f"{next_year():%m/%y}")
    place(page)
    leaks.record(Sink.BROWSER, [page.content(), left_behind(page)], "after the order")
    saved = SavedCard.objects.get()

    order(page, "Coffee beans", "238.80")
    page.get_by_role("radio", name=re.compile(re.escape(saved.card_last4))).check()
    place(page)
    assert list(Order.objects.values_list("name", "card_last4").order_by("pk")) == [
        ("Espresso machine", saved.card_last4),
        ("Coffee beans", saved.card_last4),
    ]

    page.goto("/cards/")
    check_page(page)
    page.get_by_role("link", name=re.compile("^Remove")).first.click()
    check_page(page)
    page.get_by_role("button", name="Remove card").click()
    page.get_by_text("The card is removed.").wait_for()
    assert not SavedCard.objects.exists()
    assert Card.objects.get().is_erased
    page.goto("/orders/")
    expect(page.get_by_role("link", name="Coffee beans")).to_be_visible()
    assert complaints == []


@widths
def test_staff_ask_approve_and_see_a_number_once(visit, complaints, card, leaks, settings, width):
    settings.VAULT = settings.VAULT | {"REVEAL_APPROVAL": True, "CONFIRM_IDENTITY": FRESH}
    digits = card("visa")
    leaks.allow("visa test card", sink="http", reason="the number is shown to who may see it")
    kept = make_saved_card(make_user("carla"), digits, next_year())
    make_order(kept.customer, kept.card)
    ada = visit(make_user("ada", "vault.view_card", "vault.detokenize_pan", is_staff=True), width=width)
    bob = visit(make_user("bob", "vault.view_card", "vault.approve_reveal", is_staff=True), width=width)

    ada.goto("/admin/")
    ada.goto("/admin/vault/card/")
    ada.locator("#result_list tbody th a").first.click()
    ada.get_by_label("Purpose").select_option("refund")
    ada.get_by_label("Reason").fill("The customer was charged twice")
    ada.get_by_label("Ticket").fill("SUP-31")
    ada.get_by_role("button", name="Ask for approval").click()
    ada.get_by_text("Your request waits for somebody to approve it.").wait_for()
    check_page(ada)

    bob.goto("/admin/")
    bob.goto("/admin/vault/revealrequest/")
    check_page(bob)
    bob.locator("#result_list tbody th a").first.click()
    bob.get_by_label("Note").fill("Seen in the ticket")
    bob.get_by_role("button", name="Approve").click()
    bob.get_by_text("bob approved.").wait_for()

    ada.reload()
    ada.get_by_role("button", name="Show the number once").click()
    expect(ada.locator("#vault-number")).to_have_text(grouped(digits, " "))
    ada.wait_for_load_state("load")
    ada.reload()
    expect(ada.locator("#vault-number")).to_have_count(0)
    leaks.record(Sink.BROWSER, [ada.content(), left_behind(ada)], "after the reveal")
    assert RevealRequest.objects.get().state == "shown"
    assert AuditEvent.objects.filter(operation="detokenize", outcome="done").count() == 1
    # The browser says of the second showing that it was refused, as it was.
    assert [each for each in complaints if "403 (Forbidden)" not in each] == []


@widths
@pytest.mark.parametrize("who", ["customer", "staff"])
def test_nothing_is_shown_after_signing_out_and_going_back(visit, canary, who, width):
    carla = make_user("carla", is_staff=who == "staff", is_superuser=who == "staff")
    make_order(carla, make_saved_card(carla, canary("card")).card, name="Grinder")
    page = visit(carla, width=width)
    for address in ("/admin/", "/admin/orders/order/") if who == "staff" else ("/", "/orders/"):
        page.goto(address)
    expect(page.get_by_text("Grinder")).to_be_visible()
    page.get_by_role("button", name=re.compile("Sign out|Log out")).click()
    page.wait_for_load_state("load")
    for _ in range(2):
        page.go_back()
        page.wait_for_load_state("load")
        assert "Grinder" not in page.content()
        assert carla.email not in page.content()


def test_without_javascript_an_order_can_be_placed(visit, canary, complaints):
    carla, digits = make_user("carla"), canary("typed card")
    page = visit(carla, java_script_enabled=False)
    order(page, "Cups", "74.40")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("What do you order?")).to_have_value("Cups")
    page.get_by_label("Card number").fill(digits)
    page.get_by_label("Expiry date").fill(f"{next_year():%m/%y}")
    page.get_by_role("button", name="Place order").click()
    page.get_by_text("Your order is placed.").wait_for()
    assert Order.objects.get().card_last4 == digits[-4:]
    assert complaints == []
