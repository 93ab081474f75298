"""Years, months and days above a list, offered from its oldest and its newest row.

Django's own `date_hierarchy` offers the days that a filtered list really has, and reads every row of it for that. Here
it is the first and the last entry of an index, however long the list is; a day without a row leads to an empty list.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, NamedTuple

from django.contrib.admin import ModelAdmin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _


class Step(NamedTuple):
    """A link of the hierarchy; without an address it is where one is."""

    title: str
    link: str = ""


class Dates(NamedTuple):
    """What admin/date_hierarchy.html shows: the level above, and what there is to choose."""

    back: Step | None
    choices: list[Step]


class DatedChangeList(ChangeList):
    """A list with `dates`, which the template takes instead of Django's tag."""

    def get_filters(self, request: HttpRequest) -> Any:
        try:
            return super().get_filters(request)
        except (ValueError, OverflowError) as error:
            # Django adds to a year what it was given: 9999 has no end.
            raise IncorrectLookupParameters from error

    @property
    def dates(self) -> Dates | None:
        """None for an empty table. Two queries by index; the filters of the list are not looked at."""
        name = str(self.date_hierarchy)
        moments = self.root_queryset.order_by(name).values_list(name, flat=True)
        oldest, newest = moments.first(), moments.last()
        if oldest is None or newest is None:
            return None
        first, last = _day_of(oldest), _day_of(newest)
        year, month, day = (self._chosen(part) for part in ("year", "month", "day"))
        if year is None:
            # Nothing to choose between is no step. A month or a day of every year is a filter and none either.
            year = first.year if first.year == last.year else None
            month = first.month if year and first.month == last.month else None
            day = None
        if year is None:
            return Dates(None, [Step(str(each), self._link(each)) for each in range(first.year, last.year + 1)])
        if month is None:
            return Dates(Step(_("All dates"), self._link()), list(self._months(year, first, last)))
        if day is None:
            return Dates(Step(str(year), self._link(year)), list(self._days(year, month, first, last)))
        here = date(year, month, day)
        above = Step(_titled(here, "YEAR_MONTH_FORMAT"), self._link(year, month))
        return Dates(above, [Step(_titled(here, "MONTH_DAY_FORMAT"))])

    def _months(self, year: int, first: date, last: date) -> Iterator[Step]:
        for month in range(1, 13):
            if (first.year, first.month) <= (year, month) <= (last.year, last.month):
                yield Step(_titled(date(year, month, 1), "YEAR_MONTH_FORMAT"), self._link(year, month))

    def _days(self, year: int, month: int, first: date, last: date) -> Iterator[Step]:
        for number in range(1, monthrange(year, month)[1] + 1):
            if first <= (day := date(year, month, number)) <= last:
                yield Step(_titled(day, "MONTH_DAY_FORMAT"), self._link(year, month, number))

    def _chosen(self, part: str) -> int | None:
        # What is no date was refused with the filters.
        text = self.params.get(f"{self.date_hierarchy}__{part}")
        return int(text) if text else None

    def _link(self, *chosen: int) -> str:
        parts = (f"{self.date_hierarchy}__{part}" for part in ("year", "month", "day"))
        return self.get_query_string(dict(zip(parts, chosen, strict=False)), [f"{self.date_hierarchy}__"])


class DatesMixin(ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    """A list with a `date_hierarchy` whose column has an index; its template extends admin/vault/change_list.html."""

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return DatedChangeList


def _day_of(moment: date) -> date:
    if not isinstance(moment, datetime):
        return moment
    return (timezone.localtime(moment) if timezone.is_aware(moment) else moment).date()


def _titled(day: date, form: str) -> str:
    return capfirst(date_format(day, form))
