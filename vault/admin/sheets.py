"""Lists as CSV: what a list shows, without digits, written while it is read, and on record before it begins."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from django.contrib import messages
from django.contrib.admin import ModelAdmin, action
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import content_disposition_header
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from vault.audit import record
from vault.exceptions import Refusal
from vault.redaction import contains_pan

_EXPORT: Final = "list.export"
# Rows that are in memory at a time.
_PAGE: Final = 2_000
_LONGEST_FILTER: Final = 200
_LONGEST_SELECTION: Final = 100
# A spreadsheet takes a cell that begins so for a formula, and a customer chooses what an order is called (OWASP, "CSV
# injection"). The full-width ones count in Japanese spreadsheets.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# Without it Excel reads UTF-8 as something else; Python's "utf-8-sig" and every spreadsheet take it away again.
_BOM: Final = "\ufeff"

Columns = Mapping[str, Callable[[Any], str]]


def cell(text: str) -> str:
    """The text as a cell that no spreadsheet calculates."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def lines(rows: Iterable[Any], columns: Columns) -> Iterator[str]:
    """A heading and a line for each row; every cell is in quotes, so that no other separator cuts one in two."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield _BOM + writer.writerow(list(columns))
    for row in rows:
        yield writer.writerow([cell(write(row)) for write in columns.values()])


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def newest_first(found: QuerySet[Any], by: str) -> Iterator[Any]:
    """All rows by pages, each found after the last row of the one before: the driver of MySQL keeps whole results.

    :param by: the column with the time, which is never null. Rows that come meanwhile are newer, and not in it.
    """
    found = found.order_by(f"-{by}", "-pk")
    rest = found
    while page := list(rest[:_PAGE]):
        yield from page
        if len(page) < _PAGE:
            return
        last, moment = page[-1].pk, getattr(page[-1], by)
        # The bound on time alone is what an index can use.
        rest = found.filter(Q(**{f"{by}__lt": moment}) | Q(pk__lt=last), **{f"{by}__lte": moment})


class CSVMixin(ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    """A list that those who may view it take away as a file: all that its filters leave, or what was chosen.

    Each export is an event of the audit log, with the filters, before the first row is read.
    """

    csv_columns: ClassVar[Columns] = {}
    #: By which the file is sorted, the newest first.
    csv_newest_by: ClassVar[str]
    actions: Sequence[str] = ("export_chosen",)

    def get_urls(self) -> list[URLPattern]:
        own = path("csv/", self.admin_site.admin_view(self.csv_view), name=self._csv_name())
        return [own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        address = reverse(f"admin:{self._csv_name()}")
        offered = {"csv_address": f"{address}?{request.GET.urlencode()}" if request.GET else address}
        return super().changelist_view(request, {**offered, **(extra_context or {})})

    @method_decorator(require_safe)
    def csv_view(self, request: HttpRequest) -> HttpResponseBase:
        """What the list shows with these filters, on all of its pages."""
        self._refuse_stranger(request)
        if any(contains_pan(text) for key, values in request.GET.lists() for text in (key, *values)):
            return HttpResponseRedirect(self._list_address())
        try:
            shown = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            messages.error(request, _("The list cannot be filtered like this."))
            return HttpResponseRedirect(self._list_address())
        filters = {key: [value[:_LONGEST_FILTER] for value in values] for key, values in request.GET.lists()}
        # A list of any length is not counted for one of its pages; a file has all of it.
        rows = shown.queryset.count() if getattr(shown, "is_long", False) else shown.result_count
        return self._csv(request, shown.queryset, rows=rows, filters=filters)

    @action(description=_("Export as CSV"), permissions=["view"])
    def export_chosen(self, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponseBase:
        self._refuse_stranger(request)
        keys = [str(key)[:_LONGEST_FILTER] for key in chosen.values_list("pk", flat=True)[:_LONGEST_SELECTION]]
        return self._csv(request, chosen, rows=chosen.count(), chosen=keys)

    def _csv(self, request: HttpRequest, found: QuerySet[Any], **about: Any) -> StreamingHttpResponse:
        record(_EXPORT, actor=request.user, subject=f"list:{self.opts.label_lower}", **about)
        rows = newest_first(found, self.csv_newest_by)
        answer = StreamingHttpResponse(lines(rows, self.csv_columns), content_type="text/csv; charset=utf-8")
        name = f"{self.opts.model_name}-{timezone.localdate().isoformat()}.csv"
        answer["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name) or ""
        answer["Cache-Control"] = "no-store"
        return answer

    def _refuse_stranger(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            refusal, subject = Refusal.NO_RIGHT.value, f"list:{self.opts.label_lower}"
            record(_EXPORT, actor=request.user, subject=subject, outcome="denied", refusal=refusal)
            raise PermissionDenied

    def _csv_name(self) -> str:
        model: type[Model] = self.model
        return f"{model._meta.app_label}_{model._meta.model_name}_csv"

    def _list_address(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
