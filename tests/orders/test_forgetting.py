"""Customers remove their saved cards: what goes, what another customer keeps, and what a crash on the way leaves."""

import json
import re
from contextlib import suppress

import pytest
from django.test import Client
from django.urls import reverse

from orders import savedcards
from orders.models import Order, SavedCard
from tests.factories import make_order, make_orders, make_saved_card, make_user
from tests.orders.test_services import at_once
from vault import erasure
from vault.exceptions import AuditUnavailable, VaultUnavailable
from vault.models import AuditEvent, Card, ErasureCertificate
from vault.pan import PAN
from vault.services import Status, tokenize

pytestmark = pytest.mark.django_db
REMOVED = "The card is removed. We do not keep it for you any more."


@pytest.fixture
def digits(canary):
    return canary("saved card")


@pytest.fixture
def customer():
    return make_user()


@pytest.fixture
def saved(wire, customer, digits):
    """`wire` comes first, so that it hears all that is asked of AWS."""
    return make_saved_card(customer, digits)


@pytest.fixture
def shared(saved, digits):
    """The same card, saved by somebody else."""
    return make_saved_card(make_user("bob"), digits)


@pytest.fixture
def browser(client, customer):
    client.force_login(customer)
    return client


def page_of(saved):
    return reverse("orders:card_remove", args=[saved.token])


def is_in_vault(vault, card):
    items = vault.session.dynamodb().scan(TableName=vault.config.TABLE)["Items"]
    return any(item["token"]["S"] == card.token.text for item in items)


def hold(saved):
    lawyer = make_user("lea", "vault.hold_card")
    erasure.hold(saved.token, actor=lawyer, reason="Court order")


def nothing_is_changed(vault, saved):
    card = Card.objects.get(token=saved.token.text)
    return (
        not card.is_erased
        and is_in_vault(vault, saved)
        and SavedCard.objects.filter(pk=saved.pk).exists()
        and not ErasureCertificate.objects.exists()
    )


# --- What goes ------------------------------------------------------------------------------------------------------


def test_the_number_goes_and_the_orders_stay(vault, customer, saved):
    order = make_order(customer, saved.card)
    savedcards.forget_card(saved)
    assert not SavedCard.objects.exists()
    assert not is_in_vault(vault, saved)
    kept = Order.objects.get()
    assert (str(kept.card), kept.is_card_erased) == (str(order.card), True)


def test_the_certificate_names_the_customer_as_cardholder(customer, saved):
    savedcards.forget_card(saved)
    facts = json.loads(ErasureCertificate.objects.get().content)
    assert (facts["basis"], facts["actor"], facts["token"]) == ("cardholder", str(customer.pk), saved.token.text)
    (event,) = AuditEvent.objects.filter(operation="erase", outcome="done")
    assert (event.actor, event.reason) == (str(customer.pk), "The customer removed the card from the saved ones.")


def test_the_number_can_be_saved_again_under_another_token(customer, saved, digits):
    savedcards.forget_card(saved)
    again = tokenize(PAN(digits))
    assert (again.status, again.token == saved.token) == (Status.CREATED, False)


def test_a_card_that_another_customer_has_saved_stays_until_the_last_one_removes_it(vault, saved, shared):
    savedcards.forget_card(saved)
    assert SavedCard.objects.get() == shared
    assert is_in_vault(vault, shared)
    assert not Card.objects.get().is_erased
    assert not AuditEvent.objects.filter(operation="erase").exists()
    savedcards.forget_card(shared)
    assert not is_in_vault(vault, shared)


@pytest.mark.django_db(transaction=True)
def test_several_who_remove_the_same_card_at_once_leave_nothing(vault, canary):
    digits = canary("shared")
    rows = [make_saved_card(make_user(name), digits) for name in ("ada", "bob", "eve", "mia")]
    left = iter(rows)
    at_once(len(rows), lambda: savedcards.forget_card(next(left)))
    assert not SavedCard.objects.exists()
    assert not is_in_vault(vault, rows[0])
    assert ErasureCertificate.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_remove_the_same_card_at_once_one_can_ask_again_if_it_cannot_be_erased(vault, canary, faults):
    digits = canary("shared")
    rows = [make_saved_card(make_user(name), digits) for name in ("ada", "bob")]
    left = iter(rows)
    faults.add("deny:2006 before write of vault_auditevent #*")

    def forget():
        with suppress(AuditUnavailable):
            savedcards.forget_card(next(left))

    at_once(len(rows), forget)
    assert SavedCard.objects.count() == 1
    faults.clear()
    savedcards.forget_card(SavedCard.objects.get())
    assert not is_in_vault(vault, rows[0])


def test_a_card_under_legal_hold_stays_and_is_off_the_list(vault, saved):
    hold(saved)
    savedcards.forget_card(saved)
    assert not SavedCard.objects.exists()
    assert is_in_vault(vault, saved)
    assert not Card.objects.get().is_erased


def test_a_card_that_staff_erased_meanwhile_is_taken_off(customer, saved):
    certificate = erasure.erase(saved.token, actor=customer, reason="Asked by mail", is_owner=True)
    savedcards.forget_card(saved)
    assert not SavedCard.objects.exists()
    assert ErasureCertificate.objects.get() == certificate


def test_a_card_that_the_vault_does_not_know_is_taken_off(saved):
    Card.objects.all().delete()
    savedcards.forget_card(SavedCard.objects.get())
    assert not SavedCard.objects.exists()


# --- A crash on the way ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["TransactWriteItems", "GenerateMac"])
def test_what_a_crash_cut_off_is_finished_by_the_same_again(vault, saved, wire, operation):
    wire.fail(operation, "ThrottlingException")
    with pytest.raises(VaultUnavailable):
        savedcards.forget_card(saved)
    assert SavedCard.objects.get().is_card_erased
    assert not ErasureCertificate.objects.exists()
    wire.heal()
    savedcards.forget_card(SavedCard.objects.get())
    assert not SavedCard.objects.exists()
    assert not is_in_vault(vault, saved)
    assert ErasureCertificate.objects.count() == 1


def test_a_crash_before_the_row_is_deleted_leaves_a_row_that_can_be_removed(vault, customer, saved, browser):
    erasure.erase(saved.token, actor=customer, reason="Removed", is_owner=True)
    assert "Card no longer on file" in browser.get("/cards/").text
    assert REMOVED in browser.post(page_of(saved), follow=True).text
    assert not SavedCard.objects.exists()


def test_what_a_crash_cut_off_is_finished_though_another_customer_has_saved_the_card(vault, saved, shared, wire):
    Card.objects.update(status=Card.Status.ERASED)
    savedcards.forget_card(SavedCard.objects.get(pk=saved.pk))
    assert not is_in_vault(vault, saved)


@pytest.mark.parametrize(
    ("code", "retry_after", "hint"),
    [("ThrottlingException", "5", "try again in a few seconds"), ("AccessDeniedException", None, "try again later")],
)
def test_the_page_says_that_the_vault_does_not_answer(browser, saved, wire, code, retry_after, hint):
    wire.fail("TransactWriteItems", code)
    answer = browser.post(page_of(saved))
    assert (answer.status_code, answer.get("Retry-After")) == (503, retry_after)
    assert hint in answer.text
    assert 'type="submit">Remove card' in answer.text
    assert SavedCard.objects.exists()
    wire.heal()
    assert REMOVED in browser.post(page_of(saved), follow=True).text


# --- The page -------------------------------------------------------------------------------------------------------


def test_the_page_asks_first_and_says_what_happens(browser, vault, customer, saved):
    assert "No order shows this card." in browser.get(page_of(saved)).text
    make_orders(2, customer, saved.card)
    make_order(make_user("bob"), saved.card)
    page = browser.get(page_of(saved)).text
    assert str(saved) in page
    assert "Its number is erased for good" in page
    assert "2 orders show this card. They stay as they are, with the brand and the last four digits." in page
    assert nothing_is_changed(vault, saved)


def read_on_the_way(customer, digits, prepare=lambda saved: None):
    """What a customer reads who removes the card, without what differs from one card to the next."""
    client, saved = Client(), make_saved_card(customer, digits)
    client.force_login(customer)
    prepare(saved)
    pages = [client.get(page_of(saved)), client.post(page_of(saved), follow=True)]
    text = " ".join(re.sub(r"<[^>]+>", " ", page.text) for page in pages)
    assert REMOVED in text
    return " ".join(text.replace(saved.card.last4, "last4").replace(customer.email, "email").split())


def test_nobody_is_told_what_became_of_the_number(canary):
    shared = canary("shared")
    make_saved_card(make_user("bob"), shared)
    alone = read_on_the_way(make_user("ada"), canary("alone"))
    assert read_on_the_way(make_user("eve"), shared) == alone
    assert read_on_the_way(make_user("mia"), canary("held"), hold) == alone
    assert Card.objects.filter(status=Card.Status.ERASED).count() == 1


VISITORS = {
    "anonymous": (lambda: None, 302),
    "other customer": (lambda: make_user("eve"), 404),
    "staff with the right": (lambda: make_user("eve", "vault.erase_card", "orders.view_savedcard", is_staff=True), 404),
    "superuser": (lambda: make_user("eve", is_superuser=True, is_staff=True), 404),
}


@pytest.mark.parametrize(("who", "status"), VISITORS.values(), ids=VISITORS)
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_card_of_another_customer_does_not_exist(client, vault, saved, who, status, method):
    if user := who():
        client.force_login(user)
    answer = getattr(client, method)(page_of(saved))
    assert answer.status_code == status
    assert saved.card.last4 not in answer.text
    assert nothing_is_changed(vault, saved)


def test_it_takes_the_token_of_the_form(customer, vault, saved):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(customer)
    assert strict.post(page_of(saved)).status_code == 403
    assert nothing_is_changed(vault, saved)


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_nothing_but_a_post_removes(browser, vault, saved, method):
    assert getattr(browser, method)(page_of(saved)).status_code == 405
    assert nothing_is_changed(vault, saved)


def test_removing_twice_is_not_found(browser, saved):
    assert browser.post(page_of(saved)).status_code == 302
    assert browser.post(page_of(saved)).status_code == 404
