"""Writes what happened into the outbox."""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.db import transaction
from rest_framework.renderers import JSONRenderer

from orders.api.serializers import OrderSerializer
from orders.feed.models import Event, written_time
from orders.models import Order
from vault.services import Erasure


def publish(kind: Event.Type, order: Order) -> Event:
    """Say what happened to an order, as the API shows it now.

    To be called in the transaction in which it happens: then there are both, or neither. Raises `IntegrityError` for
    what was said before, and `TransactionManagementError` outside of a transaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("An event is written with what it is about.")
    # Through JSON, so that what is stored is what a caller of the API is sent.
    payload = json.loads(JSONRenderer().render(OrderSerializer(order).data))
    return Event.objects.create(type=kind, subject=f"{kind}:{order.public_id}", order=order, payload=payload)


def publish_erasures(erasures: Sequence[Erasure]) -> int:
    """Turn erasures of the vault into events, those that are events already left out; how many were new, or nearly.

    Of several processes that do this at once, each erasure is written by one.
    """
    subjects = {f"{Event.Type.CARD_ERASED}:{erasure.certificate}": erasure for erasure in erasures}
    known = set(Event.objects.filter(subject__in=subjects).values_list("subject", flat=True))
    new = [
        Event(
            type=Event.Type.CARD_ERASED,
            subject=subject,
            payload={
                "token": erasure.token,
                "brand": erasure.brand,
                "last4": erasure.last4,
                "erased_at": written_time(erasure.erased_at),
                "certificate": erasure.certificate,
            },
            created_at=erasure.certified_at,
        )
        for subject, erasure in subjects.items()
        if subject not in known
    ]
    Event.objects.bulk_create(new, ignore_conflicts=True)
    return len(new)
