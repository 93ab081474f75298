import importlib
import time

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.urls import clear_url_caches, resolve
from django.urls.exceptions import Resolver404

import billing.urls
from tests.factories import make_user
from vault import problems

ADDRESSES = {
    "web": ["/", "/orders/", "/cards/"],
    "admin": ["/admin/", "/admin/orders/order/"],
    "api": ["/api/v1/orders/", "/api/v1/tokens/", "/api/schema/", "/api/docs/", "/api/problems/"],
}


@pytest.fixture
def serve(settings, monkeypatch):
    """Build the URLs again for other surfaces."""
    # Loading the module wraps it once more.
    monkeypatch.setattr(admin.site, "login", admin.site.login)

    def build(*surfaces):
        settings.SURFACES = list(surfaces)
        importlib.reload(billing.urls)
        clear_url_caches()

    yield build
    settings.SURFACES = ["web", "api", "admin"]
    importlib.reload(billing.urls)
    clear_url_caches()


def is_served(address):
    try:
        resolve(address, "billing.urls")
    except Resolver404:
        return False
    return True


@pytest.mark.parametrize("surface", ADDRESSES)
def test_a_process_serves_its_surface_alone(serve, surface):
    serve(surface)
    for other, addresses in ADDRESSES.items():
        for address in set(addresses) - {"/"}:
            assert is_served(address) is (other == surface), address
    assert is_served("/healthz")
    assert is_served("/readyz")
    assert is_served("/accounts/login/") is (surface != "api")


@pytest.mark.django_db
@pytest.mark.parametrize("surface", ["api", "admin"])
def test_a_page_that_is_not_there_needs_no_other_surface(serve, client, surface):
    serve(surface)
    assert "Not found" in client.get("/nowhere/").text


@pytest.mark.django_db
@pytest.mark.parametrize("surface", ["api", "admin", "web"])
@pytest.mark.parametrize("is_staff", [False, True], ids=["customer", "staff"])
def test_nor_does_it_for_who_is_signed_in_elsewhere_on_this_host(serve, client, surface, is_staff):
    serve(surface)
    client.force_login(make_user(is_staff=is_staff))
    page = client.get("/nowhere/")
    assert page.status_code == 404
    assert "Not found" in page.text


@pytest.mark.django_db
def test_an_idle_session_of_staff_ends_where_only_the_api_is_served(serve, client, monkeypatch):
    client.force_login(make_user("clerk", is_staff=True))
    client.get("/admin/")
    later = time.time() + 901
    monkeypatch.setattr("billing.sessions.time.time", lambda: later)
    serve("api")
    assert client.get("/api/schema/").status_code == 200
    assert "_auth_user_id" not in client.session


@pytest.mark.django_db
def test_who_signs_in_to_the_admin_alone_lands_there(serve, client):
    serve("admin")
    make_user("clerk", is_staff=True, password="correct horse battery")
    answer = client.post(
        "/accounts/login/", {"login": "clerk@example.com", "password": "correct horse battery"}, follow=True
    )
    assert answer.redirect_chain[-1][0] == "/admin/"
    assert answer.status_code == 200


def test_the_admin_is_entered_through_the_sign_in_of_the_pages(client):
    assert client.get("/admin/login/?next=/admin/")["Location"] == "/accounts/login/?next=%2Fadmin%2F"


@pytest.mark.parametrize("address", ["/api/v1/tokens", "/api/v1/orders", "/api/nowhere"])
def test_a_program_that_forgets_the_slash_is_told(client, address):
    answer = client.post(address, {}, content_type="application/json")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert "end with a slash" in answer.json()["detail"]


@pytest.mark.parametrize("address", ["/api/nowhere/", "/api/v1/nowhere/"])
def test_the_api_answers_with_a_problem_where_there_is_nothing(client, address):
    answer = client.get(address)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json() == problems.body_of(problems.NOT_FOUND, request_id=answer["Request-Id"])
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.django_db
def test_the_api_describes_itself(client):
    schema = client.get("/api/schema/", headers={"Accept": "application/json"}).json()
    assert schema["openapi"].startswith("3.1")
    assert {"/api/v1/orders/", "/api/v1/tokens/", "/api/v1/tokens/{token}/"} <= schema["paths"].keys()
    pan = schema["components"]["schemas"]["NewTokenRequest"]["properties"]["pan"]
    assert pan["writeOnly"] is True


def test_the_description_of_the_api_is_valid(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))
