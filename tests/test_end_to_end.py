"""The product as its people use it: a real server in its own folder, killed without a warning, and what it leaves."""

import contextlib
import http.cookiejar
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.cards import NUMBERS, grouped

VISA = NUMBERS["visa"][0]
# The demo computes the same number in its code; this one is in nobody's source.
TYPED = NUMBERS["visa"][1]


class Server:
    """`make run` without the part that installs things."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.log = data.parent / "server.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(data),
            "PORT": str(self.port),
            "DEMO_PASSWORD": "correct horse battery",
            "DJANGO_SETTINGS_MODULE": "billing.settings.local",
        }

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "--config", "billing/gunicorn_conf.py", "billing.wsgi"],
                env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        for _ in range(200):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz"):
                return
            time.sleep(0.1)
        pytest.fail("The server did not come up.")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Browser:
    """Keeps cookies and fills in forms, as far as a page without JavaScript needs."""

    def __init__(self, server: Server) -> None:
        self.base = f"http://127.0.0.1:{server.port}"
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(self, path: str) -> str:
        return self.opener.open(self.base + path).read().decode()

    def submit(self, path: str, **fields: str) -> str:
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', self.get(path)))
        body = urllib.parse.urlencode(hidden | fields).encode()
        return (
            self.opener.open(urllib.request.Request(self.base + path, body, {"Referer": self.base + path}))
            .read()
            .decode()
        )

    def sign_in(self, email: str) -> None:
        self.submit("/accounts/login/", login=email, password="correct horse battery")


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "data")
    for command in (["migrate", "--verbosity", "0"], ["migrate", "--database", "audit", "--verbosity", "0"], ["createcachetable", "--verbosity", "0"], ["vault_provision"], ["collectstatic", "--no-input", "--verbosity", "0"],
                    ["demo"]):  # fmt: skip
        server.manage(*command)
    server.start()
    yield server
    server.kill()


def place(browser: Browser, name: str, payment: str, number: str = "") -> str:
    return browser.submit(
        "/orders/new/", name=name, amount="12.50", currency="EUR", payment=payment, number=number,
        expires="12/99", save_card="on",
    )  # fmt: skip


def traces_of(digits: str, folder: Path) -> list[str]:
    """Where `digits` can be read in files, in a dump of the SQL database, or in what the system tells of processes."""
    spellings = [digits, grouped(digits, " "), grouped(digits, "-"), grouped(digits, "+"), grouped(digits, "%20")]
    found = []
    for path in [*folder.rglob("*"), *Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]:
        try:
            content = path.read_bytes() if path.is_file() else b""
        except OSError:
            continue
        found += [str(path) for spelling in spellings if spelling.encode() in content]
    with sqlite3.connect(folder / "data" / "billing.sqlite3") as database:
        dump = "\n".join(database.iterdump())
    database.close()
    return found + ["SQL dump" for spelling in spellings if spelling in dump]


def test_an_order_survives_a_kill_and_leaves_no_card_number(server, tmp_path):
    customer = Browser(server)
    customer.sign_in("customer@example.com")
    assert "Visa •••• 4242" in place(customer, "First", "new", grouped(TYPED, " "))

    server.kill()
    server.manage("demo")
    server.start()

    customer = Browser(server)
    customer.sign_in("customer@example.com")
    listed = customer.get("/orders/")
    assert "First" in listed
    assert "Visa •••• 4242" in listed
    saved = re.findall(r'name="payment" value="(tok1_[^"]+)"', customer.get("/orders/new/"))
    assert len(saved) >= 2
    paid = [place(customer, f"Second {n}", token) for n, token in enumerate(saved)]
    assert any("Visa •••• 4242" in page for page in paid)

    staff = Browser(server)
    staff.sign_in("staff@example.com")
    found = staff.get("/admin/orders/order/?q=4242")
    assert "First" in found
    assert "Second" in found
    assert traces_of(TYPED, tmp_path) == []
    assert traces_of(VISA, tmp_path) == []


def test_a_rejected_number_leaves_nothing_either(server, tmp_path):
    customer = Browser(server)
    customer.sign_in("customer@example.com")
    wrong = TYPED[:-1] + "3"
    page = place(customer, "Wrong", "new", wrong)
    assert "not a valid card number" in page
    assert wrong not in page
    customer.get(f"/orders/?q={TYPED}")
    assert "Wrong" not in customer.get("/orders/")
    assert traces_of(wrong, tmp_path) == []
    assert traces_of(TYPED, tmp_path) == []


def test_workers_say_that_they_start_and_stop(server, tmp_path):
    """Not those that are killed: so the server is asked to stop."""
    server.process.terminate()
    server.process.wait(40)
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "audit.sqlite3")) as database:
        counted = "SELECT operation, count(*) FROM vault_auditevent WHERE operation LIKE 'process.%' GROUP BY 1"
        assert dict(database.execute(counted)) == {"process.start": 2, "process.stop": 2}


CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def test_the_back_button_shows_no_card_number(server):
    """Browsers keep what was typed with each page of their history, and some write it to their own files."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/accounts/login/")
        page.get_by_label("Email").fill("customer@example.com")
        page.get_by_label("Password").fill("correct horse battery")
        page.locator("main button[type=submit]").click()
        page.get_by_role("heading", name="Overview").wait_for()
        page.goto(f"http://127.0.0.1:{server.port}/orders/new/")
        page.get_by_label("What do you order?").fill("First")
        page.get_by_label("Amount").fill("12.50")
        page.get_by_label("A new card").check()
        page.get_by_label("Card number").fill(TYPED)
        page.get_by_label("Expiry date").fill("12/99")
        page.get_by_role("button", name="Place order").click()
        page.get_by_text("Your order is placed.").wait_for()
        page.go_back(wait_until="load")
        assert page.get_by_label("Card number").input_value() == ""
        assert page.get_by_label("Expiry date").input_value() == ""
        browser.close()
