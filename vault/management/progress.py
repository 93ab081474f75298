"""What long commands show while they run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vault.pace import silent


@contextmanager
def progress(*, unit: str, total: int | None = None) -> Iterator[Callable[[int], object]]:
    """A function to call with how many more are done: with rate and time left, on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield silent
        return
    # Only for somebody who looks at it: a container needs no bar.
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", file=sys.stderr, dynamic_ncols=True) as bar:
        yield bar.update
