"""What long commands show while they run."""

from __future__ import annotations

import sys
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
    # Only for somebody who looks at it: a container needs no bar.
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
