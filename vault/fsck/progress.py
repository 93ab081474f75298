"""How far it is, for somebody who watches a terminal; nothing for a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vault.fsck.pace import silent


@contextmanager
def shown(unit: str, *, total: int) -> Iterator[Callable[[int], object]]:
    """A bar on stderr if that is a terminal, and a function that moves it on."""
    if not sys.stderr.isatty():
        yield silent
        return
    # Only for somebody who looks at it: a container needs no bar.
    from tqdm import tqdm

    with tqdm(total=total or None, unit=unit, file=sys.stderr) as bar:
        yield bar.update
