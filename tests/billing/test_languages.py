"""Pages in the language of whoever reads them; the API in one."""

import pytest
from django.conf import settings
from django.urls import reverse

from tests.factories import make_user

pytestmark = pytest.mark.django_db
GERMAN = {"headers": {"Accept-Language": "de-AT,de;q=0.9"}}


def test_a_browser_is_answered_in_its_language(client):
    assert '<html lang="de">' in client.get("/accounts/login/", **GERMAN).text
    assert '<html lang="en">' in client.get("/accounts/login/", headers={"Accept-Language": "fr"}).text


def test_a_chosen_language_stays(client):
    answer = client.post("/language/", {"language": "de", "next": "/accounts/login/"})
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")
    assert client.cookies[settings.LANGUAGE_COOKIE_NAME]["httponly"]
    assert '<html lang="de">' in client.get("/accounts/login/").text
    assert 'value="en" lang="en">English' in client.get("/accounts/login/").text


@pytest.mark.parametrize("address", ["//elsewhere.example/", "https://elsewhere.example/", "javascript:alert(1)"])
def test_the_way_back_leads_nowhere_else(client, address):
    assert client.post("/language/", {"language": "de", "next": address})["Location"] == "/"


def test_a_card_number_on_the_way_back_is_refused(client, canary):
    answer = client.post("/language/", {"language": "de", "next": f"/orders/?number={canary('next')}"})
    assert answer.status_code == 400
    assert settings.LANGUAGE_COOKIE_NAME not in client.cookies


@pytest.mark.parametrize("address", ["/orders/?before={}", "/orders/?q={}", "/{}/"])
def test_no_page_repeats_a_card_number_of_its_address(client, settings, canary, address):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith("RefusePANInURLMiddleware")]
    client.force_login(make_user())
    digits = canary("address")
    assert digits not in client.get(address.format(digits)).text


def test_the_api_speaks_english(client):
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "de"
    for address, title in {
        reverse("api_orders:orders"): "No token was sent.",
        "/api/v1/nowhere/": "There is no such thing.",
    }.items():
        answer = client.get(address, **GERMAN)
        assert answer.json()["title"] == title
        assert "Accept-Language" not in answer.get("Vary", "")
        assert answer.get("Content-Language") is None


def test_staff_choose_their_language_in_the_admin(client):
    client.force_login(make_user("sue", is_staff=True))
    assert 'name="language" value="de"' in client.get("/admin/").text
