"""Requests that nobody sends by mistake: refused with 4xx, never 500 and never taken."""

import tracemalloc

import pytest
from django.contrib.auth.models import Permission, User
from knox.models import AuthToken

from vault.models import Card

pytestmark = pytest.mark.django_db


@pytest.fixture
def headers():
    user = User.objects.create_user("shop")
    user.user_permissions.add(Permission.objects.get(codename="tokenize_pan"))
    return {"Authorization": f"Token {AuthToken.objects.create(user)[1]}"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 50_000, id="deep"),
        pytest.param(b'{"pan": NaN}', id="nan"),
        pytest.param(b'\xef\xbb\xbf{"pan": "1"}', id="byte-order-mark"),
        pytest.param(b'{"pan": "\xff"}', id="invalid-utf-8"),
        pytest.param(b'{"pan": "\\ud800"}', id="lone-surrogate"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_a_body_that_is_not_one_is_refused(client, headers, body):
    response = client.post("/api/v1/tokens/", body, content_type="application/json", headers=headers)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert not Card.objects.exists()


@pytest.mark.parametrize(
    "value", ["Token \xff", "Token", "Token a b", "Token " + "a" * 10_000, "Bearer x", "Basic eDp5"]
)
def test_an_authorization_that_is_not_one_is_refused(client, canary, value):
    response = client.post(
        "/api/v1/tokens/", {"pan": canary("body")}, content_type="application/json", headers={"Authorization": value}
    )
    assert response.status_code == 401
    assert not Card.objects.exists()


def test_a_name_that_stands_twice_is_refused(client, headers, canary):
    body = f'{{"pan": "{canary("first")}", "pan": "{canary("second")}"}}'
    assert client.post("/api/v1/tokens/", body, content_type="application/json", headers=headers).status_code == 400
    assert not Card.objects.exists()


def test_a_single_card_is_taken_in_a_small_body_and_many_in_a_large_one(client, headers, canary):
    rest = " " * 64 * 1024
    single = f'{{"pan": "{canary("single")}"{rest}}}'
    many = f'{{"rows": [{{"pan": "{canary("many")}"}}]{rest}}}'
    answers = [
        client.post(f"/api/v1/tokens/{path}", body, content_type="application/json", headers=headers)
        for path, body in [("", single), ("batch/", many)]
    ]
    assert [answer.status_code for answer in answers] == [413, 200]


def test_a_body_over_the_limit_is_refused(client, headers, canary, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    body = f'{{"pan": "{canary("large")}"{" " * 100}}}'
    response = client.post("/api/v1/tokens/", body, content_type="application/json", headers=headers)
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert not Card.objects.exists()


@pytest.mark.parametrize(
    ("address", "body"),
    [
        pytest.param("", {"x": [{"cvv": 0}] * 1001}, id="card-data"),
        pytest.param("", {f"a{number}": 0 for number in range(1001)}, id="unknown"),
        pytest.param("detokenize/", {"tokens": [0] * 1000, "purpose": "refund"}, id="elements"),
        pytest.param("detokenize/", {"tokens": [0] * 1001, "purpose": "refund"}, id="too-many"),
    ],
)
def test_an_answer_does_not_grow_with_what_is_wrong(client, headers, body, address):
    answer = client.post(f"/api/v1/tokens/{address}", body, content_type="application/json", headers=headers)
    assert answer.status_code == 400
    assert len(answer.json()["errors"]) <= 100


def test_a_body_in_chunks_is_refused_and_not_passed_over(client, headers):
    answer = client.post("/api/v1/tokens/", headers=headers | {"Transfer-Encoding": "chunked"})
    assert [each.get("header") for each in answer.json()["errors"]] == ["Transfer-Encoding"]


def test_the_name_of_a_parameter_that_stands_twice_is_repeated_only_if_it_is_a_name(client, headers):
    answer = client.get("/api/v1/orders/?call+me=1&call+me=2&status=a&status=b", headers=headers)
    assert [(each["parameter"], each["code"]) for each in answer.json()["errors"]] == [
        ("", "repeated"),
        ("status", "repeated"),
    ]


@pytest.mark.parametrize("body", [{"x": "1 " * 500_000}, {"1 " * 500_000: "x"}], ids=["value", "key"])
def test_a_text_longer_than_any_field_takes_is_not_looked_through(client, headers, body):
    tracemalloc.start()
    answer = client.post("/api/v1/tokens/batch/", body, content_type="application/json", headers=headers)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "max_length" in {each["code"] for each in answer.json()["errors"]}
    assert peak < 30_000_000
