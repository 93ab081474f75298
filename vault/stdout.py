"""Audit events on stdout, where the platform collects them. Not in `vault.audit`: logging starts before Django."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

from vault.exceptions import AuditUnavailable

_Stream = Callable[[], TextIO]
_elsewhere: ContextVar[_Stream | None] = ContextVar("vault_stdout_elsewhere", default=None)


@contextmanager
def taken(*, to: TextIO | None = None) -> Iterator[None]:
    """Stdout belongs to what a command hands out, such as an export; events go to stderr meanwhile, or to `to`."""
    previous = _elsewhere.set(lambda: to or sys.stderr)
    try:
        yield
    finally:
        _elsewhere.reset(previous)


class StdoutHandler(logging.Handler):
    """One event a line on stdout. Where other handlers swallow a failed write, this one raises `AuditUnavailable`."""

    def emit(self, record: logging.LogRecord) -> None:
        stream = elsewhere() if (elsewhere := _elsewhere.get()) else sys.stdout
        try:
            stream.write(record.getMessage() + "\n")
            stream.flush()
        except (OSError, ValueError):
            raise AuditUnavailable from None
