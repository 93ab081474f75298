"""Charts as numbers: what a template has to draw, in units of its own, and what it has to say.

Drawn are rectangles alone, in an SVG that fills whatever width there is; all texts are HTML beside it, so that they are
as large on a phone as anywhere. No chart says anything that is not in a table as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Final

from django.utils.formats import number_format

#: The height of a chart of days, and the length of a bar that lies.
FULL: Final = 1_000
#: From one day to the next, and what a bar has of that.
STEP: Final = 10
BROAD: Final = 8
# The axis ends at one of these times a power of ten, so that its middle is a whole number as well.
_ENDS: Final = (2, 4, 6, 8, 10)


def grouped(number: int) -> str:
    """A whole number as the reader's language writes it."""
    return number_format(number, force_grouping=True)


def end_of_axis(largest: int) -> int:
    """The smallest round number that is not below `largest`; even, and 2 at least."""
    power = 1
    while True:
        for end in _ENDS:
            if end * power >= largest:
                return end * power
        power *= 10


def part_of(count: int, whole: int) -> int:
    """`count` in units of the drawing, of which `whole` has `FULL`."""
    return round(count * FULL / whole) if whole else 0


@dataclass(frozen=True, slots=True)
class Upright:
    """The bar of a day."""

    day: date
    count: int
    x: int
    height: int

    @property
    def y(self) -> int:
        return FULL - self.height

    @property
    def text(self) -> str:
        return grouped(self.count)


class DayChart:
    """One bar for each day."""

    template: ClassVar = "admin/vault/console/_days.html"
    full: ClassVar = FULL
    half: ClassVar = FULL // 2
    broad: ClassVar = BROAD

    def __init__(self, series: Sequence[tuple[date, int]]) -> None:
        counts = [count for _, count in series]
        self.total = sum(counts)
        self.end = end_of_axis(max(counts, default=0))
        self.bars = [
            Upright(day, count, number * STEP + (STEP - BROAD) // 2, part_of(count, self.end))
            for number, (day, count) in enumerate(series)
        ]

    @property
    def is_empty(self) -> bool:
        return self.total == 0

    @property
    def width(self) -> int:
        return len(self.bars) * STEP

    @property
    def highest(self) -> Upright:
        """The newest of the days with the most."""
        return max(reversed(self.bars), key=lambda bar: bar.count)

    @property
    def first(self) -> Upright:
        return self.bars[0]

    @property
    def last(self) -> Upright:
        return self.bars[-1]

    @property
    def total_text(self) -> str:
        return grouped(self.total)

    @property
    def end_text(self) -> str:
        return grouped(self.end)

    @property
    def middle_text(self) -> str:
        return grouped(self.end // 2)


@dataclass(frozen=True, slots=True)
class Lying:
    """The bar of a category, and where what it counts is listed."""

    label: Any
    count: int
    length: int
    address: str = ""

    @property
    def text(self) -> str:
        return grouped(self.count)


class CategoryChart:
    """One bar for each category, the largest first. What is beyond `most` becomes one bar, the last."""

    template: ClassVar = "admin/vault/console/_categories.html"
    full: ClassVar = FULL

    def __init__(self, heads: tuple[Any, Any], rows: Iterable[tuple[Any, int, str]], *, rest: Any, most: int) -> None:
        self.heads = heads
        ordered = sorted((row for row in rows if row[1]), key=lambda row: (-row[1], str(row[0])))
        shown = ordered[:most]
        if left := sum(row[1] for row in ordered[most:]):
            shown.append((rest, left, ""))
        largest = max((count for _, count, _ in shown), default=0)
        self.bars = [Lying(label, count, part_of(count, largest), address) for label, count, address in shown]

    @property
    def is_empty(self) -> bool:
        return not self.bars


@dataclass(frozen=True, slots=True)
class Gauge:
    """How much of a time is over, in days."""

    label: Any
    age: int
    period: int
    until: date

    @property
    def length(self) -> int:
        """Of the bar, which does not leave its frame."""
        return min(part_of(max(self.age, 0), self.period), FULL)

    @property
    def is_over(self) -> bool:
        return self.age > self.period

    @property
    def age_text(self) -> str:
        return grouped(self.age)

    @property
    def period_text(self) -> str:
        return grouped(self.period)


class GaugeChart:
    """One bar for each time that is running."""

    template: ClassVar = "admin/vault/console/_gauges.html"
    full: ClassVar = FULL

    def __init__(self, gauges: Sequence[Gauge], note: Any = "") -> None:
        self.gauges = gauges
        self.note = note

    @property
    def is_empty(self) -> bool:
        return not self.gauges


Chart = DayChart | CategoryChart | GaugeChart
