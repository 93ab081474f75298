"""What the audit log says of the last days: cards in, cards read, refusals, alarms, failures and seals.

Counting events is reading them: whoever watches the counts learns who is busy with what. So each look is an event of
its own, as a look at the list is (PCI DSS 10.2.1.3), written before anything is read; without it nothing is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db.models import Count as Number, Max, Q, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from vault import policy
from vault.admin.console import Check, Count, Panel, Piece, State
from vault.admin.console.charts import CategoryChart, DayChart
from vault.admin.console.days import LastDays, addressed
from vault.audit import record
from vault.audit.verification import SEALED
from vault.exceptions import AuditUnavailable
from vault.models import AuditEvent
from vault.policy import DETOKENIZE, Right

_Outcome: Final = AuditEvent.Outcome
_TOKENIZE: Final = "tokenize"
_DAY: Final = timedelta(hours=24)
# Sealing is a matter of minutes; after a day nobody can say any more that it was forgotten just once.
_SEAL_DUE: Final = timedelta(hours=24)
_MOST: Final = 8
_UNAVAILABLE: Final = _("The audit log cannot be written or read now, so nothing of it is shown.")


@dataclass(frozen=True, slots=True)
class _Group:
    """Events that have day, operation, outcome and purpose in common."""

    day: int
    operation: str
    outcome: str
    purpose: str
    events: int
    cards: int
    last: datetime


def trail(request: HttpRequest) -> Iterator[Piece]:
    """For those who may read the audit log. Never raises `AuditUnavailable`: the page has more to show than this."""
    if not policy.is_granted(request.user, Right.VIEW_AUDIT):
        return
    # To a second, as it stands in addresses.
    days, now = LastDays(), timezone.now().replace(microsecond=0)
    try:
        record("audit.read", actor=request.user, subject="console", filters={})
        groups, newest = _groups(days), _newest(now)
    except (AuditUnavailable, DatabaseError):
        yield Panel(key="audit", title=_("Audit log"), missing=_UNAVAILABLE)
        return
    yield Count(
        label=_("Alarms in 24 hours"),
        value=newest["alarms"],
        address=_listed(is_alarm__exact="1", time__gte=(now - _DAY).isoformat()),
        is_work=True,
    )
    yield from _panels(days, groups)
    yield from _checks(groups, newest, now)


def _groups(days: LastDays) -> list[_Group]:
    """One pass over an index that has all of these columns, bounded by its time."""
    wanted = Q(outcome=_Outcome.DONE, operation__in=[_TOKENIZE, DETOKENIZE, SEALED]) | Q(outcome=_Outcome.DENIED)
    events = AuditEvent.objects.filter(wanted, days.within("time")).order_by()
    columns = ("day", "operation", "outcome", "purpose")
    rows = events.annotate(day=days.number_of("time")).values(*columns)
    return [
        _Group(**row) for row in rows.annotate(events=Number("pk"), cards=Sum("cards"), last=Max("time")).order_by()
    ]


def _newest(now: datetime) -> dict[str, Any]:
    """What is asked of the last 24 hours."""
    failed = Q(outcome=_Outcome.FAILED, operation__in=[_TOKENIZE, DETOKENIZE])
    return AuditEvent.objects.filter(time__gte=now - _DAY).aggregate(
        alarms=Number("pk", filter=Q(is_alarm=True)), failed=Number("pk", filter=failed)
    )


def _panels(days: LastDays, groups: list[_Group]) -> Iterator[Piece]:
    within = addressed(days, "time", last=len(days.dates))
    done, denied = {"outcome__exact": _Outcome.DONE.value}, {"outcome__exact": _Outcome.DENIED.value}
    kept = [group for group in groups if (group.operation, group.outcome) == (_TOKENIZE, _Outcome.DONE)]
    yield Panel(
        key="tokenizations",
        title=_("Tokenizations per day"),
        chart=DayChart(days.series((group.day, group.cards) for group in kept)),
        address=_listed(operation=_TOKENIZE, **done, **within),
    )
    read = [group for group in groups if (group.operation, group.outcome) == (DETOKENIZE, _Outcome.DONE)]
    reads = {"operation": DETOKENIZE, **done, **within}
    counts = _counted((group.purpose, group.cards) for group in read)
    rows = [(purpose or "–", count, _listed(purpose__exact=purpose, **reads)) for purpose, count in counts.items()]
    yield Panel(
        key="purposes",
        title=_("Numbers read in 30 days, by purpose"),
        chart=CategoryChart((_("Purpose"), _("Numbers read")), rows, rest=_("Others"), most=_MOST),
        address=_listed(**reads),
    )
    refused = _counted((group.operation, group.events) for group in groups if group.outcome == _Outcome.DENIED)
    rows = [(name, count, _listed(operation=name, **denied, **within)) for name, count in refused.items()]
    yield Panel(
        key="refusals",
        title=_("Refusals in 30 days, by operation"),
        chart=CategoryChart((_("Operation"), _("Refusals")), rows, rest=_("Others"), most=_MOST),
        address=_listed(**denied, **within),
    )


def _checks(groups: list[_Group], newest: dict[str, Any], now: datetime) -> Iterator[Check]:
    opened = _last(groups, DETOKENIZE)
    yield Check(
        label=_("Last card number read"),
        state=State.GOOD if opened else State.NEVER,
        at=opened,
        said="" if opened else _("Not within 30 days."),
        address=_listed(operation=DETOKENIZE, outcome__exact=_Outcome.DONE.value),
    )
    yield Check(
        label=_("Vault failures in 24 hours"),
        state=State.ATTENTION if newest["failed"] else State.GOOD,
        said=_("Failures: %(count)d") % {"count": newest["failed"]} if newest["failed"] else _("None."),
        address=_listed(outcome__exact=_Outcome.FAILED.value, time__gte=(now - _DAY).isoformat()),
    )
    sealed = _last(groups, SEALED)
    is_late = sealed is None or now - sealed > _SEAL_DUE
    yield Check(
        label=_("Audit log last sealed"),
        state=State.ATTENTION if is_late else State.GOOD,
        at=sealed,
        said="" if sealed else _("Not once in 30 days."),
        address=_listed(operation=SEALED),
    )


def _counted(pairs: Iterable[tuple[str, int]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for name, count in pairs:
        counts[name] += count
    return counts


def _last(groups: list[_Group], operation: str) -> datetime | None:
    done = [group.last for group in groups if (group.operation, group.outcome) == (operation, _Outcome.DONE)]
    return max(done, default=None)


def _listed(**filters: str) -> str:
    return f"{reverse('admin:vault_auditevent_changelist')}?{urlencode(filters)}"
