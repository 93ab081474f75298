"""The vault's erasures as events. The vault knows nothing of orders: its certificates are its outbox."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from orders.feed.events import publish_erasures
from orders.feed.models import Endpoint, ErasureReach
from vault import services as vault

#: How far back each look goes. A certificate bears the moment before it was committed, by the clock of its own machine.
OVERLAP: Final = timedelta(hours=1)
_ONLY: Final = 1


def follow() -> int:
    """Write an event for each erasure that has none; how many there were.

    Begins with the oldest endpoint: before that, nobody had asked. After that, each look reads the certificates of the
    last hour before the look that came before, and no others: an index leads there, however many there are. A process
    killed on the way has moved nothing forward, and the next look repeats its work; no erasure becomes two events.
    """
    begun = Endpoint.objects.order_by("created_at").values_list("created_at", flat=True).first()
    if begun is None:
        return 0
    now, count, after = timezone.now(), 0, None
    reach, _ = ErasureReach.objects.get_or_create(pk=_ONLY, defaults={"until": begun})
    since = max(begun, reach.until - OVERLAP)
    while page := vault.erasures(since=since, after=after):
        with transaction.atomic():
            # One at a time: two who insert the same rows, in the order of time and not of an index, would wait for each
            # other.
            ErasureReach.objects.select_for_update().get(pk=_ONLY)
            count += publish_erasures(page)
        after = page[-1]
    ErasureReach.objects.filter(pk=_ONLY, until__lt=now).update(until=now)
    return count
