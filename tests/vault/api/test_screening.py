"""Card data anywhere but in `pan` (trials B4, B5), and what only looks like it."""

import secrets
import uuid

import pytest

from orders.models import Order
from tests.factories import client_of, make_card, make_order, make_user
from vault.api.screening import InvalidHeaders, screen_headers
from vault.models import Card

pytestmark = pytest.mark.django_db
TOKENS, ORDERS = "/api/v1/tokens/", "/api/v1/orders/"
CONTENT = {"name": "Milk jug", "amount": "24.90", "currency": "EUR"}


@pytest.fixture
def api():
    return client_of(make_user("shop", "vault.tokenize_pan", "orders.add_order"))


def nothing_is_stored(wire) -> bool:
    return not (Order.objects.exists() or Card.objects.exists() or sum(wire.calls.values()))


def errors_of(answer) -> list[tuple[str, str]]:
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    return [(next(each[place] for place in ("pointer", "parameter", "header") if place in each), each["code"])
            for each in answer.json()["errors"]]  # fmt: skip


PLACES = {
    "name": (lambda pan: {"name": pan}, "/name"),
    "in words": (lambda pan: {"name": f"call me, {pan[:4]} {pan[4:8]} {pan[8:12]} {pan[12:]}!"}, "/name"),
    "description": (lambda pan: {"description": pan}, "/description"),
    "amount": (lambda pan: {"amount": pan}, "/amount"),
    "a number": (lambda pan: {"amount": int(pan)}, "/amount"),
    "token": (lambda pan: {"token": pan}, "/token"),
    "unknown key": (lambda pan: {"metadata": {"note": pan}}, "/metadata/note"),
    "a list": (lambda pan: {"metadata": [1, {"x": [pan]}]}, "/metadata/1/x/0"),
    "a key": (lambda pan: {"metadata": {pan: 1}}, "/metadata"),
    "inside pan": (lambda pan: {"pan": {"number": pan}}, "/pan/number"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_card_number_in_another_place_is_refused_by_its_place(api, wire, canary, place):
    make, pointer = PLACES[place]
    wire.calls.clear()
    digits = canary(place)
    answer = api.post(ORDERS, CONTENT | {"pan": canary("order")} | make(digits))
    assert (pointer, "contains_pan") in errors_of(answer)
    assert digits not in answer.text
    assert nothing_is_stored(wire)


@pytest.mark.parametrize("key", ["cvv", "card_cvc", "CVV2", "securityCode", "pin", "track2", "cvv\u200b2"])
@pytest.mark.parametrize("wrap", [lambda extra: extra, lambda extra: {"card": extra}], ids=["top", "nested"])
def test_what_may_never_be_kept_is_refused_under_any_name(api, wire, canary, key, wrap):
    wire.calls.clear()
    answer = api.post(TOKENS, {"pan": canary("token"), **wrap({key: "737"})})
    assert "forbidden" in {code for _, code in errors_of(answer)}
    assert "737" not in answer.text.replace(answer["Request-Id"], "")
    assert nothing_is_stored(wire)


@pytest.mark.parametrize("header", ["User-Agent", "Referer", "X-Customer", "Cookie", "If-Match", "Idempotency-Key"])
def test_a_card_number_in_a_header_is_refused_by_the_name_of_the_header(api, wire, canary, header):
    wire.calls.clear()
    digits = canary(header)
    value = f"session={digits}" if header == "Cookie" else digits
    answer = api.post(TOKENS, {"pan": canary("token")}, headers={header: value})
    assert errors_of(answer) == [(header, "contains_pan")]
    assert digits not in answer.text
    assert nothing_is_stored(wire)


def test_digits_of_other_scripts_in_a_header_are_digits(api, canary):
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in canary("header"))
    answer = api.get(ORDERS, headers={"X-Customer": wide.encode().decode("latin-1")})
    assert errors_of(answer) == [("X-Customer", "contains_pan")]


def test_a_card_number_as_the_name_of_a_header_is_not_repeated(api, canary):
    digits = canary("header")
    answer = api.get(ORDERS, headers={f"X-{digits}": "1"})
    assert errors_of(answer) == [("", "contains_pan")]
    assert digits not in answer.text


@pytest.mark.parametrize("where", ["path", "query", "encoded"])
def test_a_card_number_in_the_address_is_a_problem(api, canary, where):
    digits = canary("address")
    address = {
        "path": f"{TOKENS}{digits}/",
        "query": f"{ORDERS}?name={digits}",
        "encoded": f"{ORDERS}?q=" + "".join(f"%{ord(digit):x}" for digit in digits),
    }[where]
    answer = api.get(address)
    assert (answer.status_code, answer.json()["code"]) == (400, "pan_in_url")
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/problem+json", "no-store")
    assert answer.json()["request_id"] == answer["Request-Id"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("?colour=red", [("colour", "unknown")], id="unknown"),
        pytest.param("?status=placed&status=cancelled", [("status", "repeated")], id="twice"),
        pytest.param("?status=lost", [("status", "invalid_choice")], id="choice"),
        pytest.param("?last4=12", [("last4", "invalid")], id="last4"),
        pytest.param("?token=tok1_x", [("token", "invalid")], id="token"),
        pytest.param("?placed_from=yesterday", [("placed_from", "invalid")], id="moment"),
        pytest.param("?page_size=0", [("page_size", "min_value")], id="no page"),
        pytest.param("?ordering=customer", [("ordering", "invalid_choice")], id="ordering"),
        pytest.param("?cursor=nonsense", [("cursor", "invalid")], id="cursor"),
        pytest.param("?format=html", [("format", "unknown")], id="format"),
    ],
)
def test_a_query_is_as_strict_as_a_body(api, query, expected):
    answer = api.get(ORDERS + query)
    assert errors_of(answer) == expected
    assert "yesterday" not in answer.text
    assert "nonsense" not in answer.text


@pytest.mark.parametrize("address", [f"{TOKENS}?x=1", f"{ORDERS}?status=placed"])
def test_a_post_takes_no_query(api, canary, address):
    assert api.post(address, {"pan": canary("post")}).status_code == 400


def test_nesting_ends_somewhere(api):
    body = '{"a":' * 17 + "1" + "}" * 17
    answer = api.post(TOKENS, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_no_false_alarm_on_what_is_in_headers_every_day():
    for _ in range(3000):
        trace = secrets.token_hex(16), secrets.token_hex(8)
        screen_headers(
            {
                "Traceparent": f"00-{trace[0]}-{trace[1]}-01",
                "Sentry-Trace": f"{trace[0]}-{trace[1]}-1",
                "B3": f"{trace[0]}-{trace[1]}-1-{trace[1]}",
                "X-Amzn-Trace-Id": f"Root=1-{secrets.token_hex(4)}-{secrets.token_hex(12)}",
                "Idempotency-Key": str(uuid.uuid4()),
                "User-Agent": "python-httpx/0.28.1",
                "Date": "Tue, 24 Nov 2026 19:00:00 GMT",
            }
        )


# --- ETags ----------------------------------------------------------------------------------------------------------


def test_what_somebody_has_already_is_not_sent_again(canary):
    api = client_of(make_user("viewer", "vault.view_card"))
    address = f"{TOKENS}{make_card(canary('etag')).token}/"
    tag = api.get(address)["ETag"]
    for wanted in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = api.get(address, headers={"If-None-Match": wanted})
        assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag)
    assert api.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


def test_an_order_that_changed_meanwhile_is_not_cancelled(canary):
    shop = make_user("shop", "orders.change_order")
    order, api = make_order(shop, make_card(canary("etag"))), client_of(shop)
    address = f"{ORDERS}{order.public_id}/"
    tag = api.get(address)["ETag"]
    Order.objects.update(name="Another jug")
    answer = api.post(f"{address}cancel/", {}, headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    assert Order.objects.get().status == Order.Status.PLACED
    answer = api.post(f"{address}cancel/", {}, headers={"If-Match": api.get(address)["ETag"]})
    assert answer.json()["status"] == "cancelled"


def test_no_answer_may_be_stored_on_the_way(api, canary):
    answers = [
        api.get(ORDERS),
        api.get(f"{ORDERS}nothing/"),
        api.post(TOKENS, {"pan": canary("cache")}),
        api.post(TOKENS, {}),
        api.delete(ORDERS),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 201, 400, 405]
    assert {answer["Cache-Control"] for answer in answers} == {"no-store"}
    assert len({answer["Request-Id"] for answer in answers}) == 5


@pytest.mark.parametrize("name", ["Traceparent", "Sentry-Trace", "B3"])
def test_what_is_no_trace_is_screened_in_the_header_of_one(canary, name):
    with pytest.raises(InvalidHeaders):
        screen_headers({name: canary("trace")})
