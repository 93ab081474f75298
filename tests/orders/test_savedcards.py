"""What customers call their cards, and which one is offered first."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from orders import savedcards, services
from orders.exceptions import CardExpired, CardNotAvailable
from orders.models import SavedCard
from tests.cards import NUMBERS
from tests.factories import CONTENT, last_month, make_orders, make_saved_card, make_user, next_year
from tests.orders.test_services import at_once
from vault.exceptions import CardErased
from vault.models import Card
from vault.pan import PAN

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer():
    return make_user()


def save(customer, digits, expires=None):
    """Place an order with a new card that is kept; the saved card."""
    return services.place(customer=customer, card=PAN(digits), expires=expires, **CONTENT).saved.card


def erase(saved):
    Card.objects.filter(token=saved.token.text).update(status=Card.Status.ERASED)


def defaults(customer):
    return list(SavedCard.objects.filter(default_of=customer))


# --- Names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "kept"), [("  Company card ", "Company card"), ("Card 2029 of 4711", "Card 2029 of 4711"), ("  ", "")]
)
def test_a_card_is_called_as_its_customer_likes(customer, canary, typed, kept):
    saved = make_saved_card(customer, canary("saved"))
    savedcards.rename_card(saved, typed)
    saved.refresh_from_db()
    assert saved.nickname == kept


def mistyped(digits):
    return digits[:-1] + str((int(digits[-1]) + 1) % 10)


FULL_WIDTH = {ord("0") + digit: ord("０") + digit for digit in range(10)}


@pytest.mark.parametrize(
    "name_of",
    [
        pytest.param(lambda digits: digits, id="number"),
        pytest.param(lambda digits: f"my {digits[:4]} {digits[4:10]} {digits[10:]}", id="number in groups"),
        pytest.param(mistyped, id="mistyped number"),
        pytest.param(lambda digits: digits[:9], id="part of a number"),
        pytest.param(lambda digits: digits.translate(FULL_WIDTH), id="full width"),
        pytest.param(lambda digits: "x" * 41, id="too long"),
    ],
)
def test_a_number_is_no_name_and_is_not_quoted(customer, canary, name_of):
    digits = canary("nickname")
    saved = make_saved_card(customer, canary("saved"))
    with pytest.raises(ValidationError) as caught:
        savedcards.rename_card(saved, name_of(digits))
    assert digits[:9] not in str(caught.value)
    saved.refresh_from_db()
    assert saved.nickname == ""


# --- The default ----------------------------------------------------------------------------------------------------


def test_the_first_card_is_the_default_and_the_next_one_is_not(customer, canary):
    first, second = save(customer, canary("first")), save(customer, canary("second"))
    assert (first.is_default, second.is_default) == (True, False)
    assert defaults(customer) == [first]


def test_making_another_card_the_default_ends_the_one_before(wire, customer, canary):
    save(customer, canary("first"))
    second = save(customer, canary("second"))
    wire.calls.clear()
    savedcards.make_default(second)
    assert defaults(customer) == [second]
    assert second.is_default
    assert not wire.calls


def test_the_default_stands_first_and_the_others_by_age(customer, canary):
    first, second, third = (save(customer, canary(name)) for name in ("first", "second", "third"))
    assert list(SavedCard.objects.for_customer(customer).for_list()) == [first, third, second]


def test_an_expired_erased_or_removed_card_does_not_become_the_default(customer, canary):
    first = save(customer, canary("first"))
    expired = make_saved_card(customer, canary("expired"), last_month())
    erased, removed = (make_saved_card(customer, canary(name)) for name in ("erased", "removed"))
    erase(erased)
    SavedCard.objects.filter(pk=removed.pk).delete()
    for card, refusal in ((expired, CardExpired), (erased, CardErased), (removed, CardNotAvailable)):
        with pytest.raises(refusal):
            savedcards.make_default(card)
    assert defaults(customer) == [first]


def test_each_customer_has_a_default_of_their_own(customer, canary):
    digits, bob = canary("shared"), make_user("bob")
    save(customer, digits)
    save(bob, digits)
    assert len(defaults(customer)) == len(defaults(bob)) == 1


def test_the_database_refuses_two_defaults_and_the_default_of_somebody_else(customer, canary):
    save(customer, canary("first"))
    second = save(customer, canary("second"))
    for owner in (customer, make_user("bob")):
        with pytest.raises(IntegrityError), transaction.atomic():
            SavedCard.objects.filter(pk=second.pk).update(default_of=owner)


def test_after_the_default_the_newest_good_card_takes_its_place(customer, canary):
    first = save(customer, canary("first"))
    good = make_saved_card(customer, canary("good"), next_year())
    erased = make_saved_card(customer, canary("erased"))
    make_saved_card(customer, canary("expired"), last_month())
    erase(erased)
    savedcards.forget_card(first)
    assert defaults(customer) == [good]


def test_without_a_good_card_there_is_no_default_until_one_is_saved(customer, canary):
    first = save(customer, canary("first"))
    make_saved_card(customer, canary("expired"), last_month())
    savedcards.forget_card(first)
    assert defaults(customer) == []
    assert save(customer, canary("next")).is_default


def test_removing_another_card_leaves_the_default(customer, canary):
    first, second = save(customer, canary("first")), save(customer, canary("second"))
    savedcards.forget_card(second)
    assert defaults(customer) == [first]


def test_cards_from_before_get_the_default_that_was_offered_first(customer, canary):
    make_saved_card(customer, canary("old"))
    newest = make_saved_card(customer, canary("newest"), next_year())
    make_saved_card(customer, canary("expired"), last_month())
    erase(make_saved_card(customer, canary("erased")))
    bob = make_user("bob")
    chosen = save(bob, canary("chosen"))
    make_saved_card(bob, canary("newer"))
    choose = import_module("orders.migrations.0006_choose_defaults").choose
    choose(apps, SimpleNamespace(connection=connection))
    assert (defaults(customer), defaults(bob)) == ([newest], [chosen])


# --- At once --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_several_who_choose_at_once_one_card_is_the_default(canary):
    customer = make_user()
    cards = [save(customer, canary(f"card {number}")) for number in range(4)]
    left = iter(cards * 2)
    at_once(8, lambda: savedcards.make_default(next(left)))
    assert len(defaults(customer)) == 1


@pytest.mark.django_db(transaction=True)
def test_of_several_first_cards_saved_at_once_one_is_the_default(canary):
    customer = make_user()
    left = iter([canary(f"card {number}") for number in range(6)])
    at_once(6, lambda: save(customer, next(left)))
    assert SavedCard.objects.count() == 6
    assert len(defaults(customer)) == 1


@pytest.mark.django_db(transaction=True)
def test_removing_choosing_and_saving_at_once_leave_one_default(canary):
    customer = make_user()
    cards = [save(customer, canary(f"card {number}")) for number in range(4)]
    acts = iter(
        [
            lambda: savedcards.forget_card(cards[0]),
            lambda: savedcards.make_default(cards[1]),
            lambda: save(customer, NUMBERS["visa"][0]),
            lambda: savedcards.forget_card(cards[2]),
            lambda: savedcards.make_default(cards[3]),
            lambda: save(customer, NUMBERS["amex"][0]),
        ]
    )

    def act():
        next(acts)()

    at_once(6, act)
    assert SavedCard.objects.count() == 4
    assert len(defaults(customer)) == 1


# --- Lists ----------------------------------------------------------------------------------------------------------


def test_orders_are_counted_by_card_and_customer_in_one_query(wire, customer, canary, django_assert_num_queries):
    paid, unused = make_saved_card(customer, canary("paid")), make_saved_card(customer, canary("unused"))
    bob = make_user("bob")
    make_orders(3, customer, paid.card)
    make_orders(2, bob, paid.card)
    wire.calls.clear()
    with django_assert_num_queries(1):
        rows = list(SavedCard.objects.for_customer(customer).for_list().with_order_counts())
    assert {row.token: row.order_count for row in rows} == {paid.token: 3, unused.token: 0}
    assert not wire.calls
