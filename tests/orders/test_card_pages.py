"""The pages of a customer's saved cards: what they show, whose they are, and what they ask for it."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from orders.models import SavedCard
from tests.factories import last_month, make_order, make_orders, make_saved_card, make_user, next_year

pytestmark = pytest.mark.django_db
NAMES = ["card", "card_default"]


@pytest.fixture
def customer():
    return make_user()


@pytest.fixture
def browser(client, customer):
    client.force_login(customer)
    return client


@pytest.fixture
def saved(wire, customer, canary):
    """`wire` comes first, so that it hears all that is asked of AWS."""
    return make_saved_card(customer, canary("saved"), next_year())


def page_of(saved, name="card"):
    return reverse(f"orders:{name}", args=[saved.token])


def nothing_is_changed(saved):
    return SavedCard.objects.filter(pk=saved.pk, nickname="", default_of=None).exists()


# --- What they show -------------------------------------------------------------------------------------------------


def test_the_grid_shows_what_is_known_of_each_card_and_no_more(browser, customer, saved, wire):
    make_orders(3, customer, saved.card)
    make_order(make_user("bob"), saved.card)
    SavedCard.objects.update(nickname="<b>Team</b>", default_of=customer)
    wire.calls.clear()
    page = browser.get("/cards/").text
    for text in ("&lt;b&gt;Team&lt;/b&gt;", str(saved), f"Good until {next_year():%m/%y}", "Default", "3 orders"):
        assert text in page
    assert f'href="{page_of(saved)}#orders"' in page
    assert "<b>Team" not in page
    assert not wire.calls


def test_the_page_of_a_card_has_its_orders_and_nobody_elses(browser, customer, saved, canary, wire):
    make_order(customer, saved.card, name="Paid with it")
    make_order(customer, make_saved_card(customer, canary("other")).card, name="Paid with another")
    make_order(make_user("bob"), saved.card, name="Of somebody else")
    wire.calls.clear()
    page = browser.get(page_of(saved)).text
    assert "Paid with it" in page
    assert "Paid with another" not in page
    assert "Of somebody else" not in page
    assert not wire.calls


def test_the_orders_of_a_card_come_in_pages_that_lead_to_each_other(browser, customer, saved):
    orders = make_orders(30, customer, saved.card)
    first = browser.get(page_of(saved)).text
    assert first.count('<th scope="row">') == 25
    assert f"?before={orders[24].public_id}#orders" in first
    second = browser.get(f"{page_of(saved)}?before={orders[24].public_id}").text
    assert second.count('<th scope="row">') == 5
    assert f"?after={orders[25].public_id}#orders" in second


@pytest.mark.parametrize("side", ["before", "after"])
def test_an_order_that_this_card_did_not_pay_is_no_border_of_a_page(browser, customer, saved, canary, side):
    other = make_order(customer, make_saved_card(customer, canary("other")).card)
    assert browser.get(f"{page_of(saved)}?{side}={other.public_id}").status_code == 404


@pytest.mark.parametrize("side", ["before", "after"])
def test_what_is_no_order_is_no_border_and_is_not_looked_for(browser, settings, saved, canary, side):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith("RefusePANInURLMiddleware")]
    digits = canary("border")
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get(page_of(saved), {side: digits})
    assert answer.status_code == 404
    assert not any(digits in query["sql"] for query in queries)


def test_the_page_of_a_card_costs_the_same_for_20_orders_as_for_2(
    browser, customer, saved, wire, django_assert_max_num_queries
):
    counts = []
    browser.get(page_of(saved))
    for count in (2, 18):
        make_orders(count, customer, saved.card)
        wire.calls.clear()
        with django_assert_max_num_queries(10) as queries:
            assert browser.get(page_of(saved)).status_code == 200
        counts.append(len(queries))
        assert not wire.calls
    assert counts[0] == counts[1]


# --- What they change -----------------------------------------------------------------------------------------------


def test_a_card_gets_a_name_and_loses_it(browser, saved, wire):
    wire.calls.clear()
    assert "The name is saved." in browser.post(page_of(saved), {"nickname": " Team card "}, follow=True).text
    assert SavedCard.objects.get().nickname == "Team card"
    browser.post(page_of(saved), {"nickname": ""})
    assert SavedCard.objects.get().nickname == ""
    assert not wire.calls


def test_a_number_as_name_is_refused_beside_the_field_and_not_shown_again(browser, saved, canary):
    digits = canary("nickname")
    page = browser.post(page_of(saved), {"nickname": digits})
    assert page.status_code == 200
    assert "Card numbers belong in the card field only." in page.text
    assert 'aria-describedby="id_nickname_helptext id_nickname_error"' in page.text
    assert digits not in page.text
    assert nothing_is_changed(saved)


def test_a_card_becomes_the_default(browser, customer, saved, wire):
    wire.calls.clear()
    page = browser.post(page_of(saved, "card_default"), follow=True).text
    assert "This card is offered first from now on." in page
    assert SavedCard.objects.get().default_of == customer
    assert not wire.calls


def test_an_expired_card_is_not_offered_as_default_and_does_not_become_it(browser, saved):
    SavedCard.objects.update(expires=last_month())
    assert page_of(saved, "card_default") not in browser.get(page_of(saved)).text
    assert "This card has expired." in browser.post(page_of(saved, "card_default"), follow=True).text
    assert nothing_is_changed(saved)


@pytest.mark.parametrize("default", [True, False])
def test_a_card_that_is_over_is_not_called_the_one_offered_first(browser, customer, saved, default):
    SavedCard.objects.update(expires=last_month(), default_of=customer if default else None)
    page = browser.get(page_of(saved)).text
    assert "A card that one cannot pay with is not offered." in page
    assert "This card is offered first" not in page


# --- Whose they are -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_card_of_another_customer_does_not_exist(client, saved, name):
    client.force_login(make_user("eve", is_superuser=True, is_staff=True))
    answer = client.post(page_of(saved, name), {"nickname": "Mine"})
    assert answer.status_code == client.get(page_of(saved)).status_code == 404
    assert saved.card.last4 not in answer.text
    assert nothing_is_changed(saved)


@pytest.mark.parametrize("name", NAMES)
def test_strangers_are_asked_to_sign_in(client, saved, name):
    answer = client.post(page_of(saved, name), {"nickname": "Mine"})
    assert answer["Location"].startswith("/accounts/login/")
    assert nothing_is_changed(saved)


@pytest.mark.parametrize("name", NAMES)
def test_they_take_the_token_of_the_form(customer, saved, name):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(customer)
    assert strict.post(page_of(saved, name), {"nickname": "Mine"}).status_code == 403
    assert nothing_is_changed(saved)


def test_nothing_but_a_post_changes_the_default(browser, saved):
    for method in ("get", "put", "delete"):
        assert getattr(browser, method)(page_of(saved, "card_default")).status_code == 405
    assert nothing_is_changed(saved)


def test_no_cache_keeps_them(browser, saved):
    answer = browser.get(page_of(saved))
    assert "no-store" in answer["Cache-Control"]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
