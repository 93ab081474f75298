"""Lists of any length whose pages cost a bounded number of rows: what is read, counted and sorted for one.

A list of up to `COUNTED` rows is Django's own, with numbers of pages. A longer one is not counted, and its pages are
found by the key of the row at their border. What is searched for, or filtered by anything but its date, is looked for
among `STRETCH` rows at a time: each match is on one of the pages, and a page says how far it has looked.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, NamedTuple

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import build_q_object_from_lookup_parameters
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR, ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from vault.admin.dates import DatedChangeList, DatesMixin

#: As many rows are counted, and sorted by any column.
COUNTED: Final = 10_000
#: Among so many rows a page is looked for.
STRETCH: Final = 100_000


class Side(StrEnum):
    """On which side of a border the rows of a page are."""

    OLDER = "older"
    NEWER = "newer"

    @property
    def other(self) -> Side:
        return Side.NEWER if self is Side.OLDER else Side.OLDER


_OLDEST: Final = "oldest"
_AT: Final = re.compile(rf"({Side.OLDER}|{Side.NEWER})-(\S{{1,100}})")
_ENDS: Final = {Side.NEWER: None, Side.OLDER: _OLDEST}
_TITLES: Final = {None: _("Newest"), Side.NEWER: _("Newer"), Side.OLDER: _("Older"), _OLDEST: _("Oldest")}


class Row(NamedTuple):
    """What tells one row from all others in the order of a list."""

    moment: datetime
    pk: Any


class Turn(NamedTuple):
    """A link to another page."""

    title: str
    link: str


class CappedPaginator(Paginator):  # type: ignore[type-arg,unused-ignore]  # no parameters when it runs
    """Counts to one more than `COUNTED`, in the order of an index whatever the list is sorted by."""

    def __init__(self, *args: Any, newest_by: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._newest_by = newest_by

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by(f"-{self._newest_by}", "-pk").values("pk")[: COUNTED + 1].count())


class LongChangeList(DatedChangeList):
    """Goes by the column of `date_hierarchy`, which is never null and has an index together with the key."""

    #: Whether pages go by key, as admin/vault/pagination.html shows them.
    is_long = False
    #: Whether there are more than `counted` of what is looked for; not known of a stretch.
    is_above_count = False
    #: Until when it was looked for the page, if that is not all.
    looked_back_to: datetime | None = None
    looked_up_to: datetime | None = None

    def get_filters(self, request: HttpRequest) -> Any:
        found = super().get_filters(request)
        # What no filter beside the list has taken.
        self._lookups = dict(found[2])
        return found

    def get_results(self, request: HttpRequest) -> None:
        self.is_long = self._is_narrowed and self._end_from_newest is not None
        if not self.is_long:
            super().get_results(request)
            self.is_long = self.is_above_count = self.result_count > COUNTED
        if self.is_long:
            self._get_page(request.GET.get(PAGE_VAR, ""))

    @property
    def counted(self) -> str:
        return number_format(COUNTED, force_grouping=True)

    @property
    def stretch(self) -> str:
        return number_format(STRETCH, force_grouping=True)

    @property
    def is_sorted_otherwise(self) -> bool:
        """Whether an address asks for an order that a long list does not have."""
        return ORDER_VAR in self.params

    def _get_page(self, asked: str) -> None:
        match = _AT.fullmatch(asked)
        side = Side(match[1]) if match else Side.NEWER if asked == _OLDEST else Side.OLDER
        border = self._row(match[2]) if match else None
        end = self._end(side, border) if self._is_narrowed else None
        rows = self.queryset.filter(self._past(border, side)).order_by(*self._order(side))
        if end is not None:
            rows = rows.filter(self._past(end, side.other, or_at="e"))
        # An index has the keys in the order of the list; the rows come by their keys, and there is nothing to sort.
        keys: list[Any] = list(rows.values_list("pk", flat=True)[: self.list_per_page + 1])
        is_full, keys = len(keys) > self.list_per_page, keys[: self.list_per_page]
        found = self.root_queryset.order_by().in_bulk(keys)
        self._show([found[key] for key in (keys if side is Side.OLDER else keys[::-1]) if key in found])
        if end is not None and not is_full:
            self.looked_back_to, self.looked_up_to = (end.moment, None) if side is Side.OLDER else (None, end.moment)
        turns: dict[str | None, Any] = {}
        if is_full or end is not None:
            turns |= {side: keys[-1] if is_full or end is None else end.pk, _ENDS[side]: None}
        if border is not None:
            # From a page without a row the way back is that to the beginning.
            turns |= ({side.other: keys[0]} if keys else {}) | {_ENDS[side.other]: None}
        self.turns = [self._turn(name, turns[name]) for name in _TITLES if name in turns]

    def _show(self, page: list[Any]) -> None:
        """What the templates have of it, without a count: there are as many rows as are seen."""
        self.result_list: Any = page
        self.result_count, self.full_result_count = len(page), None
        self.show_full_result_count, self.show_admin_actions = False, True
        self.multi_page, self.can_show_all = True, False
        self.paginator = Paginator(page, self.list_per_page)
        # To sort by another column, or to count what each filter would leave, is to read all of them.
        self.sortable_by: Any = ()
        self.add_facets = self.is_facets_optional = False

    def _turn(self, name: str | None, key: Any) -> Turn:
        at = name if key is None else f"{name}-{key}"
        return Turn(str(_TITLES[name]), self.get_query_string({PAGE_VAR: at}))

    # --- Where rows are -------------------------------------------------------------------------------------------

    @property
    def _by(self) -> str:
        return str(self.date_hierarchy)

    @property
    def _asked(self) -> list[dict[str, Any]]:
        """The lookups of the list and of the filters beside it."""
        return [self._lookups, *(spec.used_parameters for spec in self.filter_specs)]

    @property
    def _ranges(self) -> set[str]:
        """What narrows a list to a range of the index. With any other lookup all rows may have to be read for one."""
        return {f"{self._by}__gte", f"{self._by}__lt"}

    @cached_property
    def _is_narrowed(self) -> bool:
        admin: Any = self.model_admin
        is_searched = bool(self.query) and not admin.is_found_by_index(self.query)
        return is_searched or not all(asked.keys() <= self._ranges for asked in self._asked)

    def _end(self, side: Side, border: Row | None) -> Row | None:
        is_newest = side is Side.OLDER and border is None
        return self._end_from_newest if is_newest else self._end_of_stretch(side, border)

    @cached_property
    def _end_from_newest(self) -> Row | None:
        return self._end_of_stretch(Side.OLDER, None)

    def _end_of_stretch(self, side: Side, border: Row | None) -> Row | None:
        """The last row to be looked at, or None if there are no more than that. Only an index is read for it."""
        rows = self.root_queryset.filter(self._past(border, side))
        for asked in self._asked:
            dates = {name: value for name, value in asked.items() if name in self._ranges}
            rows = rows.filter(build_q_object_from_lookup_parameters(dates))
        found = rows.order_by(*self._order(side)).values_list(self._by, "pk")[STRETCH - 1 : STRETCH + 1]
        ends = [Row(*each) for each in found]
        return ends[0] if ends[1:] else None

    def _row(self, text: str) -> Row:
        try:
            key = self.lookup_opts.pk.clean(text, None)
        except ValidationError as error:
            raise IncorrectLookupParameters from error
        found = self.root_queryset.filter(pk=key).values_list(self._by, "pk").first()
        if found is None:
            raise IncorrectLookupParameters
        return Row(*found)

    def _order(self, side: Side) -> tuple[str, str]:
        return (f"-{self._by}", "-pk") if side is Side.OLDER else (self._by, "pk")

    def _past(self, row: Row | None, side: Side, or_at: str = "") -> Q:
        """The rows on one side of another; with "e" that one, too."""
        if row is None:
            return Q()
        strict = "lt" if side is Side.OLDER else "gt"
        # The bound on time alone is what an index can use.
        nearer = Q(**{f"{self._by}__{strict}": row.moment}) | Q(**{f"pk__{strict}{or_at}": row.pk})
        return Q(**{f"{self._by}__{strict}e": row.moment}) & nearer


class LongListMixin(DatesMixin):
    """A list that may have millions of rows; `ordering` begins with its `date_hierarchy`, the newest first.

    Its templates are admin/vault/change_list.html and admin/vault/pagination.html.
    """

    def is_found_by_index(self, search_term: str) -> bool:
        """Whether `get_search_results` finds this by an index with the order of the list, however long that is."""
        return False

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return LongChangeList

    def get_paginator(
        self, request: HttpRequest, queryset: Any, per_page: int, *args: Any, **options: Any
    ) -> Paginator[Any]:
        return CappedPaginator(queryset, per_page, *args, newest_by=str(self.date_hierarchy), **options)
