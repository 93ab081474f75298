"""Audit events on stdout, where the platform collects them. Not in `vault.audit`: logging starts before Django."""

from __future__ import annotations

import logging
import sys

from vault.exceptions import AuditUnavailable


class StdoutHandler(logging.Handler):
    """One event a line on stdout. Where other handlers swallow a failed write, this one raises `AuditUnavailable`."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(record.getMessage() + "\n")
            sys.stdout.flush()
        except (OSError, ValueError):
            raise AuditUnavailable from None
