"""Not faster than somebody said."""

from __future__ import annotations

import threading
import time


def silent(things: int) -> None:
    """Nobody watches how far it is."""


class Pace:
    """Holds those who call it to a number of things in a second, all of them together; None and 0 are no limit."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._next = time.monotonic()

    def wait(self, things: int) -> None:
        """Return when that many things may be over."""
        if not self._rate:
            return
        with self._lock:
            # What was not used up is not saved up.
            self._next = max(self._next, time.monotonic()) + things / self._rate
            pause = self._next - time.monotonic()
        time.sleep(max(0.0, pause))
