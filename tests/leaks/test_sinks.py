"""One leak is planted in every sink, the way a careless line of code would, and is seen there."""

import asyncio
import hashlib
import http.client
import io
import logging
import logging.handlers
import os
import sqlite3
import subprocess
import sys
import textwrap
import warnings
from contextlib import closing, suppress
from pathlib import Path

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core import mail
from django.core.cache import cache
from django.core.management import BaseCommand, call_command
from django.db import connection, transaction
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from moto import mock_aws
from rest_framework.test import APIClient

from tests.cards import CANARY_BIN, grouped
from tests.leaks import Scanner, remains, sinks

REPOSITORY = Path(__file__).parents[2]
DIGITS = Scanner("planted").canary("planted")


@pytest.fixture
def planted():
    """A scanner that hears everything this test does and looks for `DIGITS`."""
    scanner = Scanner("planted")
    scanner.watch(DIGITS, label="planted")
    with sinks.feeding(scanner):
        yield scanner


def leaking_sinks(scanner, *folders):
    remains.collect(scanner, folders)
    return [line.partition(" leaked into ")[2].partition(" as ")[0] for line in scanner.leaks()]


# --- Logs ----------------------------------------------------------------------------------------------------------


def raised():
    return ValueError(f"bad number {DIGITS}")


LOG_CALLS = {
    "message": lambda log: log.error(f"card {DIGITS}"),  # noqa: G004 - the mistake
    "argument": lambda log: log.info("card %s", DIGITS),
    "argument that is cut": lambda log: log.info("card %.4s", DIGITS),
    "mapping that is not used": lambda log: log.info("%(a)s", {"a": 1, "number": DIGITS}),
    "extra": lambda log: log.info("card", extra={"number": DIGITS}),
    "traceback": lambda log: log.error("failed", exc_info=raised()),
    "lowest level": lambda log: log.log(1, "card %s", DIGITS),
    "spelled": lambda log: log.debug("card %s", grouped(DIGITS, "-")),
}


@pytest.mark.parametrize("name", ["vault.store", "orders", "billing.middleware", "someone.elses"])
@pytest.mark.parametrize("call", LOG_CALLS.values(), ids=LOG_CALLS)
def test_log(planted, call, name, monkeypatch):
    # A library's records are judged behind the product's handlers; these have none that redact.
    monkeypatch.setattr(logging.root, "handlers", [logging.NullHandler()])
    call(logging.getLogger(name))

    assert leaking_sinks(planted) == [f"log ({name})"]


def test_log_of_a_library_is_judged_as_the_handlers_write_it(planted, monkeypatch, capfd):
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: setattr(record, "msg", "hidden") or setattr(record, "args", ()) or True)
    monkeypatch.setattr(logging.root, "handlers", [handler])
    logging.getLogger("library").error("card %s", DIGITS)

    assert "hidden" in capfd.readouterr().err
    assert leaking_sinks(planted) == []


def test_log_that_does_not_propagate(planted, monkeypatch):
    logger = logging.getLogger("vault.quiet")
    monkeypatch.setattr(logger, "propagate", False)
    logger.warning("card %s", DIGITS)

    assert leaking_sinks(planted) == ["log (vault.quiet)"]


def test_levels_opened_for_the_scanner_stay_closed_for_handlers(planted, monkeypatch):
    handler = logging.handlers.BufferingHandler(capacity=10)
    monkeypatch.setattr(logging.root, "handlers", [handler])
    logging.getLogger("library").debug("only for the scanner: %s", DIGITS)
    logging.getLogger("botocore.auth").debug("not even for the scanner, as the settings pin it: %s", DIGITS)

    assert handler.buffer == []
    assert leaking_sinks(planted) == ["log (library)"]


# --- Output --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output(planted, stream, capsys):
    getattr(sys, stream).write(DIGITS)
    capsys.readouterr()

    assert leaking_sinks(planted) == [stream]


@pytest.mark.parametrize(("descriptor", "stream"), [(1, "stdout"), (2, "stderr")])
def test_output_below_python(planted, descriptor, stream, capfd):
    os.write(descriptor, DIGITS.encode())
    capfd.readouterr()

    assert leaking_sinks(planted) == [stream]


class Command(BaseCommand):
    def handle(self, **options):
        self.stdout.write(f"imported {DIGITS}")


def test_command(planted, capsys):
    call_command(Command())

    assert leaking_sinks(planted) == ["command output"]


def test_subprocess(planted):
    subprocess.run([sys.executable, "-c", "print(input())"], input=DIGITS, text=True, capture_output=True, check=True)

    assert leaking_sinks(planted) == ["subprocess output"]


def test_warning(planted):
    with pytest.warns(UserWarning, match="odd"):
        warnings.warn(f"odd card {DIGITS}", UserWarning, stacklevel=1)

    assert "warning" in leaking_sinks(planted)


# --- HTTP ----------------------------------------------------------------------------------------------------------


def with_cookie(request):
    response = HttpResponse("ok")
    response.set_cookie("seen", grouped(DIGITS, "."))
    return response


def in_two_chunks(request):
    return StreamingHttpResponse(iter([DIGITS[:8], DIGITS[8:]]))


def as_file(request):
    return FileResponse(io.BytesIO(DIGITS.encode()), filename="a.txt")


async def asynchronous(request):
    async def chunks():
        yield DIGITS[:8]
        yield DIGITS[8:]

    return StreamingHttpResponse(chunks())


PAGES = {
    "body": (lambda request: HttpResponse(f"<b>{grouped(DIGITS, '&nbsp;')}</b>"), "http (body)"),
    "error": (lambda request: HttpResponse(DIGITS, status=500), "http (body)"),
    "header": (lambda request: HttpResponse(headers={"X-Card": DIGITS}), "http (headers)"),
    "location": (lambda request: HttpResponse(status=302, headers={"Location": f"/?q={DIGITS}"}), "http (headers)"),
    "cookie": (with_cookie, "http (cookies)"),
    "reason": (lambda request: HttpResponse(reason=DIGITS), "http (status)"),
    "stream": (in_two_chunks, "http (body)"),
    "file": (as_file, "http (body)"),
}
urlpatterns = [path(f"{name}/", view) for name, (view, _) in PAGES.items()]
urlpatterns.append(path("asynchronous/", asynchronous))


@pytest.fixture
def pages(settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []


@pytest.mark.parametrize("client_class", [Client, APIClient])
@pytest.mark.parametrize("name", PAGES)
def test_http(planted, pages, client_class, name):
    response = client_class().get(f"/{name}/")

    assert response.getvalue() == (DIGITS.encode() if name in ("stream", "file") else response.content)
    assert leaking_sinks(planted) == [PAGES[name][1]]


def test_asynchronous_http(planted, pages):
    async def get():
        response = await AsyncClient().get("/asynchronous/")
        return b"".join([chunk async for chunk in response.streaming_content])

    assert asyncio.run(get()) == DIGITS.encode()
    assert leaking_sinks(planted) == ["http (body)"]


@pytest.mark.django_db(transaction=True)
def test_http_of_a_live_server(planted, pages, live_server):
    wire = http.client.HTTPConnection(live_server.thread.host, live_server.thread.port)
    wire.request("GET", "/stream/")

    assert wire.getresponse().read() == DIGITS.encode()
    wire.close()
    assert leaking_sinks(planted) == ["http (body)"]


# --- SQL -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_sql_parameters(planted):
    User.objects.filter(username__startswith=DIGITS).exists()

    assert leaking_sinks(planted) == ["sql (parameters)"]


@pytest.mark.django_db
def test_sql_text(planted):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {DIGITS}")

    assert leaking_sinks(planted) == ["sql (text)"]


def rename_user(name):
    """Write past Django's cursor, so that only the table shows it."""
    User.objects.create(username="placeholder")
    with closing(connection.create_cursor()) as cursor:
        cursor.execute("UPDATE auth_user SET username = %s", [name])


NAMES = {
    "plain": DIGITS,
    "NBSP": grouped(DIGITS, "\u00a0"),
    "reversed": DIGITS[::-1],
    "bytes": DIGITS.encode("utf-16-le"),
    "digest": hashlib.sha256(DIGITS.encode()).hexdigest(),
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.django_db
def test_table_in_a_transaction(planted, name):
    rename_user(name)

    assert leaking_sinks(planted) == ["table (auth_user)"]


@pytest.mark.django_db(transaction=True)
def test_table_after_commit(planted):
    rename_user(DIGITS)

    assert leaking_sinks(planted) == ["table (auth_user)"]


@pytest.mark.django_db
def test_table_in_a_transaction_that_failed(planted):
    rename_user(DIGITS)
    transaction.set_rollback(True)

    assert leaking_sinks(planted) == ["table (auth_user)"]


@pytest.mark.django_db
def test_session(planted):
    store = SessionStore()
    store["draft"] = {"number": grouped(DIGITS, " ")}
    store.save()

    assert "session" in leaking_sinks(planted)


# --- Elsewhere -----------------------------------------------------------------------------------------------------


MESSAGES = {
    "subject": lambda: mail.EmailMessage(f"card {DIGITS}", "", to=["a@example.com"]),
    "body": lambda: mail.EmailMessage("Grüße", f"Ihre Karte ⟨{DIGITS}⟩", to=["a@example.com"]),
    "recipient": lambda: mail.EmailMessage("", "", to=[f"{DIGITS}@example.com"]),
    "header": lambda: mail.EmailMessage("", "", to=["a@example.com"], headers={"X-Card": DIGITS}),
    "attachment": lambda: mail.EmailMessage("", "", to=["a@example.com"], attachments=[("a.csv", DIGITS, "text/csv")]),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_mail(planted, message):
    message().send()

    assert leaking_sinks(planted) == ["mail"]


@pytest.fixture
def memory(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.mark.django_db
def test_cache_in_the_database(planted):
    cache.set("draft", DIGITS)

    assert {"sql (parameters)", "table (cache)"} <= set(leaking_sinks(planted))


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("value", [DIGITS, int(DIGITS), {"card": [grouped(DIGITS, "-")]}, DIGITS.encode("utf-16")])
def test_cache(planted, value):
    cache.set("draft", value)

    assert leaking_sinks(planted) == ["cache"]
    cache.clear()


@pytest.mark.usefixtures("memory")
def test_cache_key(planted):
    cache.set(f"card-{DIGITS}", 1)

    assert len(leaking_sinks(planted)) == 1
    cache.clear()


def write_text(folder):
    (folder / "export.csv").write_text(f"a,{grouped(DIGITS, ' ')}\n")


def rename(folder):
    (folder / "new").write_text(DIGITS)
    (folder / "new").replace(folder / "export.csv")


def write_database(folder):
    with sqlite3.connect(folder / "export.csv") as database:
        database.execute("CREATE TABLE cards (number)")
        database.execute("INSERT INTO cards VALUES (?)", [DIGITS])
    database.close()


def write_from_outside(folder):
    subprocess.run(["/bin/sh", "-c", f"echo {DIGITS} > {folder / 'export.csv'}"], check=True)


@pytest.mark.parametrize("write", [write_text, rename, write_database, write_from_outside])
def test_file(planted, tmp_path, write):
    write(tmp_path)

    assert leaking_sinks(planted, tmp_path) == ["file (export.csv)"]


@pytest.mark.parametrize("write", [write_text, rename, write_database])
def test_file_outside_of_the_watched_folders(planted, tmp_path, write):
    write(tmp_path)

    assert leaking_sinks(planted) == ["file (export.csv)"]


def test_file_name(planted, tmp_path):
    (tmp_path / f"{DIGITS}.txt").touch()

    assert leaking_sinks(planted, tmp_path) == ["file (name withheld)"]


def test_write_ahead_log_of_an_open_database(planted, tmp_path):
    database = sqlite3.connect(tmp_path / "vault.sqlite3")
    database.execute("PRAGMA journal_mode=WAL")
    with database:
        database.execute("CREATE TABLE cards (number)")
        database.execute("INSERT INTO cards VALUES (?)", [int(DIGITS)])

    assert leaking_sinks(planted) == ["file (vault.sqlite3-wal)"]
    database.close()


TABLE = {
    "TableName": "planted",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture
def dynamodb(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield boto3.session.Session().client("dynamodb", region_name="eu-central-1")


@pytest.mark.parametrize("value", [{"S": DIGITS}, {"N": DIGITS}, {"B": DIGITS.encode()}], ids=["S", "N", "B"])
def test_dynamodb_of_moto(planted, dynamodb, value):
    dynamodb.create_table(**TABLE)
    dynamodb.put_item(TableName="planted", Item={"id": {"S": "1"}, "card": value})

    assert leaking_sinks(planted) == ["aws (PutItem)", "dynamodb (planted)"]


def test_aws_request_that_a_hook_answers(planted, dynamodb):
    answer = AWSResponse("https://example.com/", 400, {}, None)
    answer._content = b"{}"
    dynamodb.meta.events.register_first("before-send.dynamodb", lambda **_: answer)
    with suppress(dynamodb.exceptions.ClientError):
        dynamodb.get_item(TableName="planted", Key={"id": {"S": DIGITS}})

    assert leaking_sinks(planted) == ["aws (GetItem)"]


# --- As a whole ----------------------------------------------------------------------------------------------------


INNER_TESTS = """
    import pytest
    from django.contrib.auth.models import User

    def test_prints(canary):
        print(canary("printed"))

    def test_prints_in_setup(noisy):
        pass

    @pytest.fixture
    def noisy(canary):
        print(canary("set-up"))

    def test_with_the_db_fixture(canary, db):
        User.objects.bulk_create([User(username=canary("user name"))])

    @pytest.mark.django_db(transaction=True)
    def test_commits(canary):
        User.objects.bulk_create([User(username=canary("committed"))])

    def test_published(card):
        print(card("amex"))

    def test_allowed(canary, leaks):
        print(canary("shown"))
        leaks.allow("shown", sink="stdout", reason="this test is about it")

    def test_clean(canary, db):
        User.objects.bulk_create([User(username=canary("masked")[-4:])])

    def test_without_canary(db):
        User.objects.bulk_create([User(username="a")])
"""
LEAKING = """
    canary 'printed' leaked into stdout as plain digits (1 time)
    canary 'set-up' leaked into stdout as plain digits (1 time)
    canary 'user name' leaked into sql (parameters) as plain digits (1 time)
    canary 'user name' leaked into table (auth_user) as plain digits (1 time)
    canary 'committed' leaked into sql (parameters) as plain digits (1 time)
    canary 'committed' leaked into table (auth_user) as plain digits (1 time)
    canary 'amex test card' leaked into stdout as plain digits (1 time)
"""


def test_every_test_is_searched(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "from tests.conftest import canary, card, data_dir, leak_sinks, leaks, pytest_runtest_call\n"
    )
    (tmp_path / "test_inner.py").write_text(textwrap.dedent(INNER_TESTS))
    options = ["-p", "no:cacheprovider", "-q", f"--rootdir={tmp_path}", "-c", os.devnull, str(tmp_path)]
    # A database of its own: on a server, this run would replace the one that the outer run is using.
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "DATABASE_URL": "sqlite://:memory:"}
    environment["DJANGO_SETTINGS_MODULE"] = "billing.settings.test"

    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options], capture_output=True, text=True, check=False, env=environment
    )

    assert "5 failed, 3 passed" in run.stdout
    assert [line for line in map(str.strip, LEAKING.split("\n")) if line not in run.stdout] == []
    assert CANARY_BIN not in run.stdout
