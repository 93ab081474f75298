"""What happened to an order: what its own columns say, and what staff did to it in the admin."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import reverse
from django.utils.translation import gettext as _

from orders.cancellations import is_cancellation
from orders.models import Order
from vault import services as vault
from vault.admin.histories import Entry, entry_of, log_entries
from vault.exceptions import TokenNotFound


def history_of(order: Order) -> Iterator[Entry]:
    """The order placed, repeated, changed and cancelled, and its card erased. Four queries, however much there is."""
    customer = order.customer.get_username()
    if order.repeat_of is None:
        yield Entry(order.placed_at, customer, _("Placed."))
    else:
        first = order.repeat_of
        said = _("Placed as a repetition of %(order)s.") % {"order": first.public_id}
        yield Entry(order.placed_at, customer, said, _address(first))
    for repeat in order.repeats.order_by("pk")[:100]:
        said = _("Placed once more as %(order)s.") % {"order": repeat.public_id}
        yield Entry(repeat.placed_at, customer, said, _address(repeat))
    noted = log_entries(order)
    yield from (entry_of(each) for each in noted if not is_cancellation(each))
    if order.cancelled_at:
        by = next((each.user.get_username() for each in noted if is_cancellation(each)), "")
        said = _("Cancelled.") if by else _("Cancelled by the customer, or through the API.")
        yield Entry(order.cancelled_at, by, said)
    try:
        erased_at = vault.describe(order.card.token).erased_at
    except TokenNotFound:
        return
    if erased_at:
        yield Entry(erased_at, "", _("The card is no longer on file."))


def _address(order: Order) -> str:
    return reverse("admin:orders_order_change", args=[order.pk])
