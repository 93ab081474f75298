"""Requests that nobody sends by mistake: refused with 4xx, never 500 and never taken."""

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
        pytest.param(b"[" * 100_000, id="deep"),
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


def test_a_body_over_the_limit_is_refused(client, headers, canary, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    body = f'{{"pan": "{canary("large")}"{" " * 100}}}'
    response = client.post("/api/v1/tokens/", body, content_type="application/json", headers=headers)
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert not Card.objects.exists()
