"""Audit events on stdout, where the platform collects them. Not in `vault.audit`: logging starts before Django."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from vault.exceptions import AuditUnavailable

_is_taken: ContextVar[bool] = ContextVar("vault_stdout_is_taken", default=False)


@contextmanager
def taken() -> Iterator[None]:
    """Stdout belongs to what a command hands out, such as an export; events go to stderr meanwhile."""
    previous = _is_taken.set(True)
    try:
        yield
    finally:
        _is_taken.reset(previous)


class StdoutHandler(logging.Handler):
    """One event a line on stdout. Where other handlers swallow a failed write, this one raises `AuditUnavailable`."""

    def emit(self, record: logging.LogRecord) -> None:
        stream = sys.stderr if _is_taken.get() else sys.stdout
        try:
            stream.write(record.getMessage() + "\n")
            stream.flush()
        except (OSError, ValueError):
            raise AuditUnavailable from None
