import uuid

import pytest
from django.urls import reverse

from orders.models import Order, SavedCard
from tests.billing.people import sent_code
from tests.cards import NUMBERS
from tests.factories import last_month, make_card, make_order, make_orders, make_saved_card, make_user, next_year
from tests.orders.test_forms import MISTYPED, filled
from vault.models import Card

pytestmark = pytest.mark.django_db
NEW = "/orders/new/"


@pytest.fixture
def customer():
    return make_user()


@pytest.fixture
def browser(client, customer):
    client.force_login(customer)
    return client


@pytest.fixture
def foreign(canary):
    """An order and a saved card of somebody else."""
    bob = make_user("bob")
    saved = make_saved_card(bob, canary("foreign"))
    return make_order(bob, saved.card)


def nothing_is_stored(wire) -> bool:
    return not (
        Order.objects.exists() or SavedCard.objects.exists() or Card.objects.exists() or sum(wire.calls.values())
    )


# --- The way of a customer ------------------------------------------------------------------------------------------


def test_a_customer_signs_up_orders_pays_again_and_staff_find_both(client, admin_client):
    account = {"email": "eve@example.com", "password1": "correct horse battery", "password2": "correct horse battery"}
    assert client.post("/accounts/signup/", account).status_code == 302
    client.post("/accounts/confirm-email/", {"code": sent_code()})

    placed = client.post(NEW, filled(number=NUMBERS["visa"][0], name="First"), follow=True)
    assert "Your order is placed." in placed.text
    assert "Visa •••• 1111" in client.get("/orders/").text

    token = SavedCard.objects.get().token.text
    client.post(NEW, filled(payment=token, number="", expires="", name="Second"))
    orders = client.get("/orders/").text
    assert orders.count("Visa •••• 1111") == 2
    assert NUMBERS["visa"][0] not in orders

    found = admin_client.get("/admin/orders/order/?q=1111").text
    assert "First" in found
    assert "Second" in found


def test_an_order_is_paid_again_with_a_saved_card(browser, customer, canary):
    order = make_order(customer, make_card(canary("order")))
    saved = make_saved_card(customer, canary("saved"))
    address = reverse("orders:pay_again", args=[order.public_id])
    assert str(saved) in browser.get(address).text
    browser.post(address, {"payment": saved.token.text, "submission": uuid.uuid4()})
    assert Order.objects.get(repeat_of=order).card == saved.card


def test_an_order_is_cancelled_after_a_question(browser, customer, canary):
    order = make_order(customer, make_card(canary("order")))
    address = reverse("orders:cancel", args=[order.public_id])
    assert "Cancel this order?" in browser.get(address).text
    assert Order.objects.get().status == Order.Status.PLACED
    assert "The order is cancelled." in browser.post(address, follow=True).text
    assert "cancelled already" in browser.post(address, follow=True).text


def test_a_card_is_removed_after_a_question(browser, customer, canary):
    saved = make_saved_card(customer, canary("saved"))
    address = reverse("orders:card_remove", args=[saved.token])
    assert str(saved) in browser.get(address).text
    assert SavedCard.objects.exists()
    browser.post(address)
    assert not SavedCard.objects.exists()


def test_a_form_sent_twice_is_one_order(browser, canary):
    form = filled(number=canary("order"))
    first, second = browser.post(NEW, form), browser.post(NEW, form)
    assert first["Location"] == second["Location"]
    assert Order.objects.count() == 1


FULL_WIDTH = {ord("0") + digit: ord("０") + digit for digit in range(10)}

# --- Wrong input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number",
    ["", MISTYPED, MISTYPED[:-1], "four one one one", NUMBERS["visa"][0].translate(FULL_WIDTH)],
    ids=["empty", "Luhn", "length", "letters", "full-width"],
)
def test_a_wrong_number_is_explained_beside_the_field_and_nothing_is_stored(browser, wire, number):
    page = browser.post(NEW, filled(number=number))
    assert page.status_code == 200
    assert 'id="id_number_error"' in page.text
    assert 'aria-describedby="id_number_error"' in page.text
    assert not number or number not in page.text
    assert nothing_is_stored(wire)


def test_the_card_fields_come_back_empty_and_the_others_filled(browser, wire, canary):
    digits = canary("order")
    page = browser.post(NEW, filled(number=digits, amount="none")).text
    assert digits not in page
    assert f"{next_year():%m/%y}" not in page
    assert 'value="Milk jug"' in page
    assert nothing_is_stored(wire)


@pytest.mark.parametrize("field", ["name", "description"])
def test_a_card_number_in_a_text_field_is_refused_and_not_shown_again(browser, wire, canary, field):
    digits = canary(field)
    page = browser.post(NEW, filled(**{field: digits, "number": canary("order")})).text
    assert "Card numbers belong in the card field only." in page
    assert digits not in page
    assert nothing_is_stored(wire)


def test_the_owner_of_an_order_cannot_be_chosen(browser, customer, canary):
    other = make_user("bob")
    browser.post(NEW, filled(number=canary("order"), customer=other.pk, customer_id=other.pk, status="cancelled"))
    order = Order.objects.get()
    assert (order.customer, order.status) == (customer, Order.Status.PLACED)


@pytest.mark.parametrize("page", ["new", "pay_again"])
def test_the_list_of_errors_leads_somewhere_when_the_only_card_was_removed_meanwhile(browser, customer, canary, page):
    saved = make_saved_card(customer, canary("saved"))
    order = make_order(customer, saved.card)
    saved.delete()
    address = reverse(f"orders:{page}", args=[order.public_id] if page == "pay_again" else [])
    answer = browser.post(address, filled(payment=order.card.token.text)).text
    assert '<a href="#id_payment_0">' in answer
    assert 'id="id_payment_0"' in answer


def test_a_card_that_expired_since_it_was_chosen_is_refused(browser, customer, canary):
    saved = make_saved_card(customer, canary("saved"), last_month())
    page = browser.post(NEW, filled(payment=saved.token.text, number="", expires=""))
    assert "Choose one of your cards." in page.text
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("code", "retry_after", "text"),
    [("ThrottlingException", "5", "try again in a few seconds"), ("AccessDeniedException", None, "try again later")],
)
def test_a_vault_that_does_not_answer_is_explained_and_nothing_is_stored(
    browser, canary, wire, code, retry_after, text
):
    wire.fail("TransactWriteItems", code)
    digits = canary("order")
    page = browser.post(NEW, filled(number=digits))
    assert (page.status_code, page.get("Retry-After")) == (503, retry_after)
    assert text in page.text
    assert 'value="Milk jug"' in page.text
    assert digits not in page.text
    assert not Order.objects.exists()


def test_a_saved_card_pays_while_the_vault_does_not_answer(browser, customer, canary, wire):
    saved = make_saved_card(customer, canary("saved"))
    wire.fail("TransactWriteItems", "ThrottlingException")
    browser.post(NEW, filled(payment=saved.token.text, number="", expires=""))
    assert Order.objects.get().card == saved.card


# --- Whose it is ----------------------------------------------------------------------------------------------------

PAGES = ["/", "/orders/", NEW, "/cards/"]


@pytest.mark.parametrize("address", PAGES)
def test_strangers_are_asked_to_sign_in(client, foreign, address):
    answer = client.get(address)
    assert answer.headers["Location"] == f"/accounts/login/?next={address}"
    assert client.post(NEW, filled()).status_code == 302
    assert Order.objects.get() == foreign


@pytest.mark.parametrize("page", ["detail", "pay_again", "cancel"])
def test_the_order_of_another_customer_does_not_exist(browser, foreign, page):
    address = reverse(f"orders:{page}", args=[foreign.public_id])
    for answer in (browser.get(address), browser.post(address, {"submission": uuid.uuid4()})):
        assert answer.status_code in {404, 405}
        assert foreign.name not in answer.text
    foreign.refresh_from_db()
    assert foreign.status == Order.Status.PLACED
    assert Order.objects.count() == 1


@pytest.mark.parametrize("side", ["before", "after"])
def test_the_order_of_another_customer_is_no_border_of_a_page(browser, foreign, side):
    assert browser.get(f"/orders/?{side}={foreign.public_id}").status_code == 404


def test_the_card_of_another_customer_does_not_exist(browser, foreign):
    address = reverse("orders:card_remove", args=[foreign.card.token])
    assert browser.get(address).status_code == browser.post(address).status_code == 404
    page = browser.post(NEW, filled(payment=foreign.card.token.text, number="", expires=""))
    assert "Choose one of your cards." in page.text
    assert SavedCard.objects.count() == Order.objects.count() == 1


def test_lists_show_own_things_only(browser, foreign):
    for address in PAGES:
        page = browser.get(address).text
        assert foreign.public_id not in page
        assert foreign.card.last4 not in page


# --- Lists ----------------------------------------------------------------------------------------------------------


def cost_of(client, address, django_assert_max_num_queries):
    with django_assert_max_num_queries(20) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


@pytest.mark.parametrize("address", ["/", "/orders/"])
def test_a_list_costs_the_same_for_100_orders_as_for_10_and_asks_nothing_of_aws(
    browser, customer, canary, wire, django_assert_max_num_queries, address
):
    card = make_card(canary("list"))
    make_orders(10, customer, card)
    # The first page of a session notes whose it is.
    browser.get(address)
    few = cost_of(browser, address, django_assert_max_num_queries)
    make_orders(90, customer, card)
    wire.calls.clear()
    assert cost_of(browser, address, django_assert_max_num_queries) == few
    assert not wire.calls


def test_orders_come_in_pages_of_25_that_lead_to_each_other(browser, customer, canary):
    orders = make_orders(60, customer, make_card(canary("list")))
    first = browser.get("/orders/").text
    assert first.count('<th scope="row">') == 25
    assert "Newer" not in first
    assert f"?before={orders[24].public_id}" in first
    second = browser.get(f"/orders/?before={orders[24].public_id}").text
    assert f"?after={orders[25].public_id}" in second
    third = browser.get(f"/orders/?before={orders[49].public_id}").text
    assert third.count('<th scope="row">') == 10
    assert "Older" not in third


def test_orders_are_filtered_by_status(browser, customer, canary):
    card = make_card(canary("list"))
    make_order(customer, card, name="Kept")
    make_order(customer, card, name="Given up", status=Order.Status.CANCELLED)
    page = browser.get("/orders/?status=cancelled").text
    assert "Given up" in page
    assert "Kept" not in page


# --- Every page -----------------------------------------------------------------------------------------------------


def test_no_page_of_a_customer_is_kept_by_a_cache(browser, customer, canary):
    saved = make_saved_card(customer, canary("saved"))
    order = make_order(customer, saved.card)
    addresses = [
        *PAGES,
        *(reverse(f"orders:{page}", args=[order.public_id]) for page in ("detail", "pay_again", "cancel")),
        reverse("orders:card_remove", args=[saved.token]),
    ]
    for address in addresses:
        answer = browser.get(address)
        assert answer.status_code == 200
        assert "no-store" in answer["Cache-Control"]
        assert "default-src 'none'" in answer["Content-Security-Policy"]


def test_signing_out_takes_a_post(browser):
    assert 'action="/accounts/logout/"' in browser.get("/").text
    browser.get("/accounts/logout/")
    assert browser.get("/").status_code == 200
    browser.post("/accounts/logout/")
    assert browser.get("/").status_code == 302


def test_a_text_is_escaped(browser, customer, canary):
    make_order(customer, make_card(canary("list")), name="<script>alert(1)</script>", description="{{ order.card }}")
    assert "<script>" not in browser.get("/orders/").text
    page = browser.get(f"/orders/{Order.objects.get().public_id}/").text
    assert "{{ order.card }}" in page
