"""How many threads of a process AWS can hold up, however long it hangs."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final
from weakref import WeakSet

from vault.exceptions import VaultUnavailable

logger = logging.getLogger(__name__)

#: What a refused call is said to have been answered.
TOO_MANY_CALLS: Final = "TooManyCallsAtOnce"
#: Longer, in seconds, than a call takes that AWS answers; shorter than anybody minds that a page takes longer.
PATIENCE: Final = 0.25
# How often somebody who waits for a lock looks whether it is worth it.
_GLANCE: Final = 0.02
_PLACE: Final = "vault.gate"


class _Call:
    """A call of AWS on its way, which holds a place for as long as anybody has this object."""

    __slots__ = ("__weakref__", "began", "thread")

    def __init__(self, thread: int, began: float) -> None:
        self.thread = thread
        self.began = began


class Gate:
    """Lets so many calls of AWS be on their way at once; 0 is no limit.

    When all places are taken, a call waits for one while there is hope: until the call that began last is PATIENCE
    old. So in normal work it waits a few milliseconds, and while AWS hangs it is refused at once. Those who wait get
    their places in the order in which they came, before anybody who comes later. Safe to share between threads; not to
    be shared with a forked child.

    :param clock: monotonic seconds
    """

    def __init__(self, places: int = 0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._clock = clock
        self._changed = threading.Condition()
        # The context of a call, which botocore has from before-call to the end, is what keeps it in here. If it ends
        # in a way that neither event tells of, as with an exception that is no Exception, its place is free as well.
        self._calls: WeakSet[_Call] = WeakSet()
        self._queue: list[object] = []
        self._last_began = -math.inf

    @property
    def is_limited(self) -> bool:
        return self._places > 0

    def enter(self, *, context: dict[str, Any], **_: Any) -> None:
        """Take a place for a call: botocore's before-call, behind every handler that may raise or answer itself.

        Raises `VaultUnavailable`; then the call is not made.
        """
        if not self.is_limited:
            return
        me = threading.get_ident()
        with self._changed:
            # Credentials are asked for within the call that needs them: that thread is held up as it is.
            if any(call.thread == me for call in self._calls):
                return
            self._queue_up()
            context[_PLACE] = call = _Call(me, self._clock())
            self._last_began = call.began
            self._calls.add(call)

    def leave(self, *, context: dict[str, Any], **_: Any) -> None:
        """Give the place back, if this call has one: botocore's after-call and after-call-error."""
        with self._changed:
            call = context.pop(_PLACE, None)
            if call is not None:
                self._calls.discard(call)
                self._changed.notify_all()

    def is_held_up(self, thread: int) -> bool:
        """True if a thread waits for AWS longer than AWS takes when it answers."""
        with self._changed:
            return any(call.thread == thread and call.began + PATIENCE <= self._clock() for call in self._calls)

    def _queue_up(self) -> None:
        # A thread that makes call after call would otherwise take the place that it just left each time, before one
        # that waits for it is awake.
        ticket = object()
        self._queue.append(ticket)
        try:
            while not self._is_turn_of(ticket):
                if not self._is_there_hope(ticket, self._last_began):
                    raise _refusal()
        finally:
            self._queue.remove(ticket)
            self._changed.notify_all()

    def _is_there_hope(self, ticket: object, last: float) -> bool:
        """Wait until it is somebody's turn, or until another call than the one of `last` began, while that is new."""
        return self._changed.wait_for(
            lambda: self._is_turn_of(ticket) or self._last_began != last, timeout=last + PATIENCE - self._clock()
        )

    def _is_turn_of(self, ticket: object) -> bool:
        return len(self._calls) + self._queue.index(ticket) < self._places


class Turn:
    """A lock to hold over calls of AWS; whoever has it may take it again.

    With a gate that is limited, nobody waits for somebody whom AWS holds up: entering raises `VaultUnavailable`. The
    gate alone would not help those, who have not come to it yet.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._lock = threading.RLock()
        self._holder = 0
        self._depth = 0

    def __enter__(self) -> None:
        if self._gate.is_limited:
            pause = 0.0
            while not self._lock.acquire(timeout=pause):
                if self._gate.is_held_up(self._holder):
                    raise _refusal()
                pause = _GLANCE
        else:
            self._lock.acquire()
        self._holder = threading.get_ident()
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth:
            # What this thread does from now on holds up nobody.
            self._holder = 0
        self._lock.release()


def _refusal() -> VaultUnavailable:
    logger.warning("AWS was not asked: as many calls as may be are waiting for it (%s)", TOO_MANY_CALLS)
    refusal = VaultUnavailable()
    refusal.aws_answer = TOO_MANY_CALLS
    return refusal
