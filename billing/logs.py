"""Log lines: what each says, and that no way of logging leads around the redaction.

Without Django, and imported by name from `billing.settings.logging`: gunicorn logs before Django is there.
"""

from __future__ import annotations

import io
import json
import logging
import logging.config
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from math import isfinite
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from vault.origin import current_origin
from vault.redaction import RedactingFilter, redact

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

UNHANDLED: Final = "A process ended with an exception that nobody handled."
UNHANDLED_IN_THREAD: Final = "A thread ended with an exception that nobody handled."
UNANSWERED: Final = "A request could not be answered, not even with a page that says so."
UNRAISABLE: Final = "An exception could not be raised where it happened."

# What was masked before its digest was made, and would no longer agree with it.
AUDIT_LOG: Final = "vault.audit"

_logger: Final = logging.getLogger(__name__)
_ATTRIBUTES: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OURS: Final = frozenset({"time", "level", "logger", "message", "request_id", "actor", "exception", "stack"})
_PLAIN: Final = (str, int, float, bool, type(None))

# What ends or hides a line, or is an order to a terminal: all controls, the separators of Unicode, and its marks that
# turn the direction of text around.
_CONTROLS: Final = {
    code: chr(code).encode("unicode_escape").decode()
    for code in (
        *range(0x20),
        *range(0x7F, 0xA0),
        0x2028,
        0x2029,
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    )
}
_WORD: Final = re.compile(r"[\w./:@+*-]+", re.ASCII)
# The path of a request, as a server quotes it, and the query behind it.
_QUERY: Final = re.compile(r"(/[^\s?]*)\?\S*?(?=[\s'\"]|$)")


class JSONFormatter(logging.Formatter):
    """One JSON object a line, in ASCII: whatever a message holds, it ends no line and moves no cursor."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_content_of(record))


class LineFormatter(logging.Formatter):
    """A line for people. The lines of a traceback begin with a bar, so that none of them passes for a message."""

    def format(self, record: logging.LogRecord) -> str:
        content = _content_of(record)
        first = " ".join(content.pop(name) for name in ("time", "level", "logger", "message"))
        below = [line for name in ("exception", "stack") for line in content.pop(name, "").splitlines()]
        first += "".join(f" {name}={_as_field(value)}" for name, value in content.items())
        return "\n".join([_in_one_line(first), *(f"    | {_in_one_line(line)}" for line in below)])


def _content_of(record: logging.LogRecord) -> dict[str, Any]:
    content: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
    }
    origin = current_origin()
    if request_id := getattr(record, "request_id", "") or origin.request_id:
        content["request_id"] = request_id
    if origin.known_actor:
        content["actor"] = origin.known_actor
    # Anything else than plain data, such as a request, would be its repr: with the address, the query and all.
    extras = {name: _plain(value) for name, value in vars(record).items() if name not in _ATTRIBUTES | _OURS}
    content |= {name: value for name, value in extras.items() if value is not None}
    if record.exc_info and not record.exc_text:
        record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
    if record.exc_text:
        content["exception"] = record.exc_text
    if record.stack_info:
        content["stack"] = record.stack_info
    return content


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None


def _as_field(value: Any) -> str:
    """As it is if it is one word: otherwise a space in it would begin what passes for another field."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _in_one_line(text: str) -> str:
    return text.translate(_CONTROLS)


class WithoutQueries(logging.Filter):
    """Cuts the query off every path that a web server quotes, as in `Error handling request GET /orders/?q=…`."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - the filter of the handler makes of it what can be shown
            return True
        record.msg, record.args = _QUERY.sub(r"\1", message), None
        return True


# --- No way around -------------------------------------------------------------------------------------------------


def configure(definition: dict[str, Any]) -> None:
    """What Django calls with `settings.LOGGING`: set it up, and close every other way out of this process."""
    logging.config.dictConfig(definition)
    seal()


def seal() -> None:
    """Redact each record as it is made, and let nothing that the interpreter has to say pass the log by.

    A handler that a library adds (`boto3.set_stream_logger`, `logging.basicConfig`) gets the record after this, with
    the text of its exception and without the exception. What `extra` holds is added to a record later: the filter of
    our own handler redacts it; a handler of somebody else that prints it would print it as it is.
    """
    if not isinstance(logging.getLogRecordFactory(), _Redacted):
        logging.setLogRecordFactory(_Redacted(logging.getLogRecordFactory()))
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_unhandled
    threading.excepthook = _log_unhandled_in_thread
    sys.unraisablehook = _log_unraisable


class _Redacted:
    """Makes the records that logging would, redacted."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make
        self._filter = RedactingFilter()

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        if record.name != AUDIT_LOG:
            self._filter.filter(record)
        return record


def _log_unhandled(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        # As the interpreter prints it: what was being handled stands before it, with its message.
        print(redact("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)  # noqa: T201
    else:
        _logger.critical(UNHANDLED, exc_info=(kind, error, trace))


def _log_unhandled_in_thread(what: threading.ExceptHookArgs) -> None:
    # A thread that ends itself this way means to.
    if what.exc_value is not None and not issubclass(what.exc_type, SystemExit):
        _logger.critical(UNHANDLED_IN_THREAD, exc_info=(what.exc_type, what.exc_value, what.exc_traceback))


def _log_unraisable(what: Any) -> None:
    error = what.exc_value
    _logger.error(UNRAISABLE, exc_info=(type(error), error, error.__traceback__) if error else None)


# --- What servers print by themselves ------------------------------------------------------------------------------


def with_errors_logged(application: WSGIApplication) -> WSGIApplication:
    """The application, with nothing left for a server to print to a stream of its own, past every handler.

    `wsgi.errors` is a logger, and an exception that comes out of the application, as when its error page fails, is
    logged and answered with an empty 500.
    """
    errors = _ErrorLines(logging.getLogger("wsgi.errors"))

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.errors"] = errors
        try:
            return application(environ, start_response)
        except Exception:
            _logger.exception(UNANSWERED)
            start_response("500 Internal Server Error", [("Content-Length", "0")], sys.exc_info())
            return []

    return answer


class _ErrorLines(io.TextIOBase):
    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def write(self, text: str, /) -> int:
        if text.strip():
            self._logger.error("%s", text.rstrip())
        return len(text)
