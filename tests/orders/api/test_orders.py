import json
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders.models import Order, SavedCard
from tests.cards import NUMBERS, with_check_digit
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
from vault.models import Card
from vault.tokens import Token

pytestmark = pytest.mark.django_db
ORDERS = "/api/v1/orders/"
CONTENT = {"name": "Milk jug", "description": "Half a liter", "amount": "24.90", "currency": "EUR"}


@pytest.fixture
def shop():
    return make_user("shop", "orders.add_order", "orders.change_order")


@pytest.fixture
def api(shop):
    return client_of(shop)


def nothing_is_stored(wire) -> bool:
    return not (
        Order.objects.exists() or SavedCard.objects.exists() or Card.objects.exists() or sum(wire.calls.values())
    )


def errors_of(answer) -> dict[str, str]:
    assert answer.status_code == 400, answer.text
    assert answer["Content-Type"] == "application/problem+json"
    return {each["pointer"]: each["detail"] for each in answer.json()["errors"]}


# --- Placing --------------------------------------------------------------------------------------------------------


def test_an_order_is_placed_with_a_number_and_answered_without_digits(api, shop, canary):
    digits = canary("api")
    answer = api.post(ORDERS, CONTENT | {"pan": digits, "expires": f"{next_year():%Y-%m}"})
    order = Order.objects.get()
    assert answer.status_code == 201
    assert order.customer == shop
    assert answer.json() == CONTENT | {
        "id": order.public_id,
        "status": "placed",
        "card": {"token": order.card.token.text, "brand": "visa", "last4": digits[-4:], "on_file": True},
        "placed_at": answer.json()["placed_at"],
        "cancelled_at": None,
        "repeat_of": None,
    }
    assert digits not in answer.text
    assert Card.objects.get().expires == next_year()


def test_an_amount_has_the_places_of_its_currency(api, canary):
    answer = api.post(ORDERS, CONTENT | {"pan": canary("api"), "amount": "1200", "currency": "JPY"})
    assert answer.json()["amount"] == "1200"


def test_an_order_is_placed_with_an_own_saved_card(api, shop, canary):
    saved = make_saved_card(shop, canary("saved"))
    assert api.post(ORDERS, CONTENT | {"token": saved.token.text}).status_code == 201
    assert Order.objects.get().card == saved.card


@pytest.mark.parametrize("whose", ["another's", "nobody's"])
def test_a_token_that_is_not_the_callers_is_as_unknown_as_an_unknown_one(api, canary, whose):
    foreign = make_saved_card(make_user("bob"), canary("foreign")).token
    token = foreign if whose == "another's" else Token.generate()
    assert errors_of(api.post(ORDERS, CONTENT | {"token": token.text})) == {"/token": "This card is not available."}
    assert not Order.objects.exists()


def test_a_trusted_account_pays_with_any_token(canary):
    card = make_card(canary("card"))
    trusted = client_of(make_user("trusted", "orders.add_order", "vault.tokenize_pan"))
    assert trusted.post(ORDERS, CONTENT | {"token": card.token}).status_code == 201


def test_an_expired_card_is_refused(api, shop, canary):
    saved = make_saved_card(shop, canary("saved"), last_month())
    answer = api.post(ORDERS, CONTENT | {"token": saved.token.text})
    assert errors_of(answer) == {"/token": "This card has expired. Use another one."}
    assert not Order.objects.exists()


DIGITS = NUMBERS["visa"][0]
ONE = "Give exactly one of pan and token."
UNKNOWN = "This field is not known here."


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        pytest.param({"pan": DIGITS[:-1] + "2"}, {"/pan"}, id="Luhn"),
        pytest.param({"pan": DIGITS[:-1]}, {"/pan"}, id="length"),
        pytest.param({"pan": "four one"}, {"/pan"}, id="letters"),
        pytest.param({"pan": ""}, {"/pan"}, id="empty"),
        pytest.param({"pan": int(DIGITS)}, {"/pan"}, id="number"),
        pytest.param({"pan": float(DIGITS)}, {"/pan"}, id="float"),
        pytest.param({"pan": [DIGITS]}, {"/pan"}, id="list"),
        pytest.param({"pan": {"number": DIGITS}}, {"/pan/number"}, id="object"),
        pytest.param({"pan": None}, {"/pan"}, id="null"),
        pytest.param({"pan": True}, {"/pan"}, id="true"),
        pytest.param({"pan": DIGITS, "token": "tok1_no"}, {"/token"}, id="malformed token"),
        pytest.param({"pan": DIGITS, "token": str(Token.generate())}, {""}, id="number and token"),
        pytest.param({}, {""}, id="neither"),
        pytest.param({"token": str(Token.generate()), "expires": "2040-01"}, {"/expires"}, id="expiry of a token"),
        pytest.param({"pan": DIGITS, "expires": "2020-01"}, {"/expires"}, id="expired"),
        pytest.param({"pan": DIGITS, "expires": DIGITS}, {"/expires"}, id="number as expiry"),
        pytest.param({"pan": DIGITS, "name": DIGITS}, {"/name"}, id="number as name"),
        pytest.param({"pan": DIGITS, "name": int(DIGITS)}, {"/name"}, id="JSON number as name"),
        pytest.param({"pan": DIGITS, "description": f"x {DIGITS}"}, {"/description"}, id="number in description"),
        pytest.param({"pan": DIGITS, "amount": DIGITS}, {"/amount"}, id="number as amount"),
        pytest.param({"pan": DIGITS, "amount": "0"}, {"/amount"}, id="nothing"),
        pytest.param({"pan": DIGITS, "amount": "NaN"}, {"/amount"}, id="not a number"),
        pytest.param({"pan": DIGITS, "amount": "1.5", "currency": "JPY"}, {"/amount"}, id="half a yen"),
        pytest.param({"pan": DIGITS, "currency": DIGITS}, {"/currency"}, id="number as currency"),
        pytest.param({"pan": DIGITS, "cvv": "123"}, {"/cvv"}, id="cvv"),
        pytest.param({"pan": DIGITS, "customer": 1, "status": "x"}, {"/customer", "/status"}, id="owner and status"),
        pytest.param({"pan": DIGITS, DIGITS: "x"}, {""}, id="number as key"),
    ],
)
def test_what_is_wrong_is_named_and_not_quoted_and_stores_nothing(api, wire, changes, errors):
    answer = api.post(ORDERS, CONTENT | changes)
    assert set(errors_of(answer)) == errors
    assert DIGITS[:6] not in answer.text
    assert nothing_is_stored(wire)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b'{"pan": NaN}', b"\xef\xbb\xbf{}"])
def test_a_body_that_is_no_object_is_refused(api, wire, body):
    answer = api.generic("POST", ORDERS, body, content_type="application/json")
    assert answer.status_code == 400
    assert nothing_is_stored(wire)


def test_json_alone_is_taken(api, wire):
    assert api.post(ORDERS, CONTENT | {"pan": DIGITS}, format="multipart").status_code == 415
    assert nothing_is_stored(wire)


def test_a_vault_that_does_not_answer_is_503_and_nothing_is_stored(api, wire, canary):
    wire.fail("TransactWriteItems", "ThrottlingException")
    answer = api.post(ORDERS, CONTENT | {"pan": canary("api")})
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert not Order.objects.exists()


# --- Acting on an order ---------------------------------------------------------------------------------------------


def test_an_order_is_cancelled_once(api, shop, canary):
    order = make_order(shop, make_card(canary("order")))
    address = f"{ORDERS}{order.public_id}/cancel/"
    assert api.post(address).json()["status"] == "cancelled"
    again = api.post(address)
    assert (again.status_code, again.json()["detail"]) == (409, "This order is cancelled already.")


def test_an_order_is_paid_again_with_a_saved_card(api, shop, canary):
    order = make_order(shop, make_card(canary("order")))
    saved = make_saved_card(shop, canary("saved"))
    answer = api.post(f"{ORDERS}{order.public_id}/pay-again/", {"token": saved.token.text})
    assert answer.status_code == 201
    assert answer.json()["repeat_of"] == order.public_id
    assert answer.json()["card"]["token"] == saved.token.text


# --- Rights ---------------------------------------------------------------------------------------------------------

READ, ACT = ("", "get"), [("cancel/", "post"), ("pay-again/", "post")]


@pytest.mark.parametrize(
    ("rights", "acts", "expected"),
    [
        pytest.param((), [READ, *ACT], {404, 403}, id="no right"),
        pytest.param(("orders.add_order", "orders.change_order"), [READ, *ACT], {404}, id="own orders only"),
        pytest.param(("orders.view_order",), ACT, {403}, id="sees all, may do nothing"),
        pytest.param(("orders.view_order", "orders.add_order", "orders.change_order"), ACT, {403}, id="not the owner"),
    ],
)
def test_nobody_acts_on_the_order_of_another(canary, rights, acts, expected):
    bob = make_user("bob")
    order = make_order(bob, make_saved_card(bob, canary("order")).card)
    caller = client_of(make_user("caller", *rights))
    for path, method in acts:
        body = {"token": order.card.token.text} if method == "post" else None
        answer = getattr(caller, method)(f"{ORDERS}{order.public_id}/{path}", body)
        assert answer.status_code in expected
        assert order.card.last4 not in answer.text
    order.refresh_from_db()
    assert order.status == Order.Status.PLACED
    assert Order.objects.count() == 1


def test_placing_takes_the_right_to(wire, canary):
    digits = canary("api")
    answer = client_of(make_user()).post(ORDERS, CONTENT | {"pan": digits})
    assert answer.status_code == 403
    assert digits not in answer.text
    assert nothing_is_stored(wire)


def test_acting_on_own_orders_takes_the_right_to(canary):
    user = make_user()
    saved = make_saved_card(user, canary("order"))
    order = make_order(user, saved.card)
    for path in ("cancel/", "pay-again/"):
        answer = client_of(user).post(f"{ORDERS}{order.public_id}/{path}", {"token": saved.token.text})
        assert answer.status_code == 403
    assert list(Order.objects.values_list("status", flat=True)) == [Order.Status.PLACED]


def test_the_list_shows_own_orders_and_with_the_right_all(canary):
    card = make_card(canary("order"))
    ada, bob, clerk = make_user(), make_user("bob"), make_user("clerk", "orders.view_order")
    own = make_order(ada, card)
    make_order(bob, card)
    assert [each["id"] for each in client_of(ada).get(ORDERS).json()["results"]] == [own.public_id]
    assert len(client_of(clerk).get(ORDERS).json()["results"]) == 2
    assert client_of(clerk).get(f"{ORDERS}{own.public_id}/").json()["id"] == own.public_id


@pytest.mark.parametrize("credentials", [{}, {"HTTP_AUTHORIZATION": "Token nonsense"}], ids=["none", "wrong"])
def test_strangers_get_401(client, canary, wire, credentials):
    order = make_order(make_user(), make_card(canary("order")))
    wire.calls.clear()
    for method, path in [
        ("get", ""),
        ("post", ""),
        ("get", f"{order.public_id}/"),
        ("post", f"{order.public_id}/cancel/"),
    ]:
        answer = getattr(client, method)(ORDERS + path, **credentials)
        assert answer.status_code == 401
        assert order.card.last4 not in answer.text
    assert list(Order.objects.values_list("status", flat=True)) == [Order.Status.PLACED]
    assert not wire.calls


def test_a_session_of_the_pages_does_not_open_the_api(client):
    client.force_login(make_user())
    assert client.get(ORDERS).status_code == 401


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_an_order_is_not_changed_or_deleted(api, shop, canary, method):
    order = make_order(shop, make_card(canary("order")))
    answer = getattr(api, method)(f"{ORDERS}{order.public_id}/", {"amount": "1.00"})
    assert answer.status_code == 405
    assert Order.objects.get().amount == Decimal("24.90")


# --- Lists ----------------------------------------------------------------------------------------------------------


def test_a_list_costs_the_same_for_100_orders_as_for_10_and_asks_nothing_of_aws(
    api, shop, canary, wire, django_assert_max_num_queries
):
    card = make_card(canary("list"))
    # The first request within a minute makes the row that counts them, and the one of the token's use.
    api.get(ORDERS)
    counts = []
    for more in (10, 90):
        make_orders(more, shop, card)
        wire.calls.clear()
        with django_assert_max_num_queries(15) as queries:
            results = api.get(ORDERS).json()["results"]
        counts.append(len(queries))
        assert not wire.calls
    assert len(results) == 100
    assert counts[0] == counts[1]


def test_pages_lead_to_each_other(api, shop, canary):
    make_orders(201, shop, make_card(canary("list")))
    first = api.get(f"{ORDERS}?page_size=200").json()
    assert len(first["results"]) == 200
    second = api.get(first["next"]).json()
    assert len(second["results"]) == 1
    assert {each["id"] for each in first["results"]}.isdisjoint(each["id"] for each in second["results"])


def test_a_page_is_not_larger_than_200(api):
    answer = api.get(f"{ORDERS}?page_size=201")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (400, "page_size")


def test_everything_is_json(api):
    answer = api.get(ORDERS, HTTP_ACCEPT="text/html")
    assert answer.status_code == 406
    json.loads(answer.content)


@pytest.mark.parametrize("made", [str.upper, lambda name: f"{name} ", lambda _: with_check_digit("9" * 15)],
                         ids=["upper case", "space", "card of no brand"])  # fmt: skip
def test_what_cannot_name_an_order_is_not_looked_for(api, shop, canary, made):
    order = make_order(shop, make_card(canary("order")))
    with CaptureQueriesContext(connection) as queries:
        assert api.get(f"{ORDERS}{made(order.public_id)}/").status_code == 404
    assert not [each for each in queries if "orders_order" in each["sql"]]
