"""What lists and pages say of a card that was erased, or is about to expire, and what they ask for it."""

import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from orders.models import Order, SavedCard
from tests.factories import (
    client_of,
    last_month,
    make_card,
    make_order,
    make_orders,
    make_saved_card,
    make_user,
    next_year,
)
from tests.orders.test_forms import filled
from vault.models import Card

pytestmark = pytest.mark.django_db
GONE = "card no longer on file"


@pytest.fixture
def customer():
    return make_user("ada", "orders.view_order", "orders.add_order", "orders.view_savedcard", is_staff=True)


@pytest.fixture
def browser(client, customer):
    client.force_login(customer)
    return client


@pytest.fixture
def order(customer, canary):
    saved = make_saved_card(customer, canary("order"), next_year())
    return make_order(customer, saved.card)


def erase(*cards):
    chosen = Card.objects.filter(token__in=[card.token.text for card in cards]) if cards else Card.objects.all()
    chosen.update(status=Card.Status.ERASED, erased_at=timezone.now())


def pay_again(order):
    return reverse("orders:pay_again", args=[order.public_id])


PLACES = {
    "overview": lambda order: "/",
    "list": lambda order: "/orders/",
    "order": lambda order: reverse("orders:detail", args=[order.public_id]),
    "cards": lambda order: "/cards/",
    "admin list": lambda order: "/admin/orders/order/",
    "admin order": lambda order: f"/admin/orders/order/{order.pk}/change/",
    "admin cards": lambda order: "/admin/orders/savedcard/",
    "admin card": lambda order: f"/admin/orders/savedcard/{SavedCard.objects.get().pk}/change/",
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_it_is_said_and_brand_and_last_four_stay(browser, order, wire, place):
    wire.calls.clear()
    assert GONE not in browser.get(place(order)).text.lower()
    erase()
    page = browser.get(place(order)).text
    assert GONE in page.lower()
    assert order.card.last4 in page
    assert "Visa" in page
    assert not wire.calls


def test_the_api_says_it(customer, order, wire):
    api = client_of(customer)
    addresses = ("/api/v1/orders/", f"/api/v1/orders/{order.public_id}/")
    wire.calls.clear()

    def said():
        listed, one = (api.get(address).json() for address in addresses)
        return [listed["results"][0]["card"]["on_file"], one["card"]["on_file"]]

    assert said() == [True, True]
    erase()
    assert said() == [False, False]
    assert api.get(addresses[1]).json()["card"]["last4"] == order.card.last4
    assert not wire.calls


@pytest.mark.parametrize("address", ["/", "/orders/", "/admin/orders/order/", "/api/v1/orders/"])
def test_it_costs_the_same_for_100_orders_as_for_10_and_asks_nothing_of_aws(
    browser, customer, canary, wire, django_assert_max_num_queries, address
):
    counts, caller = [], client_of(customer) if "api" in address else browser
    caller.get(address)
    for count in (5, 45):
        for name in ("gone", "kept"):
            card = make_card(canary(name))
            make_orders(count, customer, card)
            if name == "gone":
                Card.objects.filter(token=card.token).update(status="erased")
        wire.calls.clear()
        with django_assert_max_num_queries(20) as queries:
            assert caller.get(address).status_code == 200
        counts.append(len(queries))
        assert not wire.calls
    assert counts[0] == counts[1]


def test_the_list_of_cards_costs_the_same_for_20_as_for_2(
    browser, customer, canary, wire, django_assert_max_num_queries
):
    counts = []
    browser.get("/cards/")
    for count in (2, 18):
        for _ in range(count):
            make_saved_card(customer, canary("saved"))
        wire.calls.clear()
        with django_assert_max_num_queries(10) as queries:
            browser.get("/cards/")
        counts.append(len(queries))
        assert not wire.calls
    assert counts[0] == counts[1]


# --- Paying with it -------------------------------------------------------------------------------------------------


def test_an_erased_card_is_not_offered_and_another_one_is(browser, customer, order, canary):
    other = make_saved_card(customer, canary("other"))
    erase(order.card)
    for address in (pay_again(order), "/orders/new/"):
        page = browser.get(address).text
        assert f'value="{other.token}"' in page
        assert f'value="{order.card.token}"' not in page
    assert (
        f"The card of this order, {order.card}, is no longer on file. Pay with another one"
        in browser.get(pay_again(order)).text
    )


def test_without_another_card_a_new_one_is_asked_for(browser, order):
    erase()
    page = browser.get(pay_again(order)).text
    assert "is no longer on file. Pay with a new card." in page
    assert 'href="/orders/new/"' in page


@pytest.mark.parametrize("again", [True, False], ids=["pay again", "new order"])
def test_a_card_erased_while_the_page_was_open_is_refused_and_another_one_offered(
    browser, customer, order, canary, again
):
    other = make_saved_card(customer, canary("other"))
    erase(order.card)
    address = pay_again(order) if again else "/orders/new/"
    answer = browser.post(address, filled(payment=order.card.token.text, number="", expires=""))
    assert answer.status_code == 200
    assert "This card is no longer on file. Choose another one." in answer.text
    assert f'value="{other.token}"' in answer.text
    assert Order.objects.count() == 1


def test_the_api_refuses_it_and_says_why(customer, order):
    erase()
    api = client_of(customer)
    again = api.post(f"/api/v1/orders/{order.public_id}/pay-again/", {"token": order.card.token.text})
    SavedCard.objects.all().delete()
    later = api.post(f"/api/v1/orders/{order.public_id}/pay-again/", {"token": order.card.token.text})
    for answer in (again, later):
        assert answer.status_code == 400
        assert answer.json()["errors"] == [
            {"pointer": "/token", "code": "card_erased", "detail": "The card is no longer on file."}
        ]
    assert Order.objects.count() == 1


# --- Expiry ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "said"),
    [(-1, "Expired"), (0, "Expires soon"), (60, "Expires soon"), (61, "Good until"), (400, "Good until")],
)
def test_the_cards_page_points_out_what_expires(browser, customer, canary, days, said):
    make_saved_card(customer, canary("saved"), timezone.localdate() + timedelta(days=days))
    page = browser.get("/cards/").text
    assert said in page
    assert ("Expires soon" in page) is (said == "Expires soon")


def said_after_an_order(browser, digits, **changes):
    page = browser.post("/orders/new/", filled(number=digits, submission=uuid.uuid4(), **changes), follow=True).text
    assert "Your order is placed." in page
    return page


def test_what_became_of_the_card_is_said_after_the_order(browser, customer, canary):
    digits = canary("card")
    assert f"Visa •••• {digits[-4:]} is saved for your next order." in said_after_an_order(browser, digits)
    assert f"Visa •••• {digits[-4:]} was saved already.</li>" in said_after_an_order(browser, digits)
    SavedCard.objects.update(expires=last_month())
    updated = f"Visa •••• {digits[-4:]} was saved already. Its expiry is updated to {next_year():%m/%Y}."
    assert updated in said_after_an_order(browser, digits)
    assert SavedCard.objects.get().expires == next_year()


def test_nothing_is_said_of_a_card_that_is_not_kept(browser, canary):
    page = said_after_an_order(browser, canary("card"), save_card=None)
    assert "saved" not in page.lower()
