import json
from pathlib import Path

import jsonschema
import pytest
from django.core.management import call_command

from billing import openapi
from tests.factories import client_of, make_card, make_order, make_user
from vault import problems
from vault.redaction import contains_pan
from vault.tokens import Token

COMMITTED = Path("docs/openapi.json")
DOCUMENT = json.loads(COMMITTED.read_text())
OPERATIONS = {
    each["operationId"]: {"method": method, "path": path, **each}
    for path, methods in DOCUMENT["paths"].items()
    for method, each in methods.items()
}
# About no operation: another method, a number that comes in where no serializer looks at it, and what stands for a status.
NOWHERE = {"method_not_allowed", "invalid_pan", "conflict"}


def named(operations):
    return pytest.mark.parametrize("operation", operations, ids=[each["operationId"] for each in operations])


def validator_of(schema):
    return jsonschema.Draft202012Validator(schema | {"components": DOCUMENT["components"]})


def contents_of(operation):
    """Every media type of an operation, by what it is of."""
    found = [("request", each) for each in operation.get("requestBody", {}).get("content", {}).values()]
    for status, response in operation["responses"].items():
        found += [(status, each) for each in response.get("content", {}).values()]
    return found


def example_at(example):
    reference = example.get("$ref")
    return DOCUMENT["components"]["examples"][reference.rpartition("/")[2]] if reference else example


def leaves_of(value, key=""):
    if isinstance(value, dict):
        return [leaf for name, each in value.items() for leaf in leaves_of(each, name)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in leaves_of(each, key)]
    return [(key, value)]


def kinds_of(operation) -> set[str]:
    return {
        name
        for status, content in contents_of(operation)
        if status.startswith(("4", "5"))
        for name in content["examples"]
    }


# --- It is what the code says ---------------------------------------------------------------------------------------


def test_the_committed_description_is_that_of_the_code(tmp_path):
    fresh = tmp_path / "openapi.json"
    call_command("spectacular", "--format", "openapi-json", "--file", str(fresh))
    assert fresh.read_text() == COMMITTED.read_text(), "run `make schema`"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Token expired"}], ids=["stranger", "wrong token"])
def test_the_served_description_is_the_committed_one(client, headers):
    assert client.get("/api/schema/", headers=headers).json() == DOCUMENT


def test_an_example_of_what_is_not_there_is_an_error(tmp_path, monkeypatch):
    examples = tmp_path / "examples.json"
    examples.write_text('{"no_such_operation": {"responses": {}}}')
    monkeypatch.setattr(openapi, "EXAMPLES", examples)
    with pytest.raises(KeyError):
        openapi.add_examples({"paths": {}})


# --- It says what a stranger needs ----------------------------------------------------------------------------------


@named(OPERATIONS.values())
def test_an_operation_has_a_name_a_summary_a_right_a_limit_and_examples(operation):
    assert "_" in operation["operationId"] or operation["operationId"] in {"tokenize", "detokenize"}
    assert 5 < len(operation["summary"]) < 60
    assert "Takes the right `" in operation["description"] or "Takes no right" in operation["description"]
    assert "counts in the limit `" in operation["description"]
    assert all(content.get("examples") for _, content in contents_of(operation))


@named(OPERATIONS.values())
def test_every_example_is_valid(operation):
    for _, content in contents_of(operation):
        for example in content["examples"].values():
            validator_of(content["schema"]).validate(example_at(example)["value"])


@named(OPERATIONS.values())
def test_every_answer_has_an_id_and_is_not_kept(operation):
    for response in operation["responses"].values():
        assert {"Request-Id", "Cache-Control"} <= response["headers"].keys()


@named([each for each in OPERATIONS.values() if each["method"] == "post"])
def test_a_post_takes_a_key(operation):
    assert "Idempotency-Key" in [each["name"] for each in operation["parameters"]]
    assert {"idempotency_in_progress", "idempotency_key_reused"} <= kinds_of(operation)


@named([each for each in OPERATIONS.values() if each["method"] != "post"])
def test_no_other_method_does(operation):
    assert "Idempotency-Key" not in [each["name"] for each in operation["parameters"]]
    assert "422" not in operation["responses"]


def test_every_kind_of_error_is_that_of_some_operation():
    found = set().union(*map(kinds_of, OPERATIONS.values()))
    assert found == {kind.code for kind in problems.kinds()} - NOWHERE


@pytest.mark.parametrize(
    ("name", "right", "kinds"),
    [
        ("tokenize", "`vault.tokenize_pan`", {"permission_denied"}),
        ("describe_token", "`vault.view_card` or `vault.tokenize_pan`", {"permission_denied", "not_found"}),
        ("erase_token", "`vault.erase_card`", {"access_denied", "not_found", "on_hold"}),
        ("search_token", "`vault.search_pan`", {"access_denied", "not_found"}),
        ("detokenize", "`vault.detokenize_pan`", {"detokenization_denied", "not_found", "card_erased"}),
        ("detokenize_batch", "`vault.detokenize_pan`", {"detokenization_denied"}),
        ("list_orders", None, set()),
        ("get_order", None, {"not_found"}),
        ("place_order", "`orders.add_order`", {"permission_denied"}),
        (
            "cancel_order",
            "`orders.change_order`",
            {"permission_denied", "not_found", "order_not_cancellable", "precondition_failed"},
        ),
    ],
)
def test_an_operation_says_its_right_and_the_errors_of_its_own(name, right, kinds):
    operation = OPERATIONS[name]
    own = {"403", "404", "409", "410", "412"}
    found = {
        code
        for status, content in contents_of(operation)
        if status in own
        for code in content["examples"]
        if not code.startswith("idempotency")
    }
    assert (f"Takes the right {right}." in operation["description"]) is (right is not None)
    assert found == kinds


# --- It is tight ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in DOCUMENT["components"]["schemas"] if name.endswith("Request")])
def test_what_a_request_does_not_know_is_refused(name):
    schema = DOCUMENT["components"]["schemas"][name]
    assert schema["additionalProperties"] is False
    assert all("type" in each or "$ref" in each or "allOf" in each for each in schema["properties"].values())


ORDER = {"name": "Milk jug", "amount": "24.90", "currency": "EUR"}
TOKEN = Token.generate().text


@pytest.mark.parametrize(
    ("changes", "is_valid"),
    [
        ({"token": TOKEN}, True),
        ({"pan": "0000 0000 0000 0000"}, True),
        ({"pan": "0000 0000 0000 0000", "expires": "2030-12"}, True),
        ({}, False),
        ({"token": TOKEN, "pan": "0000 0000 0000 0000"}, False),
        ({"token": TOKEN, "expires": "2030-12"}, False),
        ({"token": TOKEN, "cvc": "123"}, False),
        ({"token": TOKEN, "amount": 24.9}, False),
        ({"token": TOKEN, "amount": "0.00"}, False),
        ({"token": TOKEN, "amount": "1.005"}, False),
        ({"token": TOKEN, "amount": "-1"}, False),
        ({"token": TOKEN, "currency": "XXX"}, False),
        ({"token": TOKEN, "name": " "}, False),
        ({"token": "tok1_x"}, False),
    ],
)
def test_the_description_of_an_order_accepts_what_the_api_does(changes, is_valid):
    validator = validator_of({"$ref": "#/components/schemas/NewOrderRequest"})
    assert validator.is_valid(ORDER | changes) is is_valid


def test_a_card_number_stands_in_pan_alone():
    stray = [key for key, value in leaves_of(DOCUMENT) if key != "pan" and contains_pan(str(value))]
    assert stray == []


# --- What it says of headers is so ----------------------------------------------------------------------------------


@pytest.fixture
def addresses(canary):
    """Where each operation on one thing is, and who may ask."""
    shop = make_user("shop", "vault.tokenize_pan", "orders.add_order", "orders.change_order")
    card = make_card(canary("card"))
    parts = {"token": card.token, "public_id": make_order(shop, card.token).public_id}
    return client_of(shop), {name: each["path"].format(**parts) for name, each in OPERATIONS.items()}


@pytest.mark.django_db
@named([each for each in OPERATIONS.values() if each["method"] == "get"])
def test_304_and_an_etag_are_there_where_they_are_described(addresses, operation):
    api, address = addresses
    answer = api.get(address[operation["operationId"]], headers={"If-None-Match": "*"})
    assert str(answer.status_code) == ("304" if "304" in operation["responses"] else "200")
    described = operation["responses"][str(answer.status_code)]["headers"]
    assert answer.has_header("ETag") is ("ETag" in described)
    assert described.keys() <= {name.title().replace("Etag", "ETag") for name in answer.headers}


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["cancel_order", "pay_order_again"])
def test_412_is_there_where_it_is_described(addresses, name):
    api, address = addresses
    assert "412" in OPERATIONS[name]["responses"]
    body = {} if name == "cancel_order" else {"token": Token.generate().text}
    assert api.post(address[name], body, headers={"If-Match": '"other"'}).status_code == 412


@pytest.mark.django_db
def test_what_was_made_says_where_it_is_as_described(addresses, canary):
    api, address = addresses
    kept = api.post(address["tokenize"], {"pan": canary("new")})
    placed = api.post(address["place_order"], ORDER | {"token": kept.json()["token"]})
    for name, answer in (("tokenize", kept), ("place_order", placed)):
        assert "Location" in OPERATIONS[name]["responses"]["201"]["headers"]
        assert api.get(answer["Location"]).status_code == 200
