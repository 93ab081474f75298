"""Takes the pictures of the documentation, and fails if a page breaks its content security policy.

Serve the demo first, then run `DEMO_PASSWORD=... python docs/screenshots/take.py http://127.0.0.1:8000 [folder]`.
Those of docs/who-sees-what.md come from `SCREENSHOTS=docs/screenshots pytest tests/test_reveal_browser.py`.
"""

import os
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
# Mistyped on purpose: the last digit is wrong.
MISTYPED = "4" + "1" * 13 + "12"
WIDTHS = {"": 1280, "-narrow": 390}
CUSTOMER = {"overview": "/", "orders": "/orders/", "cards": "/cards/", "account": "/accounts/"}
STAFF = {
    "console": "/admin/",
    "admin-orders": "/admin/orders/order/",
    "admin-cards": "/admin/vault/card/",
    "admin-accounts": "/admin/knox/authtoken/accounts/",
}


def main(url: str, folder: Path) -> int:
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for suffix, width in WIDTHS.items():
            customer = _signed_in(browser, url, "customer@example.com", complaints, width=width)
            for name, path in CUSTOMER.items():
                _shoot(customer, f"{url}{path}", folder / f"{name}{suffix}.png")
            order = customer.goto(f"{url}/orders/") and customer.locator("tbody th a").first.get_attribute("href")
            _shoot(customer, f"{url}{order}", folder / f"order{suffix}.png")
            _shoot(customer, f"{url}{order}receipt/", folder / f"receipt{suffix}.png")
            _refused_order(customer, url)
            customer.screenshot(path=folder / f"new-order{suffix}.png", full_page=True)
            staff = _signed_in(browser, url, "staff@example.com", complaints, width=width)
            for name, path in STAFF.items():
                _shoot(staff, f"{url}{path}", folder / f"{name}{suffix}.png")
        dark = _signed_in(browser, url, "customer@example.com", complaints, color_scheme="dark")
        _shoot(dark, f"{url}/", folder / "overview-dark.png")
        german = _signed_in(browser, url, "customer@example.com", complaints, locale="de-DE")
        _shoot(german, f"{url}/orders/", folder / "orders-german.png")
        browser.close()
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


def _signed_in(
    browser: Browser, url: str, email: str, complaints: list[str], *, width: int = WIDTHS[""], **options: str
) -> Page:
    page = browser.new_context(viewport={"width": width, "height": 800}, **options).new_page()
    page.on("console", lambda message: complaints.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.goto(f"{url}/accounts/login/?next=/")
    page.locator("[name=login]").fill(email)
    page.locator("[name=password]").fill(os.environ["DEMO_PASSWORD"])
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(f"{url}/")
    return page


def _refused_order(page: Page, url: str) -> None:
    page.goto(f"{url}/orders/new/")
    page.get_by_label("What do you order?").fill("Milk jug")
    page.get_by_label("Amount").fill("24.90")
    page.get_by_label("A new card").check()
    page.get_by_label("Card number").fill(MISTYPED)
    page.get_by_label("Expiry date").fill("08/29")
    page.get_by_role("button", name="Place order").click()
    page.get_by_role("alert").first.wait_for()


def _shoot(page: Page, address: str, path: Path) -> None:
    page.goto(address)
    page.screenshot(path=path, full_page=True)


if __name__ == "__main__":
    _, address, *rest = sys.argv
    sys.exit(main(address.rstrip("/"), Path(rest[0]) if rest else Path(__file__).parent))
