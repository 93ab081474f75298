"""How long a card is kept, and why (PCI DSS 3.2.1)."""

from __future__ import annotations

import calendar
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db import models
from django.utils import timezone

from vault.conf import VaultConfig, vault_config
from vault.models import Card, Run

#: The operation of a stored `Run` that verified that nothing is kept for too long.
VERIFICATION: Final = "retention"


def retention(*, expires: date | None, used_at: datetime, config: VaultConfig | None = None) -> dict[str, Any]:
    """The columns of `Card` that say until when a card is kept and because of what."""
    config = config or vault_config()
    if expires is not None:
        until = add_months(expires, config.RETENTION_AFTER_EXPIRY)
        return {"retain_until": until, "retention": Card.Retention.EXPIRY}
    until = add_months(timezone.localdate(used_at), config.RETENTION_AFTER_USE)
    return {"retain_until": until, "retention": Card.Retention.LAST_USE}


def is_due(card: Card, today: date) -> bool:
    """True if a card is to be erased now: its time is over, and no hold keeps it."""
    return not card.is_erased and not card.hold and card.retain_until is not None and card.retain_until < today


def due(today: date) -> models.QuerySet[Card]:
    """The cards that are to be erased now. See `is_due`."""
    return Card.objects.filter(status=Card.Status.ACTIVE, hold="", retain_until__lt=today)


def undated() -> models.QuerySet[Card]:
    """The cards of which nobody noted until when they are kept: rows that are older than the rule."""
    return Card.objects.filter(status=Card.Status.ACTIVE, retain_until=None)


def date_card(token: str) -> bool:
    """Note until when a card is kept. False, and nothing is written, if it was used or erased meanwhile."""
    card = undated().filter(token=token).first()
    if card is None:
        return False
    columns = retention(expires=card.expires, used_at=card.used_at)
    return undated().filter(token=token, expires=card.expires, used_at=card.used_at).update(**columns) > 0


def verification_overdue_since() -> datetime | None:
    """Since when the proof is missing that nothing is kept for too long; None if it is not. Asks SQL alone."""
    last = Run.objects.filter(operation=VERIFICATION, state=Run.State.DONE).order_by("-started_at").first()
    # A vault that was never verified is as old as its first card.
    first = None if last else Card.objects.order_by("created_at").first()
    start = last.started_at if last else first.created_at if first else timezone.now()
    end = start + timedelta(days=vault_config().VERIFY_EVERY_DAYS)
    return end if end < timezone.now() else None


def add_months(day: date, months: int) -> date:
    """The same day so many months later; the last one of the month where there is no such day, or `day` is the last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    is_last = day.day == calendar.monthrange(day.year, day.month)[1]
    return date(year, month + 1, last if is_last else min(day.day, last))
