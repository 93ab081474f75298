"""Not faster than somebody said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def silent(things: int) -> None:
    """Nobody watches how far it is."""


class Pace:
    """Keeps those who call it, all of them together, to at most so many in a second; None and 0 are no limit.

    Lost time is not made up for in a burst.
    """

    def __init__(
        self,
        per_second: float | None,
        *,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._per_second = per_second
        self._clock = clock or time.monotonic
        self._sleep = sleep or time.sleep
        self._lock = threading.Lock()
        self._due = self._clock()

    def spend(self, count: int) -> None:
        """Wait until `count` more are due."""
        if not self._per_second:
            return
        cost = count / self._per_second
        with self._lock:
            self._due = max(self._due, self._clock() - cost) + cost
            ahead = self._due - self._clock()
        if ahead > 0:
            self._sleep(ahead)
