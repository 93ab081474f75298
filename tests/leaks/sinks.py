"""Listens, while tests run, wherever digits could leave the process, and hands what it hears to the test's scanner.

The hooks sit on classes, not on instances: so they hear every connection, client and thread, a live server's included.
"""

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from _pytest.capture import CaptureFixture
from botocore.endpoint import Endpoint
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.core.management.base import OutputWrapper
from django.db.backends.utils import CursorWrapper

from tests.leaks.scanner import Scanner, Sink

LOWEST_LEVEL = 1
# Our own code may not hand digits to a logger at all. What Django logs of a request is judged as the handlers write it.
OWN_LOGGERS = frozenset({"vault", "orders", "billing"})
_RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_scanners: list[Scanner] = []


@contextmanager
def feeding(scanner: Scanner) -> Iterator[Scanner]:
    """What is heard from now on goes to `scanner`."""
    _scanners.append(scanner)
    try:
        yield scanner
    finally:
        _scanners.remove(scanner)


def _record(sink: Sink, data: object, where: str = "") -> None:
    if _scanners:
        _scanners[-1].record(sink, data, where)


def _is_listening() -> bool:
    return bool(_scanners) and _scanners[-1].is_armed


@contextmanager
def installed() -> Iterator[None]:
    """Every hook, for as long as the tests run."""
    with pytest.MonkeyPatch.context() as patch, _lowest_levels() as quiet:
        _wrap(patch, logging.Logger, "callHandlers", lambda original: _log_hook(original, quiet))
        for owner, name, hook in _HOOKS:
            _wrap(patch, owner, name, hook)
        yield


def _wrap(patch: pytest.MonkeyPatch, owner: object, name: str, hook: Callable) -> None:
    patch.setattr(owner, name, hook(getattr(owner, name)))


# --- Logs ----------------------------------------------------------------------------------------------------------


@contextmanager
def _lowest_levels() -> Iterator[dict[logging.Logger, int]]:
    """Open every logger but those that the settings pin; gives the levels that they had."""
    pinned = settings.LOGGING.get("loggers", {})
    loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    levels = {logger: logger.level for logger in loggers if logger.level and logger.name not in pinned}
    levels[logging.root] = logging.root.level
    for logger in levels:
        logger.setLevel(LOWEST_LEVEL)
    try:
        yield levels
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _log_hook(original, quiet):
    def call_handlers(logger, record):
        if _is_listening():
            for text in _log_texts(logger, record):
                _record(Sink.LOG, text, logger.name)
        # What was opened for the scanner stays closed to everyone else.
        if record.levelno >= _own_level(logger, quiet):
            original(logger, record)

    return call_handlers


def _own_level(logger: logging.Logger | None, quiet: dict[logging.Logger, int]) -> int:
    while logger:
        level = quiet.get(logger, logger.level) if logger.level == LOWEST_LEVEL else logger.level
        if level:
            return level
        logger = logger.parent
    return logging.NOTSET


def _log_texts(logger: logging.Logger, record: logging.LogRecord) -> Iterator[object]:
    handlers = list(_product_handlers(logger))
    if logger.name.partition(".")[0] in OWN_LOGGERS or not handlers:
        yield _everything_in(record)
    for handler in handlers:
        copy = logging.makeLogRecord(vars(record))
        if handler.filter(copy):
            yield handler.format(copy)
            yield _everything_in(copy)


def _product_handlers(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    while logger:
        yield from (handler for handler in logger.handlers if not type(handler).__module__.startswith("_pytest"))
        logger = logger.parent if logger.propagate else None


def _everything_in(record: logging.LogRecord) -> list[object]:
    # Not exc_info, the object: the formatter's text of it is what a log gets.
    extras = {name: value for name, value in vars(record).items() if name not in _RECORD_ATTRIBUTES}
    plain = {
        name: value for name, value in extras.items() if isinstance(value, str | bytes | int | list | dict | tuple)
    }
    text = logging.Formatter().format(logging.makeLogRecord(vars(record)))
    return [text, str(record.msg), repr(record.args), record.args, plain]


# --- Output --------------------------------------------------------------------------------------------------------


def _capture_hook(original):
    def readouterr(self):
        result = original(self)
        _record(Sink.STDOUT, result.out)
        _record(Sink.STDERR, result.err)
        return result

    return readouterr


def _command_hook(original):
    def write(self, msg="", *args, **kwargs):
        _record(Sink.COMMAND, msg)
        return original(self, msg, *args, **kwargs)

    return write


def _subprocess_hook(original):
    def communicate(self, *args, **kwargs):
        result = original(self, *args, **kwargs)
        _record(Sink.SUBPROCESS, [output for output in result if output])
        return result

    return communicate


def _warning_hook(original):
    def show(message):
        _record(Sink.WARNING, [str(message.message), message.line or ""])
        return original(message)

    return show


# --- HTTP ----------------------------------------------------------------------------------------------------------


def _response_hook(original):
    def get_response(self, request):
        return _heard_response(original(self, request))

    return get_response


def _async_response_hook(original):
    async def get_response_async(self, request):
        return _heard_response(await original(self, request))

    return get_response_async


def _heard_response(response):
    if not _is_listening():
        return response
    _record(Sink.HTTP, [response.status_code, response.reason_phrase], "status")
    _record(Sink.HTTP, list(response.items()), "headers")
    _record(Sink.HTTP, response.cookies.output(), "cookies")
    if not response.streaming:
        _record(Sink.HTTP, response.content, "body")
        return response
    buffer = _scanners[-1].record_stream(Sink.HTTP, "body")
    tee = _async_tee if response.is_async else _tee
    response.streaming_content = tee(response.streaming_content, buffer)
    return response


def _tee(chunks, buffer):
    for chunk in chunks:
        buffer += chunk
        yield chunk


async def _async_tee(chunks, buffer):
    async for chunk in chunks:
        buffer += chunk
        yield chunk


# --- SQL and AWS ---------------------------------------------------------------------------------------------------


def _sql_hook(original):
    def execute(self, sql, params, many, executor):
        if _scanners:
            _scanners[-1].databases.add(self.db.alias)
            _record(Sink.SQL, sql, "text")
            # A generator of rows would be used up.
            params = list(params) if many else params
            _record(Sink.SQL, params, "parameters")
        return original(self, sql, params, many, executor)

    return execute


def _aws_hook(original):
    def get_response(self, request, operation_model, context):
        _record(Sink.AWS, [request.url, dict(request.headers), request.body or b""], operation_model.name)
        return original(self, request, operation_model, context)

    return get_response


_HOOKS = (
    (CaptureFixture, "readouterr", _capture_hook),
    (OutputWrapper, "write", _command_hook),
    (subprocess.Popen, "communicate", _subprocess_hook),
    (warnings, "_showwarnmsg", _warning_hook),
    (BaseHandler, "get_response", _response_hook),
    (BaseHandler, "get_response_async", _async_response_hook),
    (CursorWrapper, "_execute_with_wrappers", _sql_hook),
    (Endpoint, "_get_response", _aws_hook),
)


# --- Files ---------------------------------------------------------------------------------------------------------


def _audit(event: str, args: tuple) -> None:
    if not _scanners:
        return
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        _remember(args[0])
    elif event == "os.rename":
        _remember(args[1])
    elif event == "sqlite3.connect":
        for suffix in ("", "-wal", "-journal"):
            _remember(args[0], suffix)


def _remember(path: object, suffix: str = "") -> None:
    # A file that is open already has a number for a name.
    if isinstance(path, str | bytes | os.PathLike):
        _scanners[-1].files.add(Path(os.fsdecode(path) + suffix).absolute())


# An audit hook cannot be taken out again, so it is put in once.
sys.addaudithook(_audit)
