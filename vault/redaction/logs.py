"""The last gate before a log: whatever a record holds leaves it without card numbers."""

import logging
from collections.abc import Mapping
from numbers import Number
from typing import Any, Final

from vault.redaction.keys import is_forbidden_key
from vault.redaction.text import contains_pan, redact

UNREADABLE: Final = "[a log record that could not be redacted]"
REMOVED: Final = "[removed]"
_TOO_DEEP: Final = "[nested too deeply]"
_MAX_DEPTH: Final = 20

_FORMATTER: Final = logging.Formatter()
_OWN_ATTRIBUTES: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact_data(data: Any) -> Any:
    """Return a copy of nested mappings and lists with every text and number in it redacted.

    What stands under a forbidden key, such as a CVV, is removed whole. Other objects are returned as they are.
    """
    return _redacted(data, 0)


def _redacted(data: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return _TOO_DEEP
    if isinstance(data, Mapping):
        return {
            _redacted(key, depth + 1): REMOVED if _is_forbidden(key) else _redacted(value, depth + 1)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple | set | frozenset):
        items = [_redacted(item, depth + 1) for item in data]
        return items if isinstance(data, list) else tuple(items)
    return _redacted_scalar(data)


def _redacted_scalar(data: Any) -> Any:
    if isinstance(data, str):
        return redact(data)
    if isinstance(data, bytes | bytearray):
        return redact(data.decode("utf-8", errors="surrogateescape")).encode("utf-8", errors="surrogateescape")
    if isinstance(data, int):
        text = redact(str(data))
        return text if text != str(data) else data
    # A fraction has digits by chance; `contains_pan` makes allowance for those, and `redact` does not.
    if isinstance(data, Number) and contains_pan(str(data)):
        return redact(str(data))
    return data


def _is_forbidden(key: object) -> bool:
    return isinstance(key, str) and is_forbidden_key(key)


class RedactingFilter(logging.Filter):
    """Masks card numbers in the message, the traceback, the stack and the extras of every record.

    It changes the record itself, so that handlers after this one see no more than this one did. It drops no record and
    raises nothing: what cannot be redacted is replaced by a constant.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            _redact_record(record)
        except Exception:  # noqa: BLE001 - a log call must not fail, and what failed may be the card number's own text
            _empty_record(record)
        return True


def _redact_record(record: logging.LogRecord) -> None:
    message = redact(record.getMessage())
    if record.exc_info and not record.exc_text:
        record.exc_text = _FORMATTER.formatException(record.exc_info)
    if record.exc_text:
        record.exc_text = redact(record.exc_text)
    if record.stack_info:
        record.stack_info = redact(record.stack_info)
    for name in vars(record).keys() - _OWN_ATTRIBUTES:
        value = vars(record).pop(name)
        setattr(record, redact(name), REMOVED if is_forbidden_key(name) else redact_data(value))
    record.msg, record.args = message, None
    # The text above stands for it. The exception itself would hand its message and its locals to a later handler.
    record.exc_info = None


def _empty_record(record: logging.LogRecord) -> None:
    for name in vars(record).keys() - _OWN_ATTRIBUTES:
        delattr(record, name)
    record.msg, record.args = UNREADABLE, None
    record.exc_info = record.exc_text = record.stack_info = None
