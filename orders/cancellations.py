"""Many orders cancelled at once in the admin: chosen in the list, read on a page of their own, and then confirmed."""

from __future__ import annotations

import json
import uuid
from typing import Final, NamedTuple
from urllib.parse import unquote_plus
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import ModelAdmin, action
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied, TooManyFieldsSent
from django.db import Error as DatabaseError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _, ngettext
from django.views.decorators.http import require_POST

from orders import services
from orders.exceptions import OrderNotCancellable
from orders.models import Order
from vault.admin.lists import whole_number
from vault.redaction import contains_pan

#: Each of them is a transaction and an event for webhooks; what takes minutes belongs into a command.
MOST: Final = 100

_TOO_MANY: Final = _("At most %(most)d orders can be cancelled at once. Choose fewer.")
_NONE: Final = _("None of the chosen orders can be cancelled.")
# What the history says; see `LogEntry.get_change_message`, which translates the name of the field.
_HISTORY: Final = [{"changed": {"fields": ["Status"]}}]


class Outcome(NamedTuple):
    """What became of the orders that were to be cancelled."""

    cancelled: int
    refused: int
    failed: int


class CancelMixin(ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    """The action "Cancel selected orders", for those who may change orders."""

    def get_urls(self) -> list[URLPattern]:
        own = path("cancel/", self.admin_site.admin_view(self.cancel_view), name="orders_order_cancel")
        return [own, *super().get_urls()]

    @action(description=_("Cancel selected orders…"), permissions=["change"])
    def cancel_chosen(self, request: HttpRequest, chosen: QuerySet[Order]) -> HttpResponse | None:
        """Change nothing yet: show which of them will be cancelled and which cannot be."""
        orders = list(chosen[: MOST + 1])
        if len(orders) > MOST:
            messages.error(request, _TOO_MANY % {"most": MOST})
            return None
        possible = [order for order in orders if order.is_cancellable]
        if not possible:
            messages.error(request, _NONE)
            return None
        shown = {
            "title": _("Cancel these orders?"),
            "opts": self.opts,
            "possible": possible,
            "impossible": [order for order in orders if not order.is_cancellable],
            "submission": uuid.uuid4(),
            "filters": request.GET.urlencode(),
            "back": self._list_with(request.GET.urlencode()),
        }
        return render(request, "admin/orders/order/cancel.html", {**self.admin_site.each_context(request), **shown})

    @method_decorator(require_POST)
    def cancel_view(self, request: HttpRequest) -> HttpResponse:
        """Cancel what was confirmed, each order for itself, and say what became of all. Sent twice it is done once."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        # What looks like a card number names no order, and would be SQL.
        sent = (text for text in request.POST.getlist("order") if not contains_pan(text))
        keys = [key for text in sent if (key := whole_number(text)) is not None]
        if len(keys) > MOST:
            messages.error(request, _TOO_MANY % {"most": MOST})
        else:
            self._tell(request, self._cancel(request, keys))
        return HttpResponseRedirect(self._list_with(request.POST.get("filters", "")))

    def _cancel(self, request: HttpRequest, keys: list[int]) -> Outcome:
        submission = _submission(request.POST.get("submission", ""))
        cancelled = refused = failed = 0
        for order in self.get_queryset(request).filter(pk__in=keys):
            try:
                was_placed = order.is_cancellable
                with transaction.atomic():
                    services.cancel(order, submission=submission)
                    if was_placed:
                        self.log_change(request, order, _HISTORY)
            except OrderNotCancellable:
                refused += 1
            except DatabaseError:
                # What was cancelled before stays so, and is reported.
                failed += 1
            else:
                cancelled += 1
        return Outcome(cancelled, refused, failed)

    def _tell(self, request: HttpRequest, outcome: Outcome) -> None:
        done, refused, failed = outcome
        if done:
            said = ngettext("%d order was cancelled.", "%d orders were cancelled.", done) % done
            messages.success(request, said)
        if refused:
            said = ngettext("%d order was cancelled already.", "%d orders were cancelled already.", refused) % refused
            messages.warning(request, said)
        if failed:
            said = ngettext(
                "%d order could not be cancelled now. Try again.",
                "%d orders could not be cancelled now. Try again.",
                failed,
            )
            messages.error(request, said % failed)
        if not any(outcome):
            messages.warning(request, _NONE)

    def _list_with(self, filters: str) -> str:
        """The list as it was filtered. The filters come from a form, and lead nowhere but to this list."""
        address = reverse("admin:orders_order_changelist")
        try:
            query = QueryDict(filters[:2_000]).urlencode()
        except TooManyFieldsSent:
            return address
        # Asked of what goes into the address: digits may come written as %34.
        return f"{address}?{query}" if query and not contains_pan(unquote_plus(query)) else address


def is_cancellation(noted: LogEntry) -> bool:
    """True for what the history notes of an order that was cancelled here."""
    return bool(noted.change_message == json.dumps(_HISTORY))


def _submission(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
