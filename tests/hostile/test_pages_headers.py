"""Card data in what no form looks at: headers, cookies, the names of fields and of files (trials B4, B5)."""

import pytest
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from orders.models import Order, SavedCard
from tests.factories import make_card, make_order, make_saved_card, make_user
from tests.vault.recipients import public_pem
from vault.models import ExportRequest

pytestmark = [pytest.mark.django_db, pytest.mark.either]
PAGES = ["/orders/", "/orders/new/", "/accounts/login/", "/admin/orders/order/", "/healthz", "/nowhere/"]
HEADERS = ["User-Agent", "Referer", "X-Request-ID", "Idempotency-Key", "Accept-Language", "X-Forwarded-For", "X-Other"]
COOKIES = ["sessionid", "csrftoken", "django_language", "messages"]
FULL_WIDTH = {ord(digit): chr(ord(digit) + 0xFEE0) for digit in "0123456789"}


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("page", PAGES)
def test_a_card_number_in_a_header_is_refused(client, canary, page, header):
    client.force_login(make_user("ada", is_staff=True, is_superuser=True))
    digits = canary(header)
    answer = client.get(page, headers={header: f"card {digits}"})
    assert (answer.status_code, header.title() in answer.text) == (400, True)
    assert digits not in answer.text
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("name", COOKIES)
def test_a_card_number_in_a_cookie_of_ours_is_refused_and_not_looked_for(client, canary, name):
    client.cookies[name] = canary(name)
    assert client.get("/orders/").status_code == 400
    assert not Session.objects.exists()


def test_a_cookie_of_somebody_else_is_not_read(client, canary):
    client.force_login(make_user())
    client.cookies["visitor_of_the_shop_next_door"] = canary("cookie")
    assert client.get("/orders/").status_code == 200


def test_digits_of_other_scripts_in_a_header_are_digits(client, canary):
    wide = canary("header").translate(FULL_WIDTH).encode().decode("latin-1")
    assert client.get("/accounts/login/", headers={"X-Other": wide}).status_code == 400


@pytest.mark.parametrize("name", ["{}", "x{}", "{}.pem", "card[{}]"])
def test_a_card_number_as_the_name_of_a_field_is_refused(client, canary, name):
    ada = make_user()
    order = make_order(ada, make_card(canary("order")))
    client.force_login(ada)
    answer = client.post(f"/orders/{order.public_id}/cancel/", {name.format(canary("field")): "1"})
    assert answer.status_code == 400
    assert Order.objects.get().status == Order.Status.PLACED


def test_a_card_number_as_the_name_of_a_file_is_refused(client, canary, settings):
    settings.VAULT = settings.VAULT | {"CONFIRM_IDENTITY": "tests.vault.admin.identity.is_fresh"}
    client.force_login(make_user("ada", "vault.request_export", is_staff=True))
    make_card(canary("card"))
    asked = {"recipient": "B", "purpose": "settlement", "reason": "x", "ticket": "T", "selection": "all"}
    key = public_pem("p-256").encode()
    for name, status, count in ((f"{canary('file')}.pem", 400, 0), ("key.pem", 302, 1)):
        answer = client.post("/admin/vault/exportrequest/ask/", asked | {"key_file": SimpleUploadedFile(name, key)})
        assert (answer.status_code, ExportRequest.objects.count()) == (status, count)


KEYS = [
    "cvv",
    "CVV2",
    "card_cvc",
    "cardCvv",
    "card[cvv]",
    "security-code",
    "pin",
    "track2",
    "trackData",
    "ｃｖｖ",
    "cv\u200bv",
]


@pytest.mark.parametrize("key", KEYS)
def test_what_may_never_be_kept_is_not_taken_from_a_form(client, canary, key):
    ada = make_user()
    saved = make_saved_card(ada, canary("saved"))
    client.force_login(ada)
    answer = client.post(f"/cards/{saved.token}/", {"nickname": "Team card", key: "737"})
    assert answer.status_code == 400
    assert "737" not in answer.text
    assert SavedCard.objects.get().nickname == ""


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("page", ["/orders/", "/accounts/login/", "/admin/orders/order/"])
def test_nor_from_an_address(client, page, key):
    client.force_login(make_user("ada", is_staff=True, is_superuser=True))
    answer = client.get(page, {key: "737"})
    assert answer.status_code == 400
    assert "737" not in answer.text


def test_it_is_said_in_the_language_of_the_page(canary):
    answer = Client().get("/accounts/login/", headers={"X-Other": canary("header"), "Accept-Language": "de"})
    assert "Kartennummer" in answer.text
