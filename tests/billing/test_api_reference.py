"""The page of the API against the document that it shows."""

import json

from django.conf import settings

from billing.api_reference import reference
from billing.templatetags.api_text import api_text

DOCUMENT = json.loads((settings.BASE_DIR / "docs" / "openapi.json").read_text())
OPERATIONS = {each.key: each for section in reference() for each in section.operations}


def test_every_operation_is_there_with_every_answer():
    found = {
        (operation["operationId"], path, method.upper(), tuple(operation["responses"]))
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    shown = {(each.key, each.path, each.method, tuple(a.status for a in each.answers)) for each in OPERATIONS.values()}
    assert shown == found


def test_references_are_followed_into_fields():
    names = {field.name: field for field in OPERATIONS["list_orders"].answers[0].fields}
    assert {"next", "results", "results[].id", "results[].card.token", "results[].card.brand"} <= set(names)
    assert names["results[].card.brand"].kind.startswith("visa | mastercard")
    body = {field.name: field for field in OPERATIONS["tokenize"].fields}
    assert (body["pan"].is_required, body["expires"].is_required) == (True, False)


def test_examples_are_those_of_the_document():
    example = OPERATIONS["tokenize"].answers[0].examples[0]
    shown = DOCUMENT["paths"]["/api/v1/tokens/"]["post"]["responses"]["200"]["content"]["application/json"]["examples"]
    assert json.loads(example.text) == shown["known"]["value"]


def test_a_text_is_escaped_and_its_code_is_marked():
    assert api_text("Send `a < b`.\n\n- one\n- two") == (
        "<p>Send <code>a &lt; b</code>.</p><ul><li>one</li><li>two</li></ul>"
    )
