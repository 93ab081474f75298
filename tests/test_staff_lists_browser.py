"""The pages of staff in a real Chromium: at both widths, in light and dark, without a complaint of axe-core."""

import pytest
from django.contrib.admin import site
from django.db import connections
from knox.models import AuthToken

from billing.models import APIAccount
from orders import services as orders
from orders.models import Order
from tests.browsers import DESKTOP, PHONE, check_page, shoot
from tests.factories import make_card, make_order, make_user
from tests.vault.admin.visitors import change_page
from vault import reveals
from vault.admin import longlists
from vault.purposes import Purpose

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
RIGHTS = (
    "orders.view_order",
    "orders.change_order",
    "orders.view_savedcard",
    "auth.view_user",
    "vault.view_card",
    "vault.view_auditevent",
    "vault.view_revealrequest",
    "vault.approve_reveal",
    "vault.hold_card",
    "vault.erase_card",
    "vault.search_pan",
    "vault.view_incident",
    "knox.view_authtoken",
    "knox.delete_authtoken",
)


@pytest.fixture
def card(canary):
    return make_card(canary("card"))


@pytest.fixture(params=[DESKTOP, PHONE], ids=["wide", "narrow"])
def page(request, visit, card, settings):
    settings.VAULT = settings.VAULT | {"REVEAL_APPROVAL": True}
    ada = make_user("ada")
    placed = make_order(ada, card)
    make_order(ada, card, name="Espresso machine")
    orders.cancel(make_order(ada, card, name="Grinder"))
    asker = make_user("fay", "vault.view_card", "vault.detokenize_pan", is_staff=True)
    reveals.request(card, actor=asker, purpose=Purpose("refund", "charged twice"), ticket="T-1")
    page = visit(make_user("boss", *RIGHTS, is_staff=True), width=request.param, reduced_motion="reduce")
    page.order, page.width = placed, request.param
    return page


def look(page, name):
    """Check a page, and keep pictures of it in light and dark."""
    check_page(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        shoot(page, f"{name}-{page.width}-{scheme}")


def test_orders_are_chosen_and_cancelled(page, complaints):
    page.goto("/admin/orders/order/")
    look(page, "orders")
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option("cancel_chosen")
    page.locator("button[name=index]").click()
    page.get_by_role("heading", name="Cancel these orders?").wait_for()
    look(page, "cancel")
    page.get_by_role("button", name="Cancel these orders").click()
    page.get_by_text("2 orders were cancelled.").wait_for()
    look(page, "cancelled")
    assert complaints == []


def test_the_pages_of_a_long_list_are_turned(page, complaints, monkeypatch):
    monkeypatch.setattr(longlists, "COUNTED", 2)
    monkeypatch.setattr(longlists, "STRETCH", 2)
    monkeypatch.setattr(site.get_model_admin(Order), "list_per_page", 2)
    page.goto("/admin/orders/order/")
    page.get_by_text("More than 2 orders").wait_for()
    look(page, "orders-long")
    page.get_by_role("link", name="Older", exact=True).click()
    page.get_by_role("link", name=page.order.public_id).wait_for()
    look(page, "orders-long-older")
    page.goto("/admin/orders/order/?q=jug")
    page.get_by_text("2 orders were looked through").wait_for()
    look(page, "orders-long-search")
    page.get_by_role("link", name="Older", exact=True).click()
    page.get_by_role("link", name=page.order.public_id).wait_for()
    assert complaints == []


def test_the_page_and_history_of_an_order(page, complaints):
    page.goto(f"/admin/orders/order/{page.order.pk}/change/")
    look(page, "order")
    page.goto(f"/admin/orders/order/{page.order.pk}/history/")
    look(page, "order-history")
    assert complaints == []


def test_the_page_and_history_of_a_card(page, card, complaints):
    page.goto(change_page(card))
    look(page, "card")
    page.get_by_role("link", name="History").click()
    look(page, "card-history")
    assert complaints == []


def test_the_audit_log_is_verified(page, complaints):
    page.goto("/admin/vault/auditevent/")
    look(page, "audit")
    page.get_by_role("button", name="Verify the newest").click()
    page.get_by_text("events hang together.").wait_for()
    look(page, "audit-verified")
    assert complaints == []


def test_a_broken_audit_log_is_loud(page, complaints):
    with connections["audit"].cursor() as cursor:
        cursor.execute("UPDATE vault_auditevent SET actor_name = 'mallory' WHERE operation = 'tokenize'")
    page.goto("/admin/vault/auditevent/")
    page.get_by_role("button", name="Verify the newest").click()
    page.get_by_role("alert").get_by_text("The audit log does not hold together.").wait_for()
    look(page, "audit-broken")
    assert complaints == []


def test_a_filter_is_saved_opened_and_deleted(page, complaints):
    page.goto("/admin/orders/order/?status__exact=placed")
    page.get_by_text("Save this filter").click()
    page.get_by_label("Name").fill("Placed")
    page.get_by_label("for colleagues too").check()
    look(page, "filter-form")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("The filter is saved.").wait_for()
    look(page, "filter-saved")
    page.goto("/admin/orders/order/?status__exact=cancelled")
    page.get_by_text("Save this filter").click()
    page.get_by_label("Name").fill("Placed")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Choose another name.").wait_for()
    look(page, "filter-refused")
    page.goto("/admin/orders/order/")
    page.get_by_role("link", name="Placed", exact=True).first.click()
    page.wait_for_url("**/?status__exact=placed")
    page.get_by_role("button", name="Delete the filter Placed").click()
    page.get_by_text("The filter is deleted.").wait_for()
    assert complaints == []


def test_the_queue_with_the_keyboard_alone(page, complaints):
    page.goto("/admin/vault/revealrequest/")
    look(page, "queue")
    page.locator("#result_list tbody th a").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Your decision").wait_for()
    look(page, "request")
    page.get_by_role("button", name="Approve").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Approved.").first.wait_for()
    assert complaints == []


def test_the_other_lists(page, complaints):
    shop = make_user("shop", "orders.add_order")
    APIAccount.objects.create(user=shop, networks=["10.0.0.0/8"])
    AuthToken.objects.create(shop)
    for name, address in {
        "cards": "/admin/vault/card/",
        "tokens": "/admin/knox/authtoken/",
        "accounts": "/admin/knox/authtoken/accounts/",
        "incidents": "/admin/vault/incident/",
        "search": "/admin/vault/card/search/",
    }.items():
        page.goto(address)
        look(page, name)
    assert complaints == []
