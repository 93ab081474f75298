"""Sends what is due: at least once, by as many processes as there are, each delivery by one of them at a time.

The threads send and know no database; the thread that started them claims, checks and records.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from orders.feed import deliveries, endpoints, erasures
from orders.feed.audience import visible_events
from orders.feed.models import Attempt, Delivery
from orders.feed.posting import Answer, post
from orders.feed.signing import signed_headers
from vault.exceptions import VaultError

#: How long after each attempt the next one is made; after the last one a delivery is given up.
DELAYS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
#: How long a delivery belongs to the process that claimed it: longer than `orders.feed.posting` can take for it.
LEASE: Final = timedelta(minutes=2)
#: After so many deliveries in a row that got no answer, an endpoint is left alone until the next run.
PATIENCE: Final = 3
_LONGEST_WAIT: Final = timedelta(hours=24)
_JITTER: Final = 0.2
_AT_ONCE: Final = 16
_PAGE: Final = 100
_IDLE_SECONDS: Final = 1.0
_State: Final = Delivery.State
_ASKS_TO_WAIT: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


@dataclass(slots=True)
class Sent:
    """What a run did."""

    erasures: int = 0
    events: int = 0
    delivered: int = 0
    postponed: int = 0
    failed: int = 0
    withheld: int = 0
    removed: int = 0

    @property
    def tried(self) -> int:
        return self.delivered + self.postponed + self.failed


def run(*, limit: int | None = None, seconds: float = 0) -> Sent:
    """Make deliveries of what is new, send what is due, and clean up. Ends when nothing is due.

    With `seconds` it goes on for so long and looks for more each second; with `limit` it ends after so many attempts.
    Killed at any moment, what it was sending is sent again when its claim has ended, under the same id.
    """
    sender, until = _Sender(limit), time.monotonic() + seconds
    while True:
        sender.sent.erasures += erasures.follow()
        sender.sent.events += deliveries.distribute()
        sender.send_due()
        if sender.is_exhausted or time.monotonic() + _IDLE_SECONDS > until:
            break
        time.sleep(_IDLE_SECONDS)
    sender.sent.removed = deliveries.clean()
    return sender.sent


@dataclass(frozen=True, slots=True)
class _Claimed:
    delivery: Delivery
    claim: str
    at: datetime


class _Sender:
    """One run: what it has done, and which endpoints it leaves alone."""

    def __init__(self, limit: int | None) -> None:
        self.sent = Sent()
        self._left = limit
        self._unanswered: Counter[int] = Counter()

    @property
    def is_exhausted(self) -> bool:
        return self._left is not None and self._left <= 0

    def send_due(self) -> None:
        """Send until nothing is due any more."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="webhooks") as pool:
            while not self.is_exhausted and (queues := self._queues()):
                self._work_off(queues, pool)

    def _queues(self) -> dict[int, deque[int]]:
        """What is due, by endpoint: one that is slow keeps no other waiting."""
        tired = [endpoint for endpoint, count in self._unanswered.items() if count >= PATIENCE]
        due = _due().filter(endpoint__is_active=True).exclude(endpoint__in=tired)
        found = list(due.order_by().values_list("endpoint_id", flat=True).distinct())
        return {endpoint: deque(_page(due.filter(endpoint=endpoint))) for endpoint in found}

    def _work_off(self, queues: dict[int, deque[int]], pool: ThreadPoolExecutor) -> None:
        busy: dict[Future[Answer], _Claimed] = {}
        while True:
            taken = {claimed.delivery.endpoint_id for claimed in busy.values()}
            for endpoint, queue in queues.items():
                if endpoint not in taken and len(busy) < _AT_ONCE:
                    self._begin_next(queue, lambda work, claimed: busy.update({pool.submit(work): claimed}))
            if not busy:
                return
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                claimed = busy.pop(future)
                self._finish(claimed, future.result())
                if self._unanswered[claimed.delivery.endpoint_id] >= PATIENCE:
                    queues[claimed.delivery.endpoint_id].clear()

    def _begin_next(self, queue: deque[int], submit: Callable[[Callable[[], Answer], _Claimed], object]) -> None:
        """Begin to send the first of the queue that is still due and that its account may see."""
        while queue and not self.is_exhausted:
            claimed = _claim(queue.popleft())
            if claimed is None:
                continue
            delivery = claimed.delivery
            if not delivery.endpoint.is_active:
                _settle(claimed, next_at=claimed.at, tries=F("tries") - 1)
                queue.clear()
            elif not visible_events(delivery.endpoint.account, [delivery.event]):
                _settle(claimed, state=_State.WITHHELD, finished_at=claimed.at)
                self.sent.withheld += 1
            else:
                if self._left is not None:
                    self._left -= 1
                submit(_request(claimed), claimed)
                return

    def _finish(self, claimed: _Claimed, answer: Answer) -> None:
        delivery, now = claimed.delivery, timezone.now()
        self._unanswered[delivery.endpoint_id] = 0 if answer.status else self._unanswered[delivery.endpoint_id] + 1
        if answer.is_accepted:
            changes = {"state": _State.DELIVERED, "finished_at": now}
            self.sent.delivered += 1
        elif _is_gone(delivery, answer) or delivery.tries > len(DELAYS):
            changes = {"state": _State.FAILED, "finished_at": now}
            self.sent.failed += 1
        else:
            changes = {"next_at": now + _delay(delivery.tries, answer)}
            self.sent.postponed += 1
        with transaction.atomic():
            # First the row itself: an attempt locks it for reading, and two who then both want to write would wait for
            # each other.
            if not _settle(claimed, **changes) and not _locked(delivery.pk):
                # Deleted while it was sent, with its endpoint or its order: there is nothing left to keep a log of.
                return
            Attempt.objects.create(
                delivery=delivery,
                at=claimed.at,
                duration_ms=answer.duration_ms,
                status=answer.status,
                error=answer.error,
            )


def _due() -> QuerySet[Delivery]:
    return Delivery.objects.filter(state=_State.PENDING, next_at__lte=timezone.now())


def _page(due: QuerySet[Delivery]) -> QuerySet[Delivery, int]:
    return due.order_by("next_at", "id").values_list("pk", flat=True)[:_PAGE]


def _claim(pk: int) -> _Claimed | None:
    """Take a delivery that is still due. Of several processes one succeeds, and then has `LEASE` to send it."""
    claim, now = uuid.uuid4().hex, timezone.now()
    with transaction.atomic():
        # Locked by its primary key and nothing else: an UPDATE that says when it is due as well may go by the index of
        # that, and lock in another order than whoever moves its entry.
        due = _locked(pk)
        if due is None or due.state != _State.PENDING or due.next_at > now:
            return None
        Delivery.objects.filter(pk=pk).update(claim=claim, next_at=now + LEASE, tries=F("tries") + 1)
    # Read after it was claimed, with the account's rights of now.
    delivery = Delivery.objects.select_related("event", "endpoint__account").filter(pk=pk).first()
    return _Claimed(delivery, claim, now) if delivery else None


def _locked(pk: int) -> Delivery | None:
    return Delivery.objects.select_for_update().filter(pk=pk).first()


def _settle(claimed: _Claimed, **changes: object) -> int:
    """Write what became of a delivery, unless the claim ended and somebody else has it now; then 0."""
    return Delivery.objects.filter(pk=claimed.delivery.pk, claim=claimed.claim).update(claim="", **changes)


def _request(claimed: _Claimed) -> Callable[[], Answer]:
    event, endpoint = claimed.delivery.event, claimed.delivery.endpoint
    url, body = endpoint.url, event.body
    headers = signed_headers(endpoint, message_id=event.public_id, body=body, now=claimed.at)
    return lambda: post(url, body=body, headers=headers)


def _delay(tries: int, answer: Answer) -> timedelta:
    """How long to wait after so many attempts. Spread, so that what failed together does not come back together."""
    delay = DELAYS[tries - 1] * (1 + random.random() * _JITTER)  # noqa: S311 - nobody gains by guessing it
    if answer.status in _ASKS_TO_WAIT and answer.retry_after is not None:
        return min(max(delay, timedelta(seconds=answer.retry_after)), max(delay, _LONGEST_WAIT))
    return delay


def _is_gone(delivery: Delivery, answer: Answer) -> bool:
    """True if the consumer said that there is nothing any more and will not be; then the endpoint is disabled."""
    if answer.status != HTTPStatus.GONE:
        return False
    try:
        endpoints.disable(delivery.endpoint, reason="410 Gone")
    except VaultError:
        # Nothing is disabled without a record of it: the next attempt will say the same.
        return False
    return True
