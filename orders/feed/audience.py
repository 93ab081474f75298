"""Who may be told of what. The rights are those of the API, asked anew each time."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import User

from orders.feed.models import Event
from orders.models import Order
from vault import services as vault


def visible_events(account: User, events: Sequence[Event]) -> list[Event]:
    """Those of the events that this account may see now, in the order given. Give it an account as it was just read.

    Events of the orders that it sees, and erasures of cards if it was granted to view or to store cards.
    """
    # As with its tokens: an account that has become staff is no service account any more.
    if not account.is_active or account.is_staff or account.is_superuser:
        return []
    orders = {event.order_id for event in events if event.order_id}
    seen = set(Order.objects.visible_to(account).filter(pk__in=orders).values_list("pk", flat=True))
    follows = any(event.order_id is None for event in events) and vault.may_follow_erasures(account)
    return [event for event in events if (event.order_id in seen if event.order_id else follows)]
