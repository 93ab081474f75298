"""What the lists of the admin have in common, a project's own included."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import escape_leading_slashes
from django.utils.translation import gettext_lazy as _

from vault.redaction import contains_pan

# Nobody turns that many pages, and a database refuses an offset that is no number of its own.
_LAST_PAGE: Final = 10_000
_NUMBER: Final = re.compile("[0-9]{1,18}")


class RefusePANSearchMixin:
    """Keeps a card number in the search box, in any other parameter of a list, or among the rows that are chosen there,
    out of SQL and out of the page; and what no row can be called, or no date can be, out of SQL.

    `RefusePANInURLMiddleware` refuses it earlier; a project that installs the vault without it is covered by this.
    """

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        asked = (text for key, values in request.GET.lists() for text in (key, *values))
        if any(map(contains_pan, (*asked, *chosen))):
            messages.error(request, _("Card numbers cannot be searched for. Search by the last four digits."))
            return HttpResponseRedirect(escape_leading_slashes(request.path))
        if not all(map(self._may_be_key, chosen)):
            # Django's own sentence, in every language that it has.
            messages.error(
                request, _("Items must be selected in order to perform actions on them. No items have been changed.")
            )
            return HttpResponseRedirect(escape_leading_slashes(request.path))
        response: HttpResponse = super().changelist_view(request, extra_context)  # type: ignore[misc]
        return response

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        try:
            return super().get_changelist_instance(request)  # type: ignore[misc]
        except OverflowError as error:
            # The first hour of the year 1 in another time zone is no date in this one.
            raise IncorrectLookupParameters from error

    def _may_be_key(self, text: str) -> bool:
        try:
            self.opts.pk.clean(text, None)  # type: ignore[attr-defined]
        except ValidationError:
            return False
        return True


class ViewOnlyMixin:
    """Nobody adds, changes or deletes here, superusers included."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def whole_number(text: str) -> int | None:
    """The number that an address names; None for what is none, or is larger than a database counts."""
    return int(text) if _NUMBER.fullmatch(text) else None


class UncountedPaginator(Paginator):  # type: ignore[type-arg,unused-ignore]  # no parameters when it runs
    """Looks one row past the page that is asked for, and no further: counting a table that only grows takes for ever.

    So `count` and `num_pages` are right about the next page and know nothing of those behind it.
    """

    def __init__(self, *args: Any, page: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._start = (min(max(whole_number(page) or 1, 1), _LAST_PAGE) - 1) * self.per_page

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        found = rows.values_list("pk", flat=True)[self._start : self._start + self.per_page + 1]
        return self._start + len(found)
