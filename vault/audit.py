"""The record of who touched which card. An event that cannot be written stops the operation that it is about."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from vault.exceptions import AuditUnavailable, VaultError

_logger: Final = logging.getLogger(__name__)


class Origin(Protocol):
    """Where an operation comes from."""

    @property
    def actor(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def request_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Process:
    """An operation that no request asked for: a command or a task."""

    actor: str = "process"
    source: str = "local"
    request_id: str = ""


_origin: ContextVar[Origin] = ContextVar("vault_origin", default=Process())  # noqa: B039 - it is frozen


@contextmanager
def acting_for(origin: Origin) -> Iterator[None]:
    """Everything inside happens on behalf of `origin`."""
    previous = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(previous)


@contextmanager
def audited(operation: str, *, actor: str | None = None, **details: Any) -> Iterator[dict[str, Any]]:
    """Write the intent before the operation runs and its outcome after; the yielded dict adds to the outcome.

    Raises `AuditUnavailable` instead of running the operation, or instead of giving its result, if an event cannot be
    written (PCI DSS 10.7.2).
    """
    _write(operation, "intent", actor, details)
    outcome: dict[str, Any] = {}
    try:
        yield outcome
    except VaultError as error:
        _write(operation, type(error).__name__, actor, details)
        raise
    except BaseException:
        _write(operation, "Interrupted", actor, details)
        raise
    _write(operation, "done", actor, details | outcome)


def _write(operation: str, outcome: str, actor: str | None, details: dict[str, Any]) -> None:
    if not _logger.isEnabledFor(logging.INFO):
        raise AuditUnavailable
    origin = _origin.get()
    event = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "operation": operation,
        "outcome": outcome,
        "actor": actor or origin.actor,
        "source": origin.source,
        "request_id": origin.request_id,
        **details,
    }
    _logger.info("%s", json.dumps(event, default=str))


class StdoutHandler(logging.Handler):
    """One event a line on stdout. Where other handlers swallow a failed write, this one raises `AuditUnavailable`."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(record.getMessage() + "\n")
            sys.stdout.flush()
        except (OSError, ValueError):
            raise AuditUnavailable from None
