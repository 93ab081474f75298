"""What the next new card will need before anybody knows its number: a token, and the data key that seals it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Final

from vault.gate import PATIENCE
from vault.tokens import Token

# By then whoever asks has sent a request of their own and waits. The thread would take the interpreter from them.
_HEAD_START: Final = 0.002  # seconds


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token that no card has yet, and the materials that seal the card which gets it."""

    token: Token
    materials: Any


class DrawnAhead:
    """At most one token with its data key, drawn in a thread.

    Best effort, and it raises nothing: who finds none draws by itself, and then is told why that cannot be. Safe to
    share between threads.

    :param draw: asks KMS; runs in the thread
    :param max_age: for how many seconds one is used; a key that was disabled meanwhile seals nothing after that
    :param clock: monotonic seconds
    """

    def __init__(
        self, draw: Callable[[], Drawn], *, max_age: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._draw = draw
        self._max_age = max_age
        self._clock = clock
        self._lock = threading.Lock()
        # One thread: while KMS hangs, it takes no more than one place in the gate.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vault-ahead")
        self._next: Future[tuple[Drawn, float]] | None = None

    def prepare(self) -> None:
        """Draw the next one if there is none. Returns at once."""
        # A process that may have no more threads, or is about to end, has cards to keep all the same.
        with self._lock, suppress(RuntimeError):
            if self._next is None:
                self._next = self._thread.submit(copy_context().run, self._drawn)

    def take(self) -> Drawn | None:
        """The one that was drawn, once; None if there is none that is good.

        Waits for one on its way as long as KMS takes when it answers, and for none behind a call that hangs.
        """
        with self._lock:
            future, self._next = self._next, None
        try:
            if future is None or future.cancel() or future.exception(timeout=PATIENCE) is not None:
                return None
        except TimeoutError:
            return None
        drawn, began = future.result()
        return drawn if self._clock() < began + self._max_age else None

    def _drawn(self) -> tuple[Drawn, float]:
        time.sleep(_HEAD_START)
        began = self._clock()
        return self._draw(), began
