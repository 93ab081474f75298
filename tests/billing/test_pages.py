"""What holds for every page: what browsers may do with it, and what stands in the templates."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from billing import errors
from tests.factories import make_user

TEMPLATES = sorted(
    path for folder in ("templates", "vault/templates") for path in (settings.BASE_DIR / folder).rglob("*.html")
)
# Whatever a strict content security policy would stop.
INLINE = re.compile(r"\sstyle=|<style|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)", re.IGNORECASE)


@pytest.mark.parametrize("template", TEMPLATES, ids=[path.name for path in TEMPLATES])
def test_no_template_has_an_inline_script_or_style(template: Path):
    assert not INLINE.search(template.read_text())


def test_no_template_or_form_asks_for_a_security_code():
    assert not re.search(r"cvv|cvc|csc|security.code", "".join(path.read_text() for path in TEMPLATES), re.IGNORECASE)


def test_the_policy_allows_no_inline_script_or_style(client):
    policy = client.get("/healthz")["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert {"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'"} <= set(policy.split("; "))


def test_browsers_may_say_where_a_form_comes_from():
    # With no-referrer they send "Origin: null" with every form, which Django's CSRF check refuses: nobody could sign in.
    assert settings.SECURE_REFERRER_POLICY != "no-referrer"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address",
    ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/accounts/password/reset/done/"],
)
def test_the_pages_of_the_accounts_look_like_ours(client, address):
    page = client.get(address)
    assert page.status_code == 200
    assert "css/site.css" in page.text
    assert 'aria-label="Main"' in page.text


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address",
    [
        "/accounts/password/change/",
        "/accounts/email/",
        "/accounts/2fa/",
        "/accounts/2fa/totp/activate/",
        "/accounts/logout/",
    ],
)
def test_the_pages_of_an_account_look_like_ours_and_are_not_kept(client, address):
    user = make_user(password="correct horse battery")
    client.post("/accounts/login/", {"login": user.email, "password": "correct horse battery"})
    page = client.get(address, follow=True)
    assert page.status_code == 200
    assert "css/site.css" in page.text
    assert user.email in page.text
    assert "no-store" in page["Cache-Control"]


@pytest.mark.parametrize("address", ["/admin/", "/admin/orders/order/", "/admin/password_change/", "/admin/auth/user/"])
def test_no_page_of_the_admin_is_kept(admin_client, address):
    assert "no-store" in admin_client.get(address)["Cache-Control"]


@pytest.mark.django_db
def test_what_was_typed_wrong_at_sign_in_is_explained_beside_the_field(client):
    page = client.post("/accounts/signup/", {"email": "nonsense", "password1": "short", "password2": "short"}).text
    assert 'id="id_email_error"' in page
    assert 'id="id_password1_error"' in page


@pytest.mark.django_db
def test_a_form_without_its_token_is_answered_with_a_page(canary):
    digits = canary("csrf")
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user())
    answer = client.post("/orders/new/", {"number": digits, "name": digits})
    assert answer.status_code == 403
    assert "Please try again" in answer.text
    assert digits not in answer.text


@pytest.mark.parametrize(
    ("handler", "title"),
    [
        (errors.bad_request, "Bad request"),
        (errors.permission_denied, "Not allowed"),
        (errors.not_found, "Not found"),
        (lambda request, _: errors.server_error(request), "Something went wrong"),
    ],
    ids=["400", "403", "404", "500"],
)
def test_errors_are_explained_to_people_and_to_programs(rf, handler, title):
    request = rf.get("/orders/")
    assert title in handler(request, Exception("secret")).text
    assert "secret" not in handler(request, Exception("secret")).text
    assert handler(rf.get("/api/v1/orders/"), Exception("secret"))["Content-Type"] == "application/problem+json"
