"""Looking again: beside live traffic, row and item are never read at the same moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from vault.fsck.findings import Finding

#: What is younger than this may be on its way: a row whose item is read from elsewhere, an erasure, a claim.
SETTLED: Final = timedelta(seconds=60)
#: Nobody takes so long to write one item anew.
ABANDONED: Final = timedelta(minutes=10)
_LOOKS: Final = 2
_PAUSE: Final = 0.2  # seconds


def confirmed(suspicions: Sequence[Finding], look: Callable[[Sequence[Finding]], Sequence[Finding]]) -> list[Finding]:
    """Those suspicions that are found again each time that everything about them is read afresh."""
    findings = list(dict.fromkeys(suspicions))
    for _ in range(_LOOKS):
        if findings:
            time.sleep(_PAUSE)
            again = set(look(findings))
            findings = [finding for finding in findings if finding in again]
    return findings


def is_older(moment: datetime | None, age: timedelta) -> bool:
    """True if a moment is longer ago than `age`; an unknown one is not."""
    return moment is not None and moment < timezone.now() - age


def written_at(item: Any) -> datetime | None:
    """When an item says that it was first written; None if it does not."""
    try:
        moment = datetime.fromisoformat(item["created_at"]["S"])
    except (KeyError, TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
