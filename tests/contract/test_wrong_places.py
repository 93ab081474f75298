"""A card number in every place of the description where none belongs: it is refused, and said by nobody."""

import json

import pytest

from tests.contract.accounts import ALL_RIGHTS, make_account
from tests.contract.harness import DESCRIPTION
from tests.contract.stock import Stock
from tests.factories import client_of, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.either]

CONTENT = json.loads(DESCRIPTION.read_text())
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, methods in CONTENT["paths"].items()
    for method, operation in methods.items()
}


def places_of(method, operation):
    """Each parameter, and each text of the body but `pan`, as (where, name)."""
    places = [(each["in"], each["name"]) for each in operation.get("parameters", ())]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    schema = CONTENT["components"]["schemas"][body["$ref"].rpartition("/")[2]] if "$ref" in body else {}
    # An operation without a body refuses one as well, but for GET: there HTTP lets nobody look at it.
    names = [name for name in schema.get("properties", {}) if name != "pan"] + ["not_known"]
    return places + [("body", name) for name in names if method != "get"]


CASES = [
    (name, *place) for name, (method, _, operation) in OPERATIONS.items() for place in places_of(method, operation)
]


@pytest.mark.parametrize(("name", "where", "place"), CASES, ids=["-".join(case) for case in CASES])
def test_a_card_number_is_refused(canary, name, where, place):
    account = make_account(ALL_RIGHTS)
    stock = Stock(account, make_user("somebody"))
    method, path, _ = OPERATIONS[name]
    digits = canary("misplaced")
    address = path.format(token=stock.tokens[0], public_id=stock.orders[0])
    if where == "path":
        address = path.format(**{place: digits})
    elif where == "query":
        address = f"{address}?{place}={digits}"
    headers = {place: digits} if where == "header" else {}
    body = {place: [digits] if place in ("rows", "tokens") else digits} if where == "body" else {}

    if method == "get":
        answer = client_of(account).get(address, headers=headers)
    else:
        answer = getattr(client_of(account), method)(address, body, headers=headers)
    assert answer.status_code in (400, 404)
    assert digits not in answer.content.decode()
