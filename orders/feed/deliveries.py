"""Deliveries: made for new events, sent again on demand, counted when they are late, and cleaned away."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from orders.feed.audience import visible_events
from orders.feed.models import Delivery, Endpoint, Event
from vault.audit import audited

#: A delivery that is due for longer has nobody who sends it.
LATE: Final = timedelta(minutes=15)
_PAGE: Final = 200
_PENDING: Final = Delivery.State.PENDING


def distribute() -> int:
    """Make a delivery of each new event to each endpoint whose account may see it; how many events there were.

    Killed on the way or done by two at once, no endpoint gets two deliveries of an event, and no event is left out.
    """
    count = 0
    new = Event.objects.filter(distributed_at=None).order_by("id").values_list("pk", flat=True)
    while page := list(new[:_PAGE]):
        count += _distribute(page)
    return count


@transaction.atomic
def _distribute(page: list[int]) -> int:
    # Locked first: two who insert deliveries of the same event, and then mark it, would wait for each other. And by the
    # primary key: whoever locks by the index of what is new meets the one who moves its entry there.
    locked = Event.objects.select_for_update().filter(pk__in=page).order_by("id")
    events = [event for event in locked if event.distributed_at is None]
    Delivery.objects.bulk_create(_deliveries(events), batch_size=_PAGE, ignore_conflicts=True)
    return Event.objects.filter(pk__in=[event.pk for event in events]).update(distributed_at=timezone.now())


def _deliveries(events: list[Event]) -> list[Delivery]:
    made: list[Delivery] = []
    visible: dict[int, list[Event]] = {}
    for endpoint in Endpoint.objects.filter(is_active=True, account__is_active=True).select_related("account"):
        if endpoint.account_id not in visible:
            visible[endpoint.account_id] = visible_events(endpoint.account, events)
        made += [
            Delivery(event=event, endpoint=endpoint)
            for event in visible[endpoint.account_id]
            if event.type in endpoint.types and event.created_at >= endpoint.created_at
        ]
    return made


def send_again(deliveries: QuerySet[Delivery]) -> int:
    """Have these sent once more from the next run on, with all attempts before them; how many those are.

    One that is being sent right now is left alone. Whether its account may see it is asked again when it is sent.
    Raises `AuditUnavailable`, and then nothing has changed.
    """
    with audited("webhook.resend") as outcome:
        outcome["deliveries"] = deliveries.filter(claim="").update(
            state=_PENDING, next_at=timezone.now(), tries=0, finished_at=None
        )
    return int(outcome["deliveries"])


def count_late() -> int:
    """How many events and deliveries should have been dealt with a while ago, for endpoints that are active."""
    before = timezone.now() - LATE
    events = Event.objects.filter(distributed_at=None, created_at__lt=before).count()
    return events + Delivery.objects.filter(state=_PENDING, next_at__lt=before, endpoint__is_active=True).count()


def clean() -> int:
    """Delete events, with their log, that were distributed long enough ago; how many. Those still on their way stay."""
    before = timezone.now() - timedelta(days=max(settings.WEBHOOKS_KEEP_DAYS, 1))
    on_their_way = Delivery.objects.filter(event=OuterRef("pk"), state=_PENDING, endpoint__is_active=True)
    old = Event.objects.filter(~Exists(on_their_way), distributed_at__lt=before).order_by("distributed_at", "id")
    count = 0
    while page := list(old.values_list("pk", flat=True)[:_PAGE]):
        Event.objects.filter(pk__in=page).delete()
        count += len(page)
    return count
