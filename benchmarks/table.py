"""The table of ratios: what a benchmark found beside its peer, in the same run.

A benchmark is a module of this folder that prints its rows with `say`; `python -m benchmarks` runs them one after the
other and makes one table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Row:
    """One line.

    :param what: what was done, and `peer` what stood beside it in the same run; empty if nothing did
    :param ours: the figure with its unit, and `theirs` that of the peer
    :param ratio: ours by theirs; None where there is no peer
    :param reach: what the ratio is to be: at least that, or at most if `is_at_most`; None if it is only shown
    :param counts: calls and queries, which are the same everywhere
    """

    what: str
    peer: str
    ours: str
    theirs: str = ""
    ratio: float | None = None
    reach: float | None = None
    is_at_most: bool = False
    counts: str = ""

    @property
    def is_reached(self) -> bool | None:
        """None if there is nothing to reach."""
        if self.ratio is None or self.reach is None:
            return None
        return self.ratio <= self.reach if self.is_at_most else self.ratio >= self.reach

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.3g}×"
        reach = "" if self.reach is None else f"{'at most ' if self.is_at_most else ''}{self.reach:g}×"
        reached = {None: "", True: "yes", False: "**no**"}[self.is_reached]
        cells = (self.what, self.ours, self.peer, self.theirs, ratio, reach, reached, self.counts)
        return "| " + " | ".join(cells) + " |"


HEADINGS: Final = "| what | ours | beside it | theirs | ratio | to reach | reached | counted |\n" + "|---" * 8 + "|"
_MARK: Final = "row: "


def say(row: Row) -> None:
    """Print a row for `python -m benchmarks` to read."""
    print(_MARK + json.dumps(asdict(row)), flush=True)


def note(text: str) -> None:
    """Say something that is for whoever waits, and in no table."""
    print(text, file=sys.stderr, flush=True)


def heard(output: Iterable[str]) -> list[Row]:
    """The rows that a benchmark printed; every other line is its own business."""
    return [Row(**json.loads(line.removeprefix(_MARK))) for line in output if line.startswith(_MARK)]
