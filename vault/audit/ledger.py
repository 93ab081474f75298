"""Where events are written: a table of its own, through a connection of its own, one row and one commit each."""

from __future__ import annotations

import logging
import os
import random
import socket
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.db import Error as DatabaseError, IntegrityError, connections
from django.utils.connection import ConnectionDoesNotExist

from vault.audit.chain import CONTENT, NOTHING, OPENING, TRUNK, digest, written_time
from vault.conf import vault_config
from vault.exceptions import AuditUnavailable
from vault.models import AuditEvent

# Not the logger of this module: what goes to `vault.audit` and below it is an event.
logger: Final = logging.getLogger("vault.ledger")

# What MySQL says when it closed a connection that lay idle. After anything else nobody knows what became of the write,
# and after a time-out there is no time left.
_CLOSED_MEANWHILE: Final = frozenset({2006, 4031})
# As many processes as ever start at once; each round of the race on the trunk has a winner.
_OPENING_ATTEMPTS: Final = 200
_LONGEST_PAUSE: Final = 0.02


@dataclass(slots=True)
class _Branch:
    """A chain that is this process's alone, and its last event."""

    chain: str
    number: int
    digest: str


class Ledger:
    """Appends events. A write takes a branch that nobody writes to at the moment, so threads do not wait either."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._lock = threading.Lock()
        self._free: list[_Branch] = []

    def append(self, content: Mapping[str, Any]) -> AuditEvent:
        """Write an event and return it once the database has committed it. Raises `AuditUnavailable`.

        If the connection was closed while it lay idle, a new one is tried, once. The branch of a failed write is left.
        """
        try:
            connection = connections[self._alias]
            # What is rolled back was never recorded. Tests roll everything back.
            if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
                logger.error("The audit log cannot be written within a transaction of its own connection")
                raise AuditUnavailable
            try:
                return self._append(content)
            except DatabaseError as error:
                # Within a transaction, where only tests are, there is nothing to go on with.
                if connection.in_atomic_block:
                    raise
                connection.close()
                if next(iter(error.args), None) not in _CLOSED_MEANWHILE:
                    raise
                return self._append(content)
        except (DatabaseError, ConnectionDoesNotExist) as error:
            # The number alone: messages of MySQL quote values.
            logger.error(  # noqa: TRY400 - so does a traceback
                "The audit log cannot be written (%s %s)",
                type(error).__name__,
                next((argument for argument in error.args if isinstance(argument, int)), ""),
            )
            raise AuditUnavailable from None

    def _append(self, content: Mapping[str, Any]) -> AuditEvent:
        with self._lock:
            branch = self._free.pop() if self._free else None
        branch = branch or self._open_branch()
        event = self._write({**content, "chain": branch.chain, "number": branch.number + 1}, previous=branch.digest)
        # Not reached if the write failed in any way: a branch whose last event is in doubt is never written to again.
        branch.number, branch.digest = event.number, event.digest
        with self._lock:
            self._free.append(branch)
        return event

    def _open_branch(self) -> _Branch:
        """Say on the trunk that this process writes a branch from now on (PCI DSS 10.2.1.6)."""
        name = uuid.uuid4().hex
        who = {"host": socket.gethostname(), "process": os.getpid(), "program": Path(sys.argv[0]).name}
        for _ in range(_OPENING_ATTEMPTS):
            last = AuditEvent.objects.using(self._alias).filter(chain=TRUNK).order_by("-number").first()
            opening = blank(OPENING, outcome=AuditEvent.Outcome.DONE, subject=name, details=who)
            place = {"chain": TRUNK, "number": last.number + 1 if last else 1}
            try:
                event = self._write(opening | place, previous=last.digest if last else NOTHING)
            except IntegrityError:
                # Another process was first. The next look sees what it wrote.
                time.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311 - no secret
            else:
                return _Branch(name, 0, event.digest)
        raise AuditUnavailable

    def _write(self, content: dict[str, Any], *, previous: str) -> AuditEvent:
        values = {name: content[name] for name in CONTENT} | {"previous": previous}
        values["digest"] = digest(previous, content | {"time": written_time(content["time"])})
        event = AuditEvent(**values)
        # A single INSERT outside a transaction: committed when it returns.
        event.save(using=self._alias)
        return event


def blank(operation: str, **values: Any) -> dict[str, Any]:
    """An event about nothing in particular, at this moment, with the given values."""
    texts = dict.fromkeys(["actor", "actor_name", "source", "request_id", "token", "subject", "purpose", "reason"], "")
    return {
        **texts,
        "time": datetime.now(UTC),
        "operation": operation,
        "operation_id": uuid.uuid4().hex,
        "cards": 0,
        "is_alarm": False,
        "details": {},
        **values,
    }


_ledgers: dict[str, Ledger] = {}
_lock = threading.Lock()


def current_ledger() -> Ledger:
    """The ledger of this process on the audit database that the settings name now."""
    alias = vault_config().AUDIT_DATABASE
    with _lock:
        if alias not in _ledgers:
            _ledgers[alias] = Ledger(alias)
        return _ledgers[alias]


def forget() -> None:
    """Open new branches from now on. A forked child must not write to those of its parent."""
    global _lock  # noqa: PLW0603 - a lock copied while held never opens again
    _lock = threading.Lock()
    _ledgers.clear()


os.register_at_fork(after_in_child=forget)
