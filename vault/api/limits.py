"""How much an account may do within a minute: counted in SQL, so that it holds over all processes and restarts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Case, DateTimeField, F, PositiveIntegerField, Q, Value, When
from django.utils import timezone
from rest_framework.exceptions import Throttled

from vault.conf import vault_config
from vault.models import Allowance

#: The limit of what has none of its own.
OTHERS: Final = "*"
_MINUTE: Final = timedelta(minutes=1)


def spend(account: Any, limit: str, cost: int = 1) -> None:
    """Take `cost` from what the account has left of a limit. Raises `Throttled`, and takes nothing, for too little.

    Each minute of the clock begins anew, once: a process whose clock is a little behind counts in the later one. What
    costs more than a whole minute has is let through in a fresh one: a batch would else never be.
    """
    most = vault_config().api_limit(limit)
    now = timezone.now()
    minute = now.replace(second=0, microsecond=0)
    if not _take(str(account.pk), limit, minute, min(cost, most), most):
        raise Throttled(wait=max(1, (minute + _MINUTE - now).total_seconds()))


def _take(account: str, limit: str, minute: datetime, cost: int, most: int) -> bool:
    rows = Allowance.objects.filter(account=account, limit=limit)
    # The clocks of two hosts are a little apart. With a minute that goes back and forth nothing would be counted; but
    # one far ahead was written by a clock that was wrong.
    same = Q(minute__gte=minute, minute__lte=minute + _MINUTE)
    # Nearly always it is the same minute and there is enough left. The statement for all cases takes Django five times
    # as long to put together.
    if rows.filter(same, spent__lte=most - cost).update(spent=F("spent") + cost):
        return True
    changed = rows.filter(~same | Q(spent__lte=most - cost)).update(
        # This column first: MySQL lets the later ones of a statement see the earlier ones changed.
        spent=Case(When(same, then=F("spent") + cost), default=Value(cost), output_field=PositiveIntegerField()),
        minute=Case(When(same, then=F("minute")), default=Value(minute), output_field=DateTimeField()),
    )
    if changed:
        return True
    found = rows.values_list("minute", "spent").first()
    if found is not None:
        at, spent = found
        if minute <= at <= minute + _MINUTE and spent > most - cost:
            return False
        # A row with enough left was not there a moment ago: another process has made it, or begun it anew.
        return _take(account, limit, minute, cost, most)
    try:
        with transaction.atomic():
            rows.create(account=account, limit=limit, minute=minute, spent=cost)
    except IntegrityError:
        # Another process was first.
        return _take(account, limit, minute, cost, most)
    return True
