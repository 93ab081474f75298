"""The last days, as a database can tell them apart."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Final

from django.db.models import Case, IntegerField, Q, Value, When
from django.utils import timezone

#: How far back the charts go: what is older is in the lists.
SHOWN: Final = 30


class LastDays:
    """Today and the days before it, in the time zone of the project."""

    def __init__(self, count: int = SHOWN) -> None:
        today = timezone.localdate()
        self.dates = [today - timedelta(days=back) for back in reversed(range(count))]
        self._starts = [_start_of(day) for day in self.dates]
        self._end = _start_of(today + timedelta(days=1))

    def within(self, column: str, *, last: int = SHOWN) -> Q:
        """What happened on the last so many of these days: one range, which an index on the column answers."""
        return Q(**self.range(column, last=last))

    def range(self, column: str, *, last: int = SHOWN) -> dict[str, datetime]:
        """The same as look-ups by name, as an address of a list has them."""
        return {f"{column}__gte": self._starts[-last], f"{column}__lt": self._end}

    def number_of(self, column: str) -> Case:
        """An expression for the number of the day, 0 for the first.

        The days' ends are arguments: a function of the database would need its tables of time zones on MySQL, which
        may be empty, and on SQLite a call back into Python for each row.
        """
        newest_first = [
            When(**{f"{column}__gte": start}, then=Value(number)) for number, start in enumerate(self._starts)
        ][::-1]
        return Case(*newest_first, output_field=IntegerField())

    def series(self, rows: Iterable[tuple[int, int]]) -> list[tuple[date, int]]:
        """Each day with its count, from the number of the day and a count in each row; days without a row have 0."""
        counts = [0] * len(self.dates)
        for number, count in rows:
            counts[number] += count
        return list(zip(self.dates, counts, strict=True))


def _start_of(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def addressed(days: LastDays, column: str, *, last: int) -> dict[str, str]:
    """The parameters of a list in the admin that has these days and no others."""
    return {name: moment.isoformat() for name, moment in days.range(column, last=last).items()}
