"""Every address of the URLconf: forged forms, methods that nobody uses, hosts that are not ours (trials B9, B11).

The addresses come from the URLconf itself, so that a new one is asked as well.
"""

import re
import uuid

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver

from orders.models import SavedCard
from tests.billing.people import PASSWORD, sign_in
from tests.contract.test_wrong_places import OPERATIONS
from tests.factories import make_order, make_saved_card, make_user
from tests.hostile.test_api_bodies import TAKING, requests_of, state

pytestmark = [pytest.mark.django_db, pytest.mark.either]
SAMPLES = {
    "int": "1", "order": "ord_" + "a" * 26, "token": f"tok1_{uuid.UUID(int=1)}", "str": "x", "path": "x",
}  # fmt: skip


def sampled(pattern: str) -> str:
    """An address for a pattern, with something in the place of each of its parts."""
    if pattern.startswith("admin/^("):
        return "admin/vault/"
    if "(?P" in pattern:
        return "admin/nowhere/"
    return re.sub(r"<(?:(\w+):)?\w+>", lambda part: SAMPLES[part[1] or "str"], pattern)


def addresses() -> list[str]:
    def walk(patterns, start):
        for each in patterns:
            if isinstance(each, URLPattern):
                yield f"/{sampled(f'{start}{each.pattern}')}"
            else:
                yield from walk(each.url_patterns, f"{start}{each.pattern}")

    return sorted(set(walk(get_resolver().url_patterns, "")))


ADDRESSES = addresses()
PAGES = [address for address in ADDRESSES if not address.startswith("/api/v1/")]


def test_there_are_addresses_of_every_surface():
    starts = {address.split("/")[1] for address in ADDRESSES}
    assert {"", "accounts", "admin", "api", "cards", "orders", "language", "healthz"} <= starts
    assert len(ADDRESSES) > 150


@pytest.mark.parametrize("who", ["nobody", "customer", "staff"])
def test_a_form_without_its_token_is_refused_everywhere(who):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    if who != "nobody":
        client.force_login(make_user("ada", is_staff=who == "staff", is_superuser=who == "staff"))
    statuses = {address: client.post(address, {"name": "Forged"}).status_code for address in PAGES}
    # 404 is said of what is not there, before anybody asks for a token; 405 of what takes no form.
    assert {address: status for address, status in statuses.items() if status not in (403, 404, 405)} == {}
    assert statuses["/accounts/login/"] == statuses["/orders/new/"] == statuses["/admin/vault/card/search/"] == 403


def test_a_session_is_nothing_to_the_api(client):
    client.force_login(make_user("ada", is_staff=True, is_superuser=True))
    for method, path, _ in OPERATIONS.values():
        address = path.format(token="tok1_x", public_id="ord_x")
        assert client.generic(method.upper(), address, b"{}", content_type="application/json").status_code == 401


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "PROPFIND", "DEBUG"])
@pytest.mark.parametrize("who", ["nobody", "staff"])
def test_a_method_that_no_page_has_is_refused_everywhere(method, who):
    client = Client(raise_request_exception=False)
    if who == "staff":
        client.force_login(make_user("ada", is_staff=True, is_superuser=True))
    answers = {address: client.generic(method, address, headers={"X-Secret": "5e1f"}) for address in ADDRESSES}
    # The API asks first who it is.
    wrong = {address: answer.status_code for address, answer in answers.items() if answer.status_code not in (401, 405)}
    assert wrong == {}
    assert {answers[address].status_code for address in PAGES} == {405}
    assert not [address for address, answer in answers.items() if "5e1f" in answer.text]


HOSTS = ["evil.example", "testserver.evil.example", "testserver@evil.example", "testserver:80:80", "", "[::1", "a b"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("page", ["/accounts/login/", "/orders/", "/admin/", "/api/v1/orders/", "/nowhere/"])
def test_another_host_is_refused(page, host):
    answer = Client(raise_request_exception=False).get(page, headers={"Host": host})
    assert answer.status_code == 400
    assert host not in answer.text or not host


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Original-Host", "Forwarded", "X-Host", "X-Rewrite-URL"])
def test_what_a_stranger_says_of_the_host_is_not_believed(client, mailoutbox, header):
    user = make_user(password=PASSWORD)
    value = "host=evil.example;proto=https" if header == "Forwarded" else "evil.example"
    answers = [
        client.get("/orders/", headers={header: value}),
        client.get("/accounts/login/", headers={header: value}),
        client.post("/accounts/password/reset/", {"email": user.email}, headers={header: value}),
    ]
    assert "evil.example" not in "".join(each.text + str(each.headers) for each in answers)
    assert len(mailoutbox) == 1
    assert "evil.example" not in mailoutbox[0].subject + mailoutbox[0].body


@pytest.mark.parametrize(
    "address", ["//evil.example/orders/", "/\\evil.example", "//evil.example%2f..", "/%0d%0aSet-Cookie:x=1"]
)
def test_an_address_leads_to_no_other_host(client, address):
    answer = client.get(address)
    assert not answer.headers.get("Location", "").startswith(("//", "/\\", "http"))
    assert "x" not in answer.cookies


# --- Sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_that_was_planted_is_not_the_one_that_is_signed_in():
    user, attacker, victim = make_user(password=PASSWORD), Client(), Client()
    attacker.get("/accounts/login/")
    attacker.post("/accounts/password/reset/", {"email": user.email})
    planted = attacker.cookies["sessionid"].value
    victim.cookies["sessionid"] = planted
    victim.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    assert victim.get("/orders/").status_code == 200
    assert victim.cookies["sessionid"].value != planted
    assert attacker.get("/orders/").status_code == 302


def test_a_session_is_over_on_the_server_after_the_sign_out():
    client = sign_in(make_user(password=PASSWORD))
    kept = client.cookies["sessionid"].value
    answer = client.post("/accounts/logout/")
    assert answer["Clear-Site-Data"] == '"cache", "storage"'
    thief = Client()
    thief.cookies["sessionid"] = kept
    assert thief.get("/orders/").status_code == 302


@pytest.mark.parametrize("planted", ["a" * 32, "../../etc/passwd", "' OR 1=1 --", "x" * 5000, "\x00", "é"])
def test_a_session_that_the_server_did_not_make_is_none(planted):
    client = Client()
    client.cookies["sessionid"] = planted
    assert client.get("/orders/").status_code in (302, 400)


# --- Lists of the admin -----------------------------------------------------------------------------------------------

LISTS = [address for address in ADDRESSES if re.fullmatch(r"/admin/\w+/\w+/", address) and "filters" not in address]


@pytest.mark.parametrize("name", ["q", "p", "o", "e", "_changelist_filters", "status__exact", "customer__id__exact"])
def test_a_card_number_in_the_search_of_a_list_leads_to_the_list_and_a_hint(client, canary, name):
    client.force_login(make_user("ada", is_staff=True, is_superuser=True))
    digits = canary("search")
    for address in [*LISTS, "/admin/", "/admin/vault/"]:
        answer = client.get(address, {name: f"{digits[:4]} {digits[4:]}", "kept": "1"})
        assert (answer.status_code, answer["Location"]) == (302, f"{address}?kept=1")
        page = client.get(address)
        # Being a superuser shows none of the vault.
        assert page.status_code == 403 or "Search by the last four digits" in page.text
        assert digits[:8] not in page.text


def test_there_are_lists():
    assert "/admin/orders/order/" in LISTS
    assert len(LISTS) > 12


# --- Mass assignment (trial B7) ---------------------------------------------------------------------------------------

MORE = {
    "owner": "2", "customer": "2", "customer_id": "2", "user": "2", "is_staff": "on", "is_superuser": "on", "status": "cancelled",
    "amount": "0.01", "currency": "JPY", "card": "tok1_x", "token": "tok1_x", "card_last4": "0000", "card_brand": "amex",
    "public_id": "ord_x", "placed_at": "2000-01-01", "default_of": "2", "pk": "7", "id": "7", "groups": "1",
    "user_permissions": "1", "is_active": "", "email": "evil@example.com", "username": "evil",
}  # fmt: skip


@pytest.fixture
def ada(canary):
    user = make_user("ada", password=PASSWORD)
    user.kept = make_saved_card(user, canary("saved"))
    make_user("bob")
    return user


def as_kept(row, *names):
    row.refresh_from_db()
    return [getattr(row, name) for name in names]


def test_an_order_is_nothing_but_what_its_form_asks_for(client, ada):
    client.force_login(ada)
    asked = {"name": "Jug", "description": "", "amount": "24.90", "currency": "EUR", "payment": str(ada.kept.token)}
    client.post("/orders/new/", MORE | asked | {"submission": str(uuid.uuid4())})
    order = ada.orders.get()
    assert as_kept(order, "customer", "status", "amount_text", "currency") == [ada, "placed", "24.90", "EUR"]
    assert (order.card_last4, order.public_id != "ord_x", order.pk != 7) == (ada.kept.card_last4, True, True)
    assert order.placed_at.year > 2000


def test_an_amount_does_not_change_after_the_payment(client, ada):
    client.force_login(make_user("eva", "orders.view_order", "orders.change_order", is_staff=True))
    order = make_order(ada, ada.kept.card)
    before = as_kept(order, "amount", "currency", "customer", "status", "card_last4", "public_id", "placed_at")
    client.post(f"/admin/orders/order/{order.pk}/change/", MORE | {"name": "Mended", "description": "x"})
    assert as_kept(order, "amount", "currency", "customer", "status", "card_last4", "public_id", "placed_at") == before
    assert order.name == "Mended"


@pytest.mark.parametrize("act", ["cancel", "pay-again"])
def test_nor_when_an_order_is_cancelled_or_repeated(client, ada, act):
    client.force_login(ada)
    order = make_order(ada, ada.kept.card)
    sent = MORE | {"payment": str(ada.kept.token), "submission": str(uuid.uuid4())}
    client.post(f"/orders/{order.public_id}/{act}/", sent)
    assert {(each.amount_text, each.currency, each.customer) for each in ada.orders.all()} == {("24.90", "EUR", ada)}


def test_a_name_of_a_card_changes_nothing_else(client, ada):
    client.force_login(ada)
    client.post(f"/cards/{ada.kept.token}/", MORE | {"nickname": "Team card"})
    (kept,) = SavedCard.objects.all()
    assert (kept.customer, kept.card_last4, kept.nickname) == (ada, ada.kept.card_last4, "Team card")


def test_who_signs_up_is_a_customer(client):
    sent = MORE | {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", sent)
    user = type(make_user("last")).objects.get(email="new@example.com")
    assert (user.is_staff, user.is_superuser, user.is_active, user.username != "evil") == (False, False, True, True)
    assert not user.groups.exists()
    assert not user.user_permissions.exists()


UNKNOWN = ["owner", "customer", "is_staff", "status", "id", "amount ", "Amount", "__class__", "a" * 500]


@pytest.mark.parametrize("name", TAKING)
def test_the_api_refuses_what_it_does_not_know(name):
    client, method, address = requests_of(name)
    before = state()
    for key in UNKNOWN:
        answer = getattr(client, method)(address, {key: "x"})
        assert answer.status_code == 400
        assert "unknown" in {each["code"] for each in answer.json()["errors"]}
    assert state() == before
