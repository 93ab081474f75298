"""Accounts in a real browser: passkeys, codes out of mails, and what is left of an account after a sign-out."""

from functools import partial

import pytest
from django.contrib.auth.models import User
from django.core import mail
from playwright.sync_api import Page, expect

from orders.models import Order
from tests.billing.people import PASSWORD, events, make_staff, sent_code
from tests.browsers import PHONE, check_page, shoot
from tests.factories import code_of, make_authenticator, make_card, make_order, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def as_on_a_laptop(settings):
    """No TLS, and no limits: everybody comes from the same address."""
    settings.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True
    settings.ACCOUNT_RATE_LIMITS = settings.MFA_RATE_LIMITS = False


@pytest.fixture
def visit(visit):
    """Without transitions: in the middle of one, colors are neither those of before nor those of after."""
    return partial(visit, reduced_motion="reduce")


def give_key(page: Page, *, is_verified: bool = True) -> tuple:
    """A phone or computer that has passkeys, and whose holder shows a finger whenever it asks."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
               "isUserVerified": is_verified, "automaticPresenceSimulation": True}  # fmt: skip
    return devtools, devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]


def sign_in(page: Page, user: User) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign In", exact=True).click()


def add_passkey(page: Page, name: str) -> None:
    page.goto("/accounts/2fa/webauthn/add/")
    if page.get_by_role("heading", name="Confirm Access").count():
        page.get_by_label("Password").fill(PASSWORD)
        page.locator("main form button[type=submit]").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("heading", name="Recovery Codes").wait_for()


@pytest.fixture
def look(complaints):
    """At both widths: axe-core finds nothing, and it fits. What axe's own styles make the console say is not kept."""

    def looked(page: Page, name: str) -> None:
        before = len(complaints)
        for width in (1280, PHONE):
            page.set_viewport_size({"width": width, "height": 800})
            check_page(page)
            shoot(page, f"account-{name}-{width}")
            page.emulate_media(color_scheme="dark")
            shoot(page, f"account-{name}-{width}-dark")
            page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 800})
        page.wait_for_timeout(200)
        del complaints[before:]

    return looked


def assert_nothing_was_stopped(complaints: list[str]) -> None:
    """Chromium says in the console that it cleared what it was told to."""
    assert [each for each in complaints if "Clear-Site-Data" not in each] == []


def test_staff_sign_in_with_a_passkey_alone(visit, look, settings, complaints):
    settings.STAFF_MFA_REQUIRED = True
    staff = make_staff("sam", "orders.view_order")
    page = visit()
    give_key(page)
    sign_in(page, staff)
    page.get_by_role("heading", name="Overview").wait_for()
    add_passkey(page, "Laptop")
    page.goto("/accounts/2fa/webauthn/")
    expect(page.get_by_role("row", name="Laptop")).to_contain_text("Passkey")
    look(page, "keys")
    page.get_by_role("link", name="Rename Laptop").click()
    # The key is a second factor, and has not been shown yet.
    page.get_by_role("button", name="Use a security key").click()
    page.get_by_label("Name").fill("My laptop")
    look(page, "key-rename")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="My laptop")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()

    page.goto("/accounts/login/?next=/admin/orders/order/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_text("Select order to change").or_(page.get_by_text("Select order to view")).first.wait_for()
    assert events("session.start")[-1].details["methods"] == ["passkey"]

    page.goto("/accounts/2fa/webauthn/")
    page.get_by_role("link", name="Remove My laptop").click()
    page.get_by_role("button", name="Use a security key").click()
    remove = page.get_by_role("button", name="Remove")
    remove.wait_for()
    look(page, "key-remove")
    remove.click()
    expect(page.get_by_text("You have no passkey and no security key.")).to_be_visible()
    assert_nothing_was_stopped(complaints)


def test_a_key_that_cannot_tell_who_holds_it_does_not_sign_in(visit, look, complaints):
    user = make_user(password=PASSWORD)
    page = visit()
    devtools, authenticator = give_key(page)
    sign_in(page, user)
    page.get_by_role("heading", name="Overview").wait_for()
    add_passkey(page, "Phone")
    page.get_by_role("button", name="Sign out").click()
    devtools.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was sent")
    look(page, "passkey-stopped")
    page.goto("/orders/")
    expect(page.get_by_role("heading", name="Sign In")).to_be_visible()
    assert_nothing_was_stopped(complaints)


def test_a_passkey_is_a_second_factor_after_the_password(visit, look, complaints):
    user = make_user(password=PASSWORD)
    page = visit()
    give_key(page)
    sign_in(page, user)
    page.get_by_role("heading", name="Overview").wait_for()
    add_passkey(page, "Phone")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, user)
    page.get_by_role("heading", name="Two-Factor Authentication").wait_for()
    look(page, "second-factor")
    page.get_by_role("button", name="Use a security key").click()
    page.get_by_role("heading", name="Overview").wait_for()
    assert_nothing_was_stopped(complaints)


def test_the_pages_of_a_second_factor(visit, look, complaints):
    user = make_user(password=PASSWORD)
    secret = make_authenticator(user)
    page = visit(user)
    page.goto("/accounts/2fa/recovery-codes/generate/")
    page.get_by_role("heading", name="Confirm Access").wait_for()
    look(page, "code-again")
    page.get_by_label("Code").fill(code_of(secret))
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("heading", name="Generate new codes").wait_for()
    look(page, "codes-generate")
    page.get_by_role("button", name="Generate").click()
    page.get_by_role("heading", name="Recovery Codes").wait_for()
    look(page, "codes")
    page.goto("/accounts/2fa/totp/deactivate/")
    look(page, "app-off")
    page.goto("/accounts/2fa/webauthn/add/")
    look(page, "key-add")
    assert_nothing_was_stopped(complaints)


def test_the_secret_of_an_app_can_be_read_to_its_end(visit):
    page = visit()
    sign_in(page, make_user(password=PASSWORD))
    page.get_by_role("heading", name="Overview").wait_for()
    page.goto("/accounts/2fa/totp/activate/")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    secret = page.get_by_label("Authenticator secret")
    assert secret.evaluate("field => field.scrollWidth <= field.clientWidth")


def test_a_sign_up_with_the_code_from_the_mail(visit, look, complaints):
    page = visit()
    page.goto("/accounts/signup/")
    look(page, "sign-up")
    page.get_by_label("Email").fill("ann@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    page.get_by_role("button", name="Sign Up").click()
    page.get_by_role("heading", name="Verify Your Email Address").wait_for()
    look(page, "code")
    page.get_by_label("Code").fill("BBBB-BBBB")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("Incorrect code.")).to_be_visible()
    look(page, "code-wrong")
    page.get_by_role("button", name="Request new code").click()
    page.get_by_label("Code").fill(sent_code())
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("heading", name="Overview").wait_for()
    for name, address in (
        ("start", ""),
        ("email", "email/"),
        ("password", "password/change/"),
        ("factors", "2fa/"),
        ("sessions", "sessions/"),
    ):
        page.goto(f"/accounts/{address}")
        look(page, name)
    assert_nothing_was_stopped(complaints)


def test_a_forgotten_password(visit, look, complaints):
    user = make_user(password=PASSWORD)
    page = visit()
    page.goto("/accounts/login/")
    look(page, "sign-in")
    page.get_by_role("link", name="Forgot your password?").click()
    look(page, "reset")
    page.get_by_label("Email").fill(user.email)
    page.get_by_role("button", name="Send the code").click()
    page.get_by_role("heading", name="Enter Password Reset Code").wait_for()
    look(page, "reset-code")
    page.get_by_label("Code").fill(sent_code())
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("heading", name="Set Password").wait_for()
    look(page, "reset-password")
    page.get_by_label("New Password", exact=True).fill("another horse battery")
    page.get_by_label("New Password (again)").fill("another horse battery")
    page.get_by_role("button", name="Set Password").click()
    page.get_by_role("heading", name="Your password is now changed.").wait_for()
    look(page, "reset-done")
    assert len(mail.outbox) == 2
    assert_nothing_was_stopped(complaints)


@pytest.mark.parametrize("is_reloaded", [False, True], ids=["back", "back and reload"])
def test_back_after_a_sign_out_shows_a_customer_nothing(visit, canary, is_reloaded):
    user = make_user(password=PASSWORD)
    order = make_order(user, make_card(canary("order")))
    page = visit()
    sign_in(page, user)
    page.get_by_role("heading", name="Overview").wait_for()
    page.goto(f"/orders/{order.public_id}/")
    expect(page.locator("main")).to_contain_text(order.name)
    page.goto("/accounts/")
    expect(page.locator("main")).to_contain_text(user.email)
    page.evaluate("localStorage.kept = sessionStorage.kept = 'yes'")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign In").wait_for()
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    for _ in range(3):
        assert_shows_nothing(page, order, user, is_reloaded=is_reloaded)


def test_back_after_a_sign_out_shows_nothing_of_the_admin(visit, canary):
    staff = make_staff("sam", "orders.view_order", "auth.view_user")
    order = make_order(make_user(), make_card(canary("order")))
    page = visit()
    sign_in(page, staff)
    page.get_by_role("heading", name="Overview").wait_for()
    page.goto("/admin/orders/order/")
    expect(page.locator("#result_list")).to_contain_text(order.name)
    page.goto(f"/admin/orders/order/{order.pk}/change/")
    expect(page.locator("#content")).to_contain_text(order.name)
    page.locator("#logout-form button").click()
    page.get_by_text("Logged out").or_(page.get_by_text("Thanks for spending")).first.wait_for()
    for _ in range(3):
        assert_shows_nothing(page, order, staff, is_reloaded=False)
    assert Order.objects.count() == 1


def assert_shows_nothing(page: Page, order: Order, user: User, *, is_reloaded: bool) -> None:
    # Later, as the answer to this call would be lost with the page.
    page.evaluate("() => { setTimeout(() => history.back(), 0) }")
    page.wait_for_timeout(700)
    if is_reloaded:
        page.reload()
    shown = page.content()
    assert order.name not in shown
    assert user.email not in shown
