"""Staff in a real browser: a second factor is set up, used, and nothing on the way needs what the policy forbids."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.factories import code_of
from tests.test_end_to_end import CHROMIUM, Server

SIZES = {"1280": {"width": 1280, "height": 900}, "390": {"width": 390, "height": 844}}

pytestmark = pytest.mark.browser


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "data")
    server.environment["STAFF_MFA_REQUIRED"] = "true"
    for command in (["migrate", "--verbosity", "0"], ["migrate", "--database", "audit", "--verbosity", "0"], ["createcachetable", "--verbosity", "0"],
                    ["vault_provision"], ["collectstatic", "--no-input", "--verbosity", "0"], ["demo"]):  # fmt: skip
        server.manage(*command)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def page(server):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        page = browser.new_page(base_url=f"http://localhost:{server.port}", viewport=SIZES["1280"])
        page.complaints = []
        page.on(
            "console", lambda said: page.complaints.append(said.text) if said.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        yield page
        browser.close()
        assert page.complaints == []


def look(page, name):
    """Nothing is wider than a phone. With SHOTS=folder it is drawn as well, for people to look at."""
    for label, size in SIZES.items():
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], f"{name} at {label}"
        if folder := os.environ.get("SHOTS"):
            page.screenshot(path=Path(folder) / f"signin-{name}-{label}.png", full_page=True)
    page.set_viewport_size(SIZES["1280"])


def sign_in(page):
    page.goto("/admin/")
    page.get_by_label("Email").fill("staff@example.com")
    page.get_by_label("Password").fill("correct horse battery")
    page.locator("main button[type=submit]").click()


def test_staff_set_up_a_second_factor_and_reach_the_admin_with_it(page):
    sign_in(page)
    page.get_by_text("Set up a second factor first").wait_for()
    look(page, "set-up")
    page.get_by_role("link", name="Activate").click()
    page.get_by_role("heading", name="Confirm Access").wait_for()
    look(page, "password-again")
    page.get_by_label("Password").fill("correct horse battery")
    page.locator("main form button[type=submit]").click()
    page.get_by_role("heading", name="Activate Authenticator App").wait_for()
    look(page, "app")
    secret = page.locator("#authenticator_secret").input_value()
    page.locator("#id_code").fill(code_of(secret))
    page.get_by_role("button", name="Activate").click()
    page.get_by_role("heading", name="Recovery Codes").wait_for()
    look(page, "recovery-codes")
    codes = re.findall(r"\d{8}", page.locator("#recovery_codes").input_value())
    assert len(codes) == 10

    page.goto("/admin/")
    page.get_by_text("Enter an authenticator code").wait_for()
    look(page, "code-again")
    page.get_by_role("button", name="Sign out").click()

    sign_in(page)
    page.get_by_role("heading", name="Two-Factor Authentication").wait_for()
    look(page, "code")
    page.locator("#id_code").fill("000000")
    page.get_by_role("button", name="Sign In").click()
    page.get_by_text("Incorrect code").wait_for()
    look(page, "wrong-code")
    page.locator("#id_code").fill(codes[0])
    page.get_by_role("button", name="Sign In").click()
    page.get_by_role("heading", name="Console", exact=True).wait_for()
    look(page, "admin")
    page.goto("/accounts/2fa/")
    look(page, "factors")
    page.goto("/accounts/sessions/")
    look(page, "sessions")


def test_staff_sign_in_with_a_security_key(page):
    """Chromium's own authenticator, driven by allauth's scripts under our policy."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": {
        "protocol": "ctap2", "transport": "usb", "hasResidentKey": False, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }})  # fmt: skip
    sign_in(page)
    page.goto("/accounts/2fa/webauthn/add/")
    page.get_by_label("Password").fill("correct horse battery")
    page.locator("main form button[type=submit]").click()
    page.get_by_role("heading", name="Add Security Key").wait_for()
    look(page, "key")
    page.locator("#mfa_webauthn_add").click()
    page.get_by_role("heading", name="Recovery Codes").wait_for()
    page.goto("/accounts/2fa/webauthn/")
    look(page, "keys")
    page.goto("/admin/")
    look(page, "key-again")
    page.locator("#mfa_webauthn_reauthenticate").click()
    page.get_by_role("heading", name="Console", exact=True).wait_for()
    page.goto("/accounts/2fa/")
    page.get_by_role("button", name="Sign out").click()

    sign_in(page)
    page.locator("#mfa_webauthn_authenticate").click()
    page.get_by_role("heading", name="Console", exact=True).wait_for()
