"""What a real Chromium loads on pages that have a card number is what the inventory has, and runs with its integrity."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from billing.cardscripts.inventory import read
from tests.cards import NUMBERS
from tests.factories import make_card, make_order, make_saved_card, make_user, next_year
from tests.vault.admin.identity import FRESH
from vault import reveals, services
from vault.purposes import Purpose

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def staff(settings):
    settings.VAULT = settings.VAULT | {"CONFIRM_IDENTITY": FRESH}
    return make_user("sue", "vault.view_card", "vault.detokenize_pan", "vault.search_pan", is_staff=True)


@pytest.fixture
def loading(visit):
    """`loading(user)` is a page, and the list of scripts that it loads."""

    def opened(user):
        page, loaded = visit(user), []
        page.on("request", lambda each: each.resource_type == "script" and loaded.append(each.url.split("/static/")[1]))
        return page, loaded

    return opened


def always(name):
    return sorted(each.path for each in read().scripts if name in each.pages)


def sometimes(name):
    return sorted(each.path for each in read().scripts if name in (*each.pages, *each.sometimes))


def all_sealed(page):
    return page.evaluate("[...document.scripts].every((each) => each.integrity.startsWith('sha384-') && each.src)")


def test_the_order_form_loads_what_the_inventory_has(loading, complaints):
    page, loaded = loading(make_user("carla"))
    page.goto(reverse("orders:new"))
    assert (sorted(loaded), all_sealed(page)) == (always("orders:new"), True)
    loaded.clear()
    page.get_by_role("button", name="Place order").click()
    page.get_by_role("alert").first.wait_for()
    assert (sorted(loaded), all_sealed(page)) == (sometimes("orders:new"), True)
    assert [each for each in complaints if "400" not in each] == []


def test_the_page_that_pays_again_loads_what_the_inventory_has(loading, canary, complaints):
    user = make_user("carla")
    order = make_order(user, make_saved_card(user, canary("saved"), expires=next_year()).card)
    page, loaded = loading(user)
    page.goto(reverse("orders:pay_again", args=[order.public_id]))
    assert (sorted(loaded), all_sealed(page), complaints) == (always("orders:pay_again"), True, [])


def test_the_search_by_number_loads_what_the_inventory_has(loading, staff, complaints):
    page, loaded = loading(staff)
    page.goto(reverse("admin:vault_card_search"))
    assert (sorted(loaded), all_sealed(page), complaints) == (always("admin:vault_card_search"), True, [])


def test_the_page_that_shows_a_number_loads_what_the_inventory_has(loading, staff, leaks, complaints):
    digits = leaks.watch(NUMBERS["visa"][0], label="shown")
    leaks.allow("shown", sink="http", reason="the number is shown")
    card = services.describe(make_card(digits).token)
    asked = reveals.request(card, actor=staff, purpose=Purpose("refund", "charged twice"), ticket="T-1")
    page, loaded = loading(staff)
    page.goto(reverse("admin:vault_revealrequest_change", args=[asked.pk]))
    loaded.clear()
    page.get_by_role("button", name="Show the number once").click()
    expect(page.locator("#vault-number")).to_contain_text(digits[-4:])
    name = "admin:vault_revealrequest_show"
    assert (sorted(loaded), all_sealed(page), complaints) == (always(name), True, [])


@pytest.mark.parametrize("name", ["card-typing", "once"], ids=["module", "classic script"])
def test_a_browser_does_not_run_a_script_that_was_changed_on_its_way(visit, name):
    page = visit(make_user("carla"))
    changed = {"body": "document.title = 'changed'", "content_type": "text/javascript"}
    page.route(f"**/vault/{name}.js", lambda route: route.fulfill(**changed))
    page.goto(reverse("orders:new"))
    page.wait_for_load_state("load")
    assert page.title() != "changed"
