"""On whose behalf, and from where, the code that is running now was started.

Not in `vault.audit`, and without Django: logs ask for it, and they begin before Django.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol


class Origin(Protocol):
    """Where an operation comes from.

    `known_actor` is `actor` if that is known by now, and otherwise empty: logs ask for it, and cause no query.
    """

    @property
    def actor(self) -> str: ...
    @property
    def actor_name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def known_actor(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Process:
    """An operation that no request asked for: a command or a task."""

    actor: str = "process"
    actor_name: str = ""
    source: str = "local"
    request_id: str = ""
    known_actor: str = ""


def _who_started_this() -> str:
    """The user of the machine, and the program with the command that it was given: `root manage.py vault_check`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # In a container the user may have no name.
        user = f"uid {os.getuid()}"
    program, command = Path(sys.argv[0]).name, "".join(sys.argv[1:2])
    # Anything may stand on a command line; a name of a command has no digits in a row.
    return " ".join([user, program, *([command] if _COMMAND.fullmatch(command) else [])])


_COMMAND: Final = re.compile("[a-z_]{1,40}")
_origin: ContextVar[Origin] = ContextVar(
    "vault_origin",
    default=Process(actor_name=_who_started_this()),  # noqa: B039 - it is frozen
)


def current_origin() -> Origin:
    """The origin of what runs now."""
    return _origin.get()


@contextmanager
def acting_for(origin: Origin) -> Iterator[None]:
    """Everything inside happens on behalf of `origin`."""
    previous = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(previous)
