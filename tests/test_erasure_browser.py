"""Erasing in a real browser: a customer without JavaScript, staff with it, and what both see afterwards.

`SCREENSHOTS=folder pytest tests/test_erasure_browser.py` takes pictures on the way, at the width of a desk and a phone.
"""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from orders.models import Order, SavedCard
from tests import browsers
from tests.browsers import DESKTOP, PHONE
from tests.cards import grouped
from tests.factories import make_order, make_saved_card, make_user, next_year
from tests.leaks import Sink
from vault.expiry import last_day_of_month
from vault.models import Card, ErasureCertificate

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


def shoot(page, name):
    for width, suffix in ((PHONE, "-narrow"), (DESKTOP, "")):
        page.set_viewport_size({"width": width, "height": 700})
        browsers.shoot(page, name + suffix)


def fits(page):
    """True if nothing is wider than what it stands in, at either width."""
    found = []
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 700})
        found += page.evaluate(
            "() => [...document.querySelectorAll('html, main *')].filter(e => e.clientWidth && "
            "e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML.slice(0, 80))"
        )
    return found == []


@pytest.fixture
def customer(canary):
    """A customer with cards in each state, and an order paid with the first."""
    ada = make_user()
    soon = last_day_of_month(timezone.localdate() + timedelta(days=5))
    make_saved_card(ada, canary("over"), timezone.localdate() - timedelta(days=40))
    make_saved_card(ada, canary("soon"), soon)
    gone = make_saved_card(ada, canary("gone"), next_year())
    Card.objects.filter(token=gone.token.text).update(status="erased", erased_at=timezone.now())
    saved = make_saved_card(ada, canary("first"), next_year())
    make_order(ada, saved.card)
    return ada


def test_a_customer_removes_a_card_without_javascript(visit, customer, canary, leaks, complaints):
    first = SavedCard.objects.latest("pk")
    page = visit(customer, java_script_enabled=False)
    page.goto("/cards/")
    expect(page.get_by_text("Expires soon")).to_be_visible()
    expect(page.get_by_text("Card no longer on file")).to_be_visible()
    assert fits(page)
    shoot(page, "saved-cards")
    page.get_by_role("link", name=f"Remove {first}").click()
    page.get_by_role("heading", name="Remove this card?").wait_for()
    assert fits(page)
    shoot(page, "card-remove")
    page.get_by_role("button", name="Remove card").click()
    expect(page.get_by_text("The card is removed. We do not keep it for you any more.")).to_be_visible()
    shoot(page, "card-removed")
    page.goto("/orders/")
    expect(page.get_by_text("card no longer on file")).to_be_visible()
    assert fits(page)
    shoot(page, "orders-erased")
    page.get_by_role("link", name="Milk jug").click()
    expect(page.get_by_text("card no longer on file")).to_be_visible()
    shoot(page, "order-erased")
    page.get_by_role("link", name="Order again").click()
    expect(page.get_by_text("is no longer on file. Pay with another one")).to_be_visible()
    shoot(page, "pay-again-erased")
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_text("Your order is placed.")).to_be_visible()
    assert Order.objects.count() == 2
    assert Card.objects.get(token=first.token.text).is_erased
    leaks.record(Sink.BROWSER, [page.content(), complaints], "pages of a customer")
    assert complaints == []


def test_a_new_expiry_is_said(visit, customer, canary, complaints):
    page = visit(customer)
    digits = canary("renewed")
    saved = make_saved_card(customer, digits, timezone.localdate() - timedelta(days=40))
    page.goto("/orders/new/")
    page.get_by_label("What do you order?").fill("Grinder")
    page.get_by_label("Amount").fill("12.50")
    page.get_by_label("A new card").check()
    page.get_by_label("Card number").fill(grouped(digits, " "))
    page.get_by_label("Expiry date").fill("05/30")
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_text(f"{saved.card} was saved already. Its expiry is updated to 05/2030.")).to_be_visible()
    shoot(page, "expiry-updated")
    assert complaints == []


def test_staff_hold_release_and_erase_a_card_and_prove_it(visit, customer, complaints, tmp_path):
    rights = ("view_card", "erase_card", "hold_card", "view_erasurecertificate")
    page = visit(make_user("sue", *(f"vault.{right}" for right in rights), is_staff=True))
    card = Card.objects.get(token=SavedCard.objects.latest("pk").token.text)
    page.goto("/admin/vault/card/?expiry=unknown")
    shoot(page, "admin-cards")
    page.locator("#result_list").get_by_role("link", name=card.masked).click()
    shoot(page, "admin-card")
    page.locator("#id_hold_reason").fill("Court order 7 K 12/26")
    page.get_by_role("button", name="Put under legal hold").click()
    page.get_by_text("is under legal hold").wait_for()
    expect(page.get_by_role("button", name="Erase the card…")).to_have_count(0)
    shoot(page, "admin-card-held")
    page.locator("#id_release_reason").fill("Case closed")
    page.get_by_role("button", name="Release").click()
    page.get_by_text("The legal hold is over.").wait_for()
    page.locator("#id_erase_reason").fill("The cardholder asked for it by mail")
    page.get_by_role("button", name="Erase the card…").click()
    page.get_by_text("This cannot be taken back").wait_for()
    shoot(page, "admin-erase")
    page.get_by_role("button", name="Erase for good").click()
    page.get_by_text("The card is erased. Its certificate says so.").wait_for()
    shoot(page, "admin-card-erased")
    certificate = ErasureCertificate.objects.get()
    page.get_by_role("link", name=certificate.number).click()
    page.get_by_role("button", name="Check the signature").click()
    expect(page.get_by_text("The signature is valid")).to_be_visible()
    shoot(page, "certificate")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as JSON").click()
    download.value.save_as(tmp_path / "certificate.json")
    assert json.loads((tmp_path / "certificate.json").read_text())["number"] == certificate.number
    page.goto("/admin/vault/erasurecertificate/")
    shoot(page, "certificates")
    assert complaints == []
