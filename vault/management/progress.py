"""What long commands show while they run, and how fast they may go."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Seen(Protocol):
    """Call it with how many more are done, and perhaps with how many there will be, and what is being done now."""

    def __call__(self, count: int, /, *, total: int | None = None, at: str = "") -> object: ...


def _unseen(count: int, /, *, total: int | None = None, at: str = "") -> None:
    """What nobody is there to see."""


@contextmanager
def progress(*, unit: str, total: int | Callable[[], int] | None = None) -> Iterator[Seen]:
    """A function to call with how many more are done: with rate and time left, on stderr, if that is a terminal.

    A function as `total` is called only if there is somebody to see what it says.
    """
    if not sys.stderr.isatty():
        yield _unseen
        return
    from tqdm import tqdm

    known = total() if callable(total) else total
    with tqdm(total=known, unit=f" {unit}", file=sys.stderr, dynamic_ncols=True) as bar:

        def seen(count: int, /, *, total: int | None = None, at: str = "") -> None:
            if total is not None:
                bar.total = total
            if at:
                bar.set_description_str(at)
            bar.update(count)

        yield seen


class Pace:
    """Keeps to at most so many in a second; None is as fast as it goes. Lost time is not made up for in a burst."""

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
        self._due = self._clock()

    def spend(self, count: int) -> None:
        """Wait until `count` more are due."""
        if self._per_second:
            cost = count / self._per_second
            self._due = max(self._due, self._clock() - cost) + cost
            if (ahead := self._due - self._clock()) > 0:
                self._sleep(ahead)
