"""What the overview tells a customer to do: only what is true, the most urgent first, three things at most."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.utils import timezone

from orders.models import SavedCard
from orders.nextsteps import Urgency, next_steps
from tests.factories import (
    last_month,
    make_authenticator,
    make_card,
    make_order,
    make_saved_card,
    make_user,
    next_year,
)
from vault.models import Card

pytestmark = pytest.mark.django_db
GONE, EXPIRED, EXPIRES = Urgency.CARD_GONE, Urgency.CARD_EXPIRED, Urgency.CARD_EXPIRES
EMAIL, FIRST, FACTOR = Urgency.EMAIL_UNVERIFIED, Urgency.FIRST_ORDER, Urgency.SECOND_FACTOR
WELL = "All is well."


@pytest.fixture
def customer():
    """Somebody with nothing left to do but order."""
    user = make_user()
    make_authenticator(user)
    return user


@pytest.fixture
def browser(client, customer):
    client.force_login(customer)
    return client


def steps_of(customer, *, has_orders=True):
    cards = list(SavedCard.objects.for_customer(customer).for_list())
    return next_steps(customer, cards=cards, has_orders=has_orders)


def urgencies(customer, **options):
    return [step.urgency for step in steps_of(customer, **options)]


def soon():
    return timezone.localdate() + timedelta(days=7)


def erase(saved):
    Card.objects.filter(token=saved.token.text).update(status="erased", erased_at=timezone.now())


def test_nothing_is_to_be_done_when_all_is_well(browser, customer, canary):
    saved = make_saved_card(customer, canary("good"), next_year())
    make_order(customer, saved.card)
    assert steps_of(customer) == []
    assert WELL in browser.get("/").text


def test_the_first_order_is_offered_until_there_is_one(browser, customer, canary):
    page = browser.get("/").text
    assert "Place your first order" in page
    assert WELL not in page
    make_order(customer, make_card(canary("first")))
    assert "Place your first order" not in browser.get("/").text


@pytest.mark.parametrize(
    ("expires", "urgency", "said", "url"),
    [
        (last_month, EXPIRED, "has expired", "/orders/new/"),
        (timezone.localdate, EXPIRES, "expires soon", "/orders/new/"),
        (soon, EXPIRES, "expires soon", "/orders/new/"),
    ],
)
def test_a_card_that_ends_is_named(customer, canary, expires, urgency, said, url):
    saved = make_saved_card(customer, canary("ends"), expires())
    (step,) = steps_of(customer)
    assert (step.urgency, step.url) == (urgency, url)
    assert f"Your card {saved} {said}." in step.reason


@pytest.mark.parametrize("expires", [next_year, lambda: None], ids=["next year", "no date"])
def test_a_good_card_is_nothing_to_do(customer, canary, expires):
    make_saved_card(customer, canary("good"), expires())
    assert steps_of(customer) == []


def test_a_card_no_longer_on_file_is_said_to_be_that_alone(customer, canary):
    erase(saved := make_saved_card(customer, canary("gone"), last_month()))
    (step,) = steps_of(customer)
    assert (step.urgency, step.url) == (GONE, "/cards/")
    assert f"Your card {saved} is no longer on file." in step.reason


def test_several_cards_in_one_state_are_one_step(customer, canary):
    for _ in range(3):
        make_saved_card(customer, canary("ends"), last_month())
    (step,) = steps_of(customer)
    assert "Several of your cards have expired." in step.reason


@pytest.mark.parametrize("verified", [True, False])
def test_an_address_is_to_be_verified_until_it_is(customer, verified):
    EmailAddress.objects.filter(user=customer).update(verified=verified)
    assert urgencies(customer) == ([] if verified else [EMAIL])


def test_another_address_that_is_not_verified_does_not_matter(customer):
    EmailAddress.objects.create(user=customer, email="other@example.com", verified=False)
    assert steps_of(customer) == []


def test_a_second_factor_is_asked_for_until_there_is_one(client, canary):
    bob = make_user("bob")
    client.force_login(bob)
    assert urgencies(bob) == [FACTOR]
    assert 'href="/accounts/2fa/"' in client.get("/").text
    make_authenticator(bob)
    assert steps_of(bob) == []


def test_of_all_that_is_to_be_done_the_three_most_urgent_are_said(client, canary):
    bob = make_user("bob", is_verified=False)
    EmailAddress.objects.create(user=bob, email=bob.email, verified=False, primary=True)
    make_saved_card(bob, canary("soon"), soon())
    assert urgencies(bob, has_orders=False) == [EMAIL, EXPIRES, FIRST]
    make_saved_card(bob, canary("over"), last_month())
    erase(make_saved_card(bob, canary("gone")))
    assert urgencies(bob, has_orders=False) == [GONE, EXPIRED, EMAIL]
    client.force_login(bob)
    assert client.get("/").text.split('id="recent"')[0].count("<li><span>") == 3


def test_the_cards_of_others_are_nobodys_business(browser, customer, canary):
    make_order(customer, make_card(canary("own")))
    foreign = make_saved_card(make_user("bob"), canary("foreign"), last_month())
    page = browser.get("/").text
    assert WELL in page
    assert foreign.card.last4 not in page
