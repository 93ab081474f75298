"""What long commands show while they run, and how fast they may go."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(*, unit: str, total: int | None = None) -> Iterator[Callable[[int], object]]:
    """A function to call with how many more are done: with rate and time left, on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", file=sys.stderr, dynamic_ncols=True) as bar:
        yield bar.update


class Pace:
    """Keeps to at most so many in a second, on average; None is as fast as it goes."""

    def __init__(
        self,
        per_second: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_second = per_second
        self._clock = clock
        self._sleep = sleep
        self._start = clock()
        self._done = 0

    def spend(self, count: int) -> None:
        """Wait until `count` more are due."""
        self._done += count
        if self._per_second:
            ahead = self._done / self._per_second - (self._clock() - self._start)
            if ahead > 0:
                self._sleep(ahead)
