"""On whose behalf, and from where, the code that is running now was started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol


class Origin(Protocol):
    """Where an operation comes from."""

    @property
    def actor(self) -> str: ...
    @property
    def actor_name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def request_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Process:
    """An operation that no request asked for: a command or a task."""

    actor: str = "process"
    actor_name: str = ""
    source: str = "local"
    request_id: str = ""


_origin: ContextVar[Origin] = ContextVar("vault_origin", default=Process())  # noqa: B039 - it is frozen


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
