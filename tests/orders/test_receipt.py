"""The page of an order that is made for paper."""

import re
from decimal import Decimal

import pytest
from django.urls import reverse

from orders import services
from tests.factories import make_order, make_saved_card, make_user
from vault.models import Card

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer():
    return make_user()


@pytest.fixture
def order(customer, canary):
    return make_order(customer, make_saved_card(customer, canary("order")).card, amount=Decimal("1849.00"))


@pytest.fixture
def page(client, customer):
    client.force_login(customer)
    return lambda order: client.get(reverse("orders:receipt", args=[order.public_id]))


def test_a_receipt_says_who_sold_what_to_whom_for_how_much(wire, page, settings, order):
    settings.RECEIPT_SELLER = "Example & Sons\n1 Example Street\nLondon"
    wire.calls.clear()
    answer = page(order)
    assert "<strong>Example &amp; Sons</strong><br>1 Example Street<br>London</address>" in answer.text
    for said in (order.public_id, order.name, order.description, order.customer.email, str(order.card)):
        assert said in answer.text
    assert answer.text.count(order.money) == 2
    assert "Total in Euro (EUR)" in answer.text
    assert "This order was cancelled." not in answer.text
    assert "no-store" in answer["Cache-Control"]
    assert not wire.calls


def test_a_cancelled_order_is_marked(page, order):
    services.cancel(order)
    assert re.search(r'class="alert"><strong>This order was cancelled.</strong> <time', page(order).text)


def test_brand_and_last_four_stay_when_the_card_is_erased(page, order):
    Card.objects.update(status="erased")
    assert str(order.card) in page(order).text


def test_the_receipt_of_another_customer_does_not_exist(page, canary):
    bob = make_user("bob")
    foreign = make_order(bob, make_saved_card(bob, canary("foreign")).card)
    answer = page(foreign)
    assert answer.status_code == 404
    assert foreign.name not in answer.text


def test_strangers_are_asked_to_sign_in(client, order):
    address = reverse("orders:receipt", args=[order.public_id])
    assert client.get(address)["Location"] == f"/accounts/login/?next={address}"


def test_without_its_script_the_button_is_hidden_and_a_sentence_says_how_to_print(page, order):
    text = page(order).text
    assert re.search(r"<button[^>]* data-print hidden>", text)
    assert "choose Print in the menu of your browser" in text
    assert re.search(r'<link rel="stylesheet" href="[^"]*css/print.css" media="print">', text)
