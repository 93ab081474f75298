"""Log lines, in this process; what real processes log is in test_logs_of_processes.py."""

import io
import json
import logging
import sys
import threading
import warnings
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject

from billing import logs
from billing.settings import logging as log_settings
from billing.settings.environment import Environment
from tests.cards import grouped
from vault.middleware import OriginMiddleware, RequestOrigin
from vault.origin import acting_for
from vault.redaction import RedactingFilter, redact
from vault.redaction.logs import REMOVED, UNREADABLE

FORMATTERS = {"json": logs.JSONFormatter(), "line": logs.LineFormatter()}


@pytest.fixture(params=FORMATTERS)
def formatter(request):
    return FORMATTERS[request.param]


@pytest.fixture
def sealed(monkeypatch):
    """This process as a real one is, until the end of the test."""
    for owner, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    before = logging.getLogRecordFactory()
    with warnings.catch_warnings():
        logs.seal()
        yield
    logging.captureWarnings(capture=False)
    logging.setLogRecordFactory(before)


@pytest.fixture
def foreign():
    """A logger with a handler that some library added to it, and what that wrote."""
    logger, written = logging.getLogger("tests.foreign"), io.StringIO()
    logger.addHandler(logging.StreamHandler(written))
    yield logger, written
    logger.handlers.clear()


def record(message="A thing happened.", *args, **extra):
    made = logging.LogRecord("orders.services", logging.WARNING, __file__, 1, message, args, None)
    made.created = datetime(2026, 3, 1, 9, 8, 7, 654_000, tzinfo=UTC).timestamp()
    vars(made).update(extra)
    return made


def with_exception(message):
    made = record()
    made.exc_info = raised(message)
    return made


def raised(message):
    try:
        int(f"card {message}")
    except ValueError:
        return sys.exc_info()


# --- What a line says ----------------------------------------------------------------------------------------------


def test_a_line_of_json_is_one_object():
    line = FORMATTERS["json"].format(record("%s rows", 3, batch=7))
    assert json.loads(line) == {
        "time": "2026-03-01T09:08:07.654Z",
        "level": "WARNING",
        "logger": "orders.services",
        "message": "3 rows",
        "batch": 7,
    }


def test_a_line_for_people_has_the_same_in_the_same_order():
    line = FORMATTERS["line"].format(record("%s rows", 3, batch=7, path="/a b"))
    assert line == '2026-03-01T09:08:07.654Z WARNING orders.services 3 rows batch=7 path="/a b"'


def test_a_line_names_the_request_and_its_user(rf):
    request = rf.get("/")
    request.user = User(pk=7)
    with acting_for(RequestOrigin(request)):
        told = json.loads(FORMATTERS["json"].format(record()))
    assert len(told["request_id"]) == 32
    assert told["actor"] == "7"


def test_the_id_in_a_line_is_that_of_the_answer():
    lines = []

    def view(request):
        lines.append(json.loads(FORMATTERS["json"].format(record())))
        return HttpResponse()

    answer = OriginMiddleware(view)(RequestFactory().get("/"))
    assert lines[0]["request_id"] == answer["Request-Id"]


def test_a_line_does_not_ask_who_the_user_is(rf):
    def fail():
        pytest.fail("A log line ran a query.")

    request = rf.get("/")
    request.user = SimpleLazyObject(fail)
    with acting_for(RequestOrigin(request)):
        assert "actor" not in json.loads(FORMATTERS["json"].format(record()))


def test_what_is_no_plain_data_is_left_out(rf):
    """The repr of a request has its address with the query."""
    told = json.loads(FORMATTERS["json"].format(record(request=rf.get("/?q=1"), found=[1, {"a": object()}])))
    assert "request" not in told
    assert told["found"] == [1, {"a": None}]


def test_numbers_that_are_none_are_still_json():
    assert json.loads(FORMATTERS["json"].format(record(rate=float("nan"))))["rate"] == "nan"


# --- One record, one line ------------------------------------------------------------------------------------------

ENDS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
ORDERS = ["\x1b[2J", "\x1b]0;title\x07", "\x08", "\x9b1m", "\x00", "\u202e", "\u2066"]


@pytest.mark.parametrize("text", ENDS + ORDERS, ids=ascii)
def test_nothing_in_a_message_ends_its_line_or_orders_a_terminal_about(formatter, text):
    line = formatter.format(record("begin%send", text, note=text))
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_a_forged_line_in_an_exception_does_not_begin_one():
    line = FORMATTERS["line"].format(with_exception("x\n2026-01-01T00:00:00.000Z INFO orders.services Paid.\u2028y"))
    assert "Paid." in line
    assert all(part.startswith("    | ") for part in line.splitlines()[1:])


def test_a_value_does_not_pass_for_another_field():
    assert FORMATTERS["line"].format(record(path="/ status=200")).endswith('path="/ status=200"')


# --- Card numbers --------------------------------------------------------------------------------------------------


def test_a_handler_of_ours_writes_no_card_number(canary, formatter):
    handler = logging.StreamHandler(io.StringIO())
    handler.addFilter(RedactingFilter())
    handler.setFormatter(formatter)
    digits = canary("log line")
    for made in (record(f"card {digits}", note=grouped(digits, " "), cvv="123"), with_exception(digits)):
        handler.handle(made)
    written = handler.stream.getvalue()
    assert written.count(digits[-4:]) == 3
    assert digits not in written
    assert grouped(digits, " ") not in written
    assert REMOVED in written


def test_an_exception_that_nobody_redacted_before_is_redacted(canary, formatter):
    digits = canary("exception")
    line = formatter.format(with_exception(digits))
    assert digits not in line
    assert digits[-4:] in line


@pytest.mark.usefixtures("sealed")
def test_a_handler_that_a_library_adds_gets_no_card_number(canary, foreign):
    logger, written = foreign
    digits = canary("foreign handler")
    logger.error("card %s", digits)
    logger.error("It failed.", exc_info=raised(f"card {digits}"), stack_info=True)
    assert written.getvalue().count(digits[-4:]) == 2
    assert "Traceback" in written.getvalue()
    assert "Stack (most recent call last)" in written.getvalue()
    assert digits not in written.getvalue()


@pytest.mark.usefixtures("sealed")
def test_a_handler_that_a_library_adds_gets_no_exception_to_look_into(foreign):
    logger, _ = foreign
    records = []
    logger.addHandler(SimpleNamespace(level=0, handle=records.append))
    logger.error("It failed.", exc_info=raised("x"))
    assert records[0].exc_info is None


@pytest.mark.usefixtures("sealed")
def test_without_any_handler_a_card_number_is_not_printed_either(canary, capsys, monkeypatch):
    digits = canary("last resort")
    logger = logging.getLogger("tests.nobody")
    monkeypatch.setattr(logger, "propagate", False)
    logger.warning("card %s", digits)
    assert digits[-4:] in capsys.readouterr().err


@pytest.mark.usefixtures("sealed")
def test_a_record_that_cannot_be_formatted_says_so_and_no_more(canary, foreign):
    logger, written = foreign
    logger.error("%d", canary("wrong type"))
    assert written.getvalue() == f"{UNREADABLE}\n"


@pytest.mark.usefixtures("sealed")
def test_an_audit_event_is_left_as_its_digest_has_it():
    """It was masked before; digests and times in it may look like card numbers."""
    event = '{"row": 1' + "0" * 14 + "8}"
    assert redact(event) != event
    made = logging.getLogger(logs.AUDIT_LOG).makeRecord(logs.AUDIT_LOG, 20, "", 1, "%s", (event,), None)
    assert made.getMessage() == event


def test_sealing_twice_is_sealing_once(sealed):
    once = logging.getLogRecordFactory()
    logs.seal()
    assert logging.getLogRecordFactory() is once


@pytest.mark.usefixtures("sealed")
def test_the_stream_logger_of_boto3_writes_no_card_number(canary):
    """Data keys and tokens it does write, if somebody calls it: nothing can prevent that, and vault.W203 warns of it."""
    logger, written = logging.getLogger("boto3.sealed"), io.StringIO()
    boto3.set_stream_logger("boto3.sealed")
    logger.handlers[0].setStream(written)
    digits = canary("boto3")
    logger.debug("Response: %s", {"Item": digits})
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    assert digits[-4:] in written.getvalue()
    assert digits not in written.getvalue()


@pytest.mark.parametrize(
    ("message", "args", "said"),
    [
        ('"%s" %s %s', ("GET /orders/?q=a+b HTTP/1.1", "200", "1"), '"GET /orders/ HTTP/1.1" 200 1'),
        ("Error handling request %s %s", ("GET", "/a/?q=1&b=2"), "Error handling request GET /a/"),
        ("Not found: '/a?b'", (), "Not found: '/a'"),
        ("What is it? Nothing.", (), "What is it? Nothing."),
    ],
)
def test_a_query_is_cut_off_its_path(message, args, said):
    made = record(message, *args)
    assert logs.WithoutQueries().filter(made)
    assert made.getMessage() == said


def test_wsgi_errors_are_lines_of_the_log(canary, caplog):
    def application(environ, start_response):
        environ["wsgi.errors"].write(f"card {digits}\n")
        environ["wsgi.errors"].flush()
        return []

    digits = canary("wsgi.errors")
    caplog.handler.addFilter(RedactingFilter())
    logs.with_errors_logged(application)({}, None)
    assert [(each.name, each.getMessage()) for each in caplog.records] == [
        ("wsgi.errors", f"card [card •••• {digits[-4:]}]")
    ]


def test_an_exception_that_leaves_the_application_is_left_to_no_server(caplog):
    def application(environ, start_response):
        raise ValueError

    begun = []
    answer = logs.with_errors_logged(application)({}, lambda *arguments: begun.append(arguments))
    assert list(answer) == []
    assert begun[0][:2] == ("500 Internal Server Error", [("Content-Length", "0")])
    assert [each.getMessage() for each in caplog.records] == [logs.UNANSWERED]


# --- Levels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("is_laptop", "name"), [(True, "TRACE"), (True, "NOTSET"), (False, "DEBUG"), (False, "debug")])
def test_a_level_that_tells_too_much_is_refused(monkeypatch, is_laptop, name):
    monkeypatch.setattr(log_settings, "env", env := Environment())
    monkeypatch.setattr(log_settings, "IS_LAPTOP", is_laptop)
    monkeypatch.setenv("LOG_LEVEL", name)
    assert log_settings.level() == "INFO"
    assert env.problems == {"LOG_LEVEL": log_settings.LEVEL_UNKNOWN}


@pytest.mark.parametrize(("is_laptop", "name"), [(True, "debug"), (False, "info"), (False, "CRITICAL")])
def test_other_levels_are_taken(monkeypatch, is_laptop, name):
    monkeypatch.setattr(log_settings, "IS_LAPTOP", is_laptop)
    monkeypatch.setenv("LOG_LEVEL", name)
    assert log_settings.level() == name.upper()


@pytest.mark.parametrize(
    ("is_laptop", "asked", "given"),
    [(True, "json", "json"), (True, "", "line"), (False, "line", "json"), (False, "", "json")],
)
def test_lines_are_for_laptops(monkeypatch, is_laptop, asked, given):
    monkeypatch.setattr(log_settings, "IS_LAPTOP", is_laptop)
    monkeypatch.delenv("LOG_FORMAT", raising=False)
    if asked:
        monkeypatch.setenv("LOG_FORMAT", asked)
    assert log_settings.line_format() == given


def test_no_handler_is_left_without_redaction_and_no_report_is_mailed():
    handlers = log_settings.LOGGING["handlers"]
    assert {name for name, each in handlers.items() if "redact" not in each.get("filters", [])} == {"audit"}
    users = {name for name, each in log_settings.LOGGING["loggers"].items() if "audit" in each["handlers"]}
    assert users == {logs.AUDIT_LOG}
    assert logging.getLogger("django").handlers == logging.getLogger("django.server").handlers == []
