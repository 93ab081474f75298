"""What Sentry gets, from a real process with the real client, and from an unhardened one for comparison."""

import gzip
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from billing import crash_reports
from billing.settings.logging import PINNED
from tests.cards import grouped
from tests.leaks import Scanner, Sink

ROOT = Path(__file__).parents[2]

# Each function fails or reports in its own way, and its number is not to go with that.
WAYS = """
import json, logging, os, sys, threading
from pathlib import Path
from types import SimpleNamespace
import django
from django.conf import settings
settings.ROOT_URLCONF = "__main__"
django.setup()
import sentry_sdk
if os.environ.get("UNHARDENED"):
    sentry_sdk.init(
        os.environ["UNHARDENED"], send_default_pii=True, max_request_body_size="always", traces_sample_rate=1,
        enable_logs=True, max_breadcrumbs=100,
    )
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import path
NUMBERS = json.load(sys.stdin)
logger = logging.getLogger("orders.services")

class Failed(Exception):
    pass

def local(request):
    number = NUMBERS["local"]
    held = {"deep": [number]}
    raise Failed("local")

def body(request):
    request.POST, request.user
    raise Failed("body")

def json_body(request):
    raise Failed("json body")

def header(request):
    raise Failed("header")

def cookie(request):
    raise Failed("cookie")

def address(request, word):
    raise Failed("address")

def message(request):
    raise Failed(f"message {NUMBERS['message']}")

def chained(request):
    try:
        int("x" + NUMBERS["chained"])
    except ValueError as error:
        error.add_note(NUMBERS["chained"])
        raise Failed("chained") from error

def user(request):
    request.user = User(pk=7, username=NUMBERS["user"], email=NUMBERS["user"] + "@example.com")
    raise Failed("user")

def sql(request):
    connection.cursor().execute("SELECT %s", [NUMBERS["sql"]])
    raise Failed("sql")

def aws(request):
    from vault.aws import AWSSession, client_config
    config = client_config(connect_timeout=1, read_timeout=1, max_attempts=1, max_connections=1)
    folder = Path(os.environ["DATA_DIR"]) / "vault"
    kms = AWSSession(region="eu-central-1", decrypt_key="", config=config, embedded_dir=folder).kms()
    kms.encrypt(KeyId="alias/none", Plaintext=NUMBERS["aws"].encode(), EncryptionContext={"a": NUMBERS["aws"]})

def scope(request):
    scope = sentry_sdk.get_current_scope()
    scope.set_extra("number", NUMBERS["scope"])
    scope.set_context("card", {"number": NUMBERS["scope"]})
    scope.set_tag("route", NUMBERS["scope"])
    scope.set_tag("number", NUMBERS["scope"])
    scope.set_user({"id": NUMBERS["scope"], "username": NUMBERS["scope"]})
    scope.set_transaction_name(NUMBERS["scope"])
    scope.fingerprint = [NUMBERS["scope"]]
    scope.add_attachment(bytes=NUMBERS["scope"].encode(), filename="number.txt")
    raise Failed("scope")

def breadcrumb(request):
    sentry_sdk.add_breadcrumb(message=NUMBERS["breadcrumb"], data={"number": NUMBERS["breadcrumb"]})
    logger.info("a number %s", NUMBERS["breadcrumb"])
    raise Failed("breadcrumb")

def logged(request):
    logger.error("logged %s", NUMBERS["logged"], extra={"number": NUMBERS["logged"]})
    try:
        raise Failed(f"logged {NUMBERS['logged']}")
    except Failed:
        logger.exception("logged with an exception")
    return HttpResponse()

def sent(request):
    sentry_sdk.capture_message(f"sent {NUMBERS['sent']}")
    with sentry_sdk.start_transaction(op="x", name=NUMBERS["sent"]) as transaction:
        transaction.set_data("number", NUMBERS["sent"])
    from sentry_sdk import crons
    crons.capture_checkin(monitor_slug=NUMBERS["sent"], status="ok")
    sentry_sdk.logger.error("sent {n}", n=NUMBERS["sent"])
    sentry_sdk.metrics.count("sent", 1, attributes={"n": NUMBERS["sent"]})
    sentry_sdk.get_isolation_scope().start_session()
    sentry_sdk.get_isolation_scope().end_session()
    sentry_sdk.capture_event({"type": "feedback", "contexts": {"feedback": {"message": NUMBERS["sent"]}}})
    return HttpResponse()

from django.views.decorators.csrf import csrf_exempt
body, json_body = csrf_exempt(body), csrf_exempt(json_body)
VIEWS = [local, body, json_body, header, cookie, message, chained, user, sql, aws, scope, breadcrumb, logged, sent]
handler400 = handler404 = lambda request, exception: HttpResponse(status=400)
handler500 = lambda request: HttpResponse(status=500)
urlpatterns = [path(f"{view.__name__}/", view) for view in VIEWS] + [path("address/<word>/", address)]
from billing.wsgi import application
requests = RequestFactory(headers={"host": "localhost"})

def send(request):
    with sentry_sdk.isolation_scope():
        list(application(request.environ, lambda *arguments: None))

send(requests.post("/body/", {"number": NUMBERS["body"], "card": NUMBERS["body"]}))
send(requests.post("/json_body/", {"pan": NUMBERS["json_body"]}, content_type="application/json"))
# What looks like a card number in an address is refused before it can fail.
send(requests.get("/local/?q=a-word-in-a-query", headers={"x-note": "a-word-in-a-header", "cookie": "a=a-word-in-a-cookie"}))
send(requests.get("/header/", headers={"referer": "/" + NUMBERS["header"], "user-agent": NUMBERS["header"], "x-card": NUMBERS["header"]}))
send(requests.get("/cookie/", headers={"cookie": "card=" + NUMBERS["cookie"]}))
send(requests.get("/address/a-word-in-an-address/"))
for view in (message, chained, user, sql, aws, scope, breadcrumb, logged, sent):
    send(requests.get(f"/{view.__name__}/"))
def in_thread():
    number = NUMBERS["thread"]
    raise Failed(f"thread {number}")
thread = threading.Thread(target=in_thread)
thread.start()
thread.join()
number = NUMBERS["end"]
raise Failed(f"end {number}")
"""
NAMES = [
    *("local", "body", "json_body", "header", "cookie", "message", "chained", "user", "sql", "aws", "scope"),
    *("breadcrumb", "logged", "sent", "thread", "end"),
]
# By the first word of what each says. What stands in a header is refused before it can fail.
REPORTED = sorted([*(name.partition("_")[0] for name in NAMES if name != "header"), "logged", "address"])
ALLOWED = {
    *("event_id", "timestamp", "platform", "level", "logger", "environment", "release"),
    *("exception", "logentry", "extra", "tags", "user"),
}


class Sentry:
    """Takes envelopes on the loopback address."""

    def __init__(self):
        self.bodies = bodies = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.dsn = f"http://key@127.0.0.1:{self.server.server_port}/1"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def items(self):
        """Every item of every envelope: its header, and its content as it came."""
        found = []
        for body in self.bodies:
            _, _, rest = body.partition(b"\n")
            while rest.strip():
                header, _, rest = rest.partition(b"\n")
                header = json.loads(header)
                length = header.get("length", len(rest))
                found.append((header, rest[:length]))
                rest = rest[length:].lstrip(b"\n")
        return found

    def events(self):
        return [json.loads(content) for header, content in self.items() if header["type"] == "event"]


NUMBERS = {name: Scanner(name).canary(name) for name in NAMES}


def run(folder, **more):
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "billing.settings.local",
        "DATA_DIR": str(folder),
        "PYTHONWARNINGS": "ignore",
        **more,
    }
    return subprocess.run(
        [sys.executable, "-c", WAYS],
        input=json.dumps(NUMBERS),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def sentry(tmp_path_factory):
    """What the process sent with the client as this product sets it up."""
    sentry = Sentry()
    run(tmp_path_factory.mktemp("data"), SENTRY_DSN=sentry.dsn, SENTRY_RELEASE="1.2.3")
    yield sentry
    sentry.close()


def test_no_report_has_a_card_number(sentry, leaks):
    for name, digits in NUMBERS.items():
        leaks.watch(digits, label=name)
    for body in sentry.bodies:
        leaks.record(Sink.HTTP, body, "envelope")
    assert b"a-word-in" not in b"".join(sentry.bodies)
    assert sorted(map(_about, sentry.events())) == REPORTED


def test_a_report_is_an_error_and_has_what_is_on_the_list(sentry):
    assert {header["type"] for header, _ in sentry.items()} == {"event"}
    assert set().union(*sentry.events()) <= ALLOWED


def _about(event):
    """Which function of `WAYS` an event comes from."""
    if "exception" not in event:
        text = event.get("extra", {}).get("traceback", "") or event["logentry"]["formatted"]
        return text.rstrip().rpartition("Failed: ")[2].split()[0]
    error = event["exception"]["values"][-1]
    return "aws" if error["type"] != "Failed" else error["value"].split()[0]


def test_a_report_says_where_it_failed_and_for_whom(sentry):
    (event,) = [each for each in sentry.events() if _about(each) == "user"]
    assert event["tags"].pop("request_id")
    assert event["tags"] == {"method": "GET", "route": "user/"}
    assert event["user"] == {"id": "7"}
    assert (event["release"], event["environment"], event["level"]) == ("1.2.3", "production", "error")
    frame = event["exception"]["values"][0]["stacktrace"]["frames"][-1]
    assert set(frame) == {"filename", "function", "module", "lineno", "in_app"}
    assert frame["function"] == "user"


def test_a_client_as_it_comes_reports_nearly_all_of_them(tmp_path):
    """Or the tests above would show nothing. What is logged was redacted before that client saw it."""
    sentry = Sentry()
    done = run(tmp_path, UNHARDENED=sentry.dsn)
    sentry.close()
    sent = b"".join(sentry.bodies).decode()
    assert done.returncode == 1
    assert {name for name, digits in NUMBERS.items() if digits not in sent} == {"logged", "sql", "end"}
    assert sent.count("a-word-in") >= 2


# --- What is built, in this process --------------------------------------------------------------------------------


def test_an_event_of_another_kind_is_not_sent():
    assert crash_reports.rebuild({"type": "check_in", "monitor_slug": "a"}, {}) is None


def test_an_event_in_which_a_number_is_left_is_not_sent(canary):
    """The digits of one, each text of them no card number by itself, side by side in what is sent."""
    event = {"exception": {"values": [{"value": grouped(canary("groups"), " ").split()}]}}
    assert crash_reports.rebuild(event, {}) is None


def test_what_cannot_be_said_in_json_is_not_sent():
    with pytest.raises(TypeError):
        crash_reports.rebuild({"logentry": {"formatted": object()}}, {})


def test_attachments_are_left_behind():
    hint = {"attachments": [object()]}
    crash_reports.rebuild({"level": "error"}, hint)
    assert hint == {}


def test_the_client_of_sentry_says_nothing_of_its_own():
    assert PINNED["sentry_sdk"] == "WARNING"


def test_without_a_dsn_there_is_no_client(tmp_path):
    script = "import sys, django; django.setup(); print('sentry_sdk' in sys.modules)"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path)}
    environment["DJANGO_SETTINGS_MODULE"] = "billing.settings.local"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
