"""Pages in a real Chromium: who looks, how wide, and what has to be true of each of them.

With `SCREENSHOTS=folder` in the environment, `shoot(page, name)` keeps a picture; without, it does nothing.
"""

import os
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import caches
from django.test import Client
from playwright.sync_api import Browser, Error as PlaywrightError, Page, sync_playwright

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
DESKTOP, PHONE = 1280, 390
# What the browser thinks of forms and focus, which is no error.
_ADVICE = ("[DOM]", "Autofocus processing was blocked")
# axe-core makes style sheets of its own, which the policy of the page refuses: what the console says then is about axe.
_EXAMINED: set[Page] = set()
SCREENSHOTS = os.environ.get("SCREENSHOTS")


@pytest.fixture
def complaints() -> list[str]:
    """What the console of any page said: what the content security policy stopped is among it."""
    return []


@pytest.fixture
def chromium(monkeypatch) -> Iterator[Browser]:
    # Playwright's own loop makes Django believe that this thread is asynchronous.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, live_server, complaints) -> Callable[..., Page]:
    """`visit(user)` is a page in which that user is signed in, without one nobody; options are those of a context."""
    # No flush of the tables empties it, and the limits in it would count the visitors of the test before.
    caches["default"].clear()

    def opened(user: User | None = None, *, width: int = DESKTOP, **options) -> Page:
        context = chromium.new_context(
            base_url=live_server.url, viewport={"width": width, "height": 800}, **{"locale": "en-US"} | options
        )
        if user is not None:
            client = Client()
            client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
            session = client.cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: message.text.startswith(_ADVICE) or complain(page, message.text))
        page.on("pageerror", lambda error: complain(page, str(error)))
        page.on("framenavigated", lambda _: _EXAMINED.discard(page))
        return page

    def complain(page: Page, text: str) -> None:
        if page not in _EXAMINED:
            complaints.append(f"{page.url}: {text}")

    return opened


def check_page(page: Page) -> None:
    """Assert what holds for every page: axe-core finds nothing in light or dark, one heading names it, it fits."""
    found = []
    page.wait_for_load_state("load")
    _EXAMINED.add(page)
    for scheme in ("light", "dark"):
        _show_in(page, scheme)
        # In the other colors the page says and does the same.
        rules = {"runOnly": ["color-contrast", "link-in-text-block"]} if scheme == "dark" else {}
        try:
            violations = _violations(page, rules)
        except PlaywrightError:
            # The page was on its way to the next one.
            page.wait_for_load_state("load")
            violations = _violations(page, rules)
        found += [f"{scheme}: {each}" for each in violations]
    _show_in(page, "light")
    assert found == [], f"{page.url}\n" + "\n".join(found)
    assert page.locator("h1").count() == 1, page.url
    assert page.title(), page.url
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{page.url} is too wide"


def left_behind(page: Page) -> str:
    """Everything in which a browser keeps something of a page, but for the page itself."""
    return page.evaluate(
        """() => JSON.stringify([location.href, document.title, document.referrer, history.state,
        {...localStorage}, {...sessionStorage}, document.cookie])"""
    )


def shoot(page: Page, name: str) -> None:
    """Keep a picture of the whole page, if pictures are wanted."""
    if SCREENSHOTS:
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


def _show_in(page: Page, scheme: str) -> None:
    """Change to the light or the dark colors, and wait for none of those on the way."""
    page.emulate_media(color_scheme=scheme)
    page.evaluate(
        """async () => {
        for (let frame = 0; frame < 2; frame++) { await new Promise(requestAnimationFrame); }
        document.getAnimations().filter((each) => each instanceof CSSTransition).forEach((each) => each.finish());
        }"""
    )


def _violations(page: Page, rules: dict[str, list[str]]) -> list[str]:
    """What axe-core, with all its rules if no others are named, has to say, a line each."""
    # Evaluated and not added as a script: the page's policy would refuse that, and it is the page's policy we test.
    page.evaluate(_axe())
    results = page.evaluate("(rules) => axe.run(document, {resultTypes: ['violations'], ...rules})", rules)
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}".replace("\n", " ")
        for violation in results["violations"]
        for node in violation["nodes"]
    ]


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
