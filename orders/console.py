"""What orders bring to the start page of the admin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.db.models import Count as Number
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from orders.models import Delivery, Order
from vault.admin.console import Check, Count, Panel, Piece, State
from vault.admin.console.charts import DayChart
from vault.admin.console.days import LastDays, addressed

_WEEK: Final = 7
# `send_events` runs every minute; what has waited for so long, nobody sends.
_OVERDUE: Final = timedelta(minutes=15)


def orders(request: HttpRequest) -> Iterator[Piece]:
    """For those who may view all orders."""
    if not request.user.has_perm("orders.view_order"):
        return
    days = LastDays()
    placed = Order.objects.filter(days.within("placed_at")).annotate(day=days.number_of("placed_at"))
    series = days.series(placed.order_by().values_list("day").annotate(number=Number("*")))
    counts = [count for _day, count in series]
    yield Count(label=_("Orders today"), value=counts[-1], address=_listed(days, last=1))
    yield Count(label=_("Orders in 7 days"), value=sum(counts[-_WEEK:]), address=_listed(days, last=_WEEK))
    yield Panel(
        key="orders", title=_("Orders per day"), chart=DayChart(series), address=_listed(days, last=len(counts))
    )


def deliveries(request: HttpRequest) -> Iterator[Piece]:
    """For those who may view what is sent to webhooks."""
    if not request.user.has_perm("orders.view_delivery"):
        return
    state, before = Delivery.State.PENDING, (timezone.now() - _OVERDUE).replace(microsecond=0)
    count = Delivery.objects.filter(state=state, next_at__lt=before).count()
    filters = {"state__exact": state.value, "next_at__lt": before.isoformat()}
    yield Check(
        label=_("Webhooks"),
        state=State.ATTENTION if count else State.GOOD,
        said=_("Overdue: %(count)d. Does send_events run?") % {"count": count} if count else _("None is overdue."),
        address=f"{reverse('admin:orders_delivery_changelist')}?{urlencode(filters)}",
    )


def _listed(days: LastDays, *, last: int) -> str:
    parameters = addressed(days, "placed_at", last=last)
    return f"{reverse('admin:orders_order_changelist')}?{urlencode(parameters)}"
