"""How long a card is kept, and why (PCI DSS 3.2.1)."""

from __future__ import annotations

import calendar
from datetime import date, datetime
from typing import Any

from django.utils import timezone

from vault.conf import VaultConfig, vault_config
from vault.models import Card


def retention(*, expires: date | None, used_at: datetime, config: VaultConfig | None = None) -> dict[str, Any]:
    """The columns of `Card` that say until when a card is kept and because of what."""
    config = config or vault_config()
    if expires is not None:
        until = add_months(expires, config.RETENTION_AFTER_EXPIRY)
        return {"retain_until": until, "retention": Card.Retention.EXPIRY}
    until = add_months(timezone.localdate(used_at), config.RETENTION_AFTER_USE)
    return {"retain_until": until, "retention": Card.Retention.LAST_USE}


def add_months(day: date, months: int) -> date:
    """The same day so many months later; the last one of the month where there is no such day, or `day` is the last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    is_last = day.day == calendar.monthrange(day.year, day.month)[1]
    return date(year, month + 1, last if is_last else min(day.day, last))
