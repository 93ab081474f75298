import uuid
from decimal import Decimal
from threading import Barrier, Thread

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from orders import services
from orders.exceptions import CardExpired, CardNotAvailable, OrderNotCancellable
from orders.models import Order, Saved, SavedCard
from tests.factories import CONTENT, last_month, make_card, make_order, make_saved_card, make_user, next_year
from vault.exceptions import CardErased, VaultSealed, VaultUnavailable
from vault.models import Card
from vault.pan import PAN
from vault.tokens import Token

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer():
    return make_user()


def place(customer, card, **changes):
    return services.place(**{"customer": customer, "card": card, **CONTENT, **changes})


def nothing_is_stored(wire) -> bool:
    return not (
        Order.objects.exists() or SavedCard.objects.exists() or Card.objects.exists() or sum(wire.calls.values())
    )


# --- A new card -----------------------------------------------------------------------------------------------------


def test_a_new_card_pays_and_is_saved_under_one_token(customer, canary):
    digits = canary("order")
    order = place(customer, PAN(digits), expires=next_year())
    saved = SavedCard.objects.get()
    assert (saved.customer, saved.token, saved.expires) == (customer, order.card.token, next_year())
    assert order.saved == Saved(saved, "created")
    assert str(Order.objects.get().card) == f"Visa •••• {digits[-4:]}"


def test_a_new_card_is_not_saved_if_it_is_not_wanted(customer, canary):
    assert place(customer, PAN(canary("order")), save_card=False).saved is None
    assert Order.objects.count() == 1
    assert not SavedCard.objects.exists()


def test_the_vault_is_asked_once_for_an_order_and_its_saved_card(customer, canary, wire):
    place(customer, PAN(canary("order")))
    assert wire.calls["TransactWriteItems"] == 1


def test_a_card_that_is_saved_already_takes_over_the_new_expiry(customer, canary):
    saved = make_saved_card(customer, digits := canary("order"), last_month())
    order = place(customer, PAN(digits), expires=next_year())
    saved.refresh_from_db()
    assert SavedCard.objects.count() == 1
    assert saved.expires == next_year()
    assert order.saved == Saved(saved, "updated")


@pytest.mark.parametrize("expires", [None, next_year()], ids=["without an expiry", "with the same"])
def test_a_card_that_is_saved_already_is_said_to_be(customer, canary, expires):
    saved = make_saved_card(customer, digits := canary("order"), next_year())
    assert place(customer, PAN(digits), expires=expires).saved == Saved(saved, "existing")


def test_what_is_paid_with_a_saved_card_changes_no_saved_card(customer, canary):
    assert place(customer, make_saved_card(customer, canary("saved"))).saved is None


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"name": ""}, id="no name"),
        pytest.param({"name": "x" * 101}, id="long name"),
        pytest.param({"description": "x" * 1001}, id="long description"),
        pytest.param({"amount": Decimal(0)}, id="nothing"),
        pytest.param({"amount": Decimal(-5)}, id="less than nothing"),
        pytest.param({"amount": Decimal("0.001")}, id="too many places"),
        pytest.param({"amount": Decimal("1e30")}, id="too much"),
        pytest.param({"amount": Decimal("Infinity")}, id="infinite"),
        pytest.param({"amount": Decimal("0.5"), "currency": "JPY"}, id="half a yen"),
        pytest.param({"currency": "XXX"}, id="unknown currency"),
    ],
)
def test_wrong_content_is_refused_before_the_card_is_kept(customer, canary, wire, changes):
    with pytest.raises(ValidationError):
        place(customer, PAN(canary("order")), **changes)
    assert nothing_is_stored(wire)


def test_an_expired_new_card_is_refused_before_it_is_kept(customer, canary, wire):
    with pytest.raises(CardExpired):
        place(customer, PAN(canary("order")), expires=last_month())
    assert nothing_is_stored(wire)


@pytest.mark.parametrize(
    ("code", "expected"), [("ThrottlingException", VaultUnavailable), ("AccessDeniedException", VaultSealed)]
)
def test_nothing_is_stored_if_the_vault_does_not_take_the_card(customer, canary, wire, code, expected):
    wire.fail("TransactWriteItems", code)
    with pytest.raises(expected):
        place(customer, PAN(canary("order")))
    assert not Order.objects.exists()
    assert not SavedCard.objects.exists()
    assert not Card.objects.exists()


# --- A card that is kept already ------------------------------------------------------------------------------------


def test_a_saved_card_pays_without_a_call_to_aws(customer, canary, wire):
    saved = make_saved_card(customer, canary("saved"))
    wire.calls.clear()
    order = place(customer, saved)
    assert order.card.token == saved.token
    assert not wire.calls


@pytest.mark.parametrize("by_token", [False, True], ids=["saved card", "token"])
def test_a_card_of_another_customer_is_not_available(customer, canary, by_token):
    foreign = make_saved_card(make_user("bob"), canary("foreign"))
    with pytest.raises(CardNotAvailable):
        place(customer, foreign.token if by_token else foreign)
    assert not Order.objects.exists()


def test_an_unknown_token_is_no_more_available_than_a_foreign_one(customer):
    trusted = make_user("shop", "vault.tokenize_pan")
    for anybody in (customer, trusted):
        with pytest.raises(CardNotAvailable):
            place(anybody, Token.generate())
    assert not Order.objects.exists()


def test_an_own_token_pays_and_a_trusted_account_uses_any(customer, canary):
    saved = make_saved_card(customer, canary("saved"))
    assert place(customer, saved.token).card == saved.card
    assert place(make_user("shop", "vault.tokenize_pan"), saved.token).card == saved.card


def test_being_a_superuser_is_no_right_to_any_card(customer, canary):
    saved = make_saved_card(customer, canary("saved"))
    with pytest.raises(CardNotAvailable):
        place(make_user("root", is_superuser=True), saved.token)
    assert not Order.objects.exists()


@pytest.mark.parametrize("by_token", [False, True], ids=["saved card", "token"])
def test_an_expired_saved_card_is_refused(customer, canary, by_token):
    saved = make_saved_card(customer, canary("saved"), last_month())
    with pytest.raises(CardExpired):
        place(customer, saved.token if by_token else saved)
    assert not Order.objects.exists()


def test_an_erased_card_is_refused(customer, canary):
    saved = make_saved_card(customer, canary("saved"))
    Card.objects.update(status=Card.Status.ERASED)
    with pytest.raises(CardErased):
        place(customer, saved)
    assert not Order.objects.exists()


def test_paying_again_repeats_the_content_and_names_the_first_order(customer, canary):
    order = make_order(customer, make_card(canary("order")))
    repeat = services.pay_again(order, card=make_saved_card(customer, canary("saved")))
    assert repeat.repeat_of == order
    assert repeat.public_id != order.public_id
    assert {name: getattr(repeat, name) for name in CONTENT} == CONTENT


def test_paying_again_with_the_erased_card_of_the_order_says_so(customer, canary):
    order = make_order(customer, make_card(canary("order")))
    Card.objects.update(status=Card.Status.ERASED)
    with pytest.raises(CardErased):
        services.pay_again(order, card=order.card.token)
    assert Order.objects.count() == 1


def test_paying_again_with_a_card_of_another_customer_is_refused(customer, canary):
    order = make_order(customer, make_card(canary("order")))
    with pytest.raises(CardNotAvailable):
        services.pay_again(order, card=make_saved_card(make_user("bob"), canary("foreign")))
    assert Order.objects.count() == 1


# --- Once -----------------------------------------------------------------------------------------------------------


def test_the_same_submission_is_one_order(customer, canary, wire):
    submission = uuid.uuid4()
    first = place(customer, PAN(canary("first")), submission=submission)
    wire.calls.clear()
    again = place(customer, PAN(canary("again")), submission=submission)
    assert again == first
    assert Order.objects.count() == SavedCard.objects.count() == 1
    assert not wire.calls


def test_another_customer_may_have_the_same_submission(customer, canary):
    submission, card = uuid.uuid4(), PAN(canary("order"))
    assert place(customer, card, submission=submission) != place(make_user("bob"), card, submission=submission)


@pytest.mark.django_db(transaction=True)
def test_of_one_submission_sent_many_times_at_once_one_order_comes(canary):
    customer, card, submission = make_user(), PAN(canary("order")), uuid.uuid4()
    placed = at_once(4, lambda: place(customer, card, submission=submission).public_id)
    assert len(set(placed)) == 1
    assert Order.objects.count() == SavedCard.objects.count() == 1


def test_a_cancelled_order_says_when(customer, canary):
    order = services.cancel(make_order(customer, make_card(canary("order"))))
    assert order.status == Order.Status.CANCELLED
    assert order.cancelled_at > order.placed_at


def test_an_order_that_was_cancelled_meanwhile_cannot_be_cancelled(customer, canary):
    order = make_order(customer, make_card(canary("order")))
    first = services.cancel(Order.objects.get(pk=order.pk))
    with pytest.raises(OrderNotCancellable):
        services.cancel(order)
    order.refresh_from_db()
    assert order.cancelled_at == first.cancelled_at


@pytest.mark.django_db(transaction=True)
def test_of_several_cancellations_at_once_one_succeeds(canary):
    order = make_order(make_user(), make_card(canary("order")))

    def cancel() -> bool:
        try:
            services.cancel(Order.objects.get(pk=order.pk))
        except OrderNotCancellable:
            return False
        return True

    assert sorted(at_once(4, cancel)) == [False, False, False, True]


def at_once(count, act):
    """What `count` threads get that call `act` at the same moment."""
    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        pytest.skip("SQLite in memory refuses a second writer instead of letting it wait.")
    results, barrier = [], Barrier(count)

    def run():
        barrier.wait()
        try:
            results.append(act())
        finally:
            connection.close()

    threads = [Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == count
    return results
