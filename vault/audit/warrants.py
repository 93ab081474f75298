"""What in the audit log accounts for a Decrypt that CloudTrail recorded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db.models import Q

from vault.exceptions import AuditUnavailable
from vault.models import AuditEvent
from vault.reconciliation.matching import CHECK, DATA_KEY, FINGERPRINT_KEY, Warrant

#: Operations that open the cards whose tokens they name. Whoever adds one that does adds it here.
CARD_OPERATIONS: Final = frozenset({"detokenize", "export", "fsck", "reencrypt", CHECK})
_OPERATIONS: Final = CARD_OPERATIONS | {FINGERPRINT_KEY, DATA_KEY}
_PAGE: Final = 2_000
_COLUMNS: Final = ("pk", "time", "operation", "operation_id", "outcome", "token", "details")


def warrants(first: datetime, last: datetime) -> Iterator[Warrant]:
    """One warrant for each card, or other thing, that was about to be opened; the latest first.

    What was denied, or failed before KMS was asked, warrants nothing. The log is read backward so that such an outcome
    comes before its intent: what has to be remembered is what is on its way at one moment, however much the log holds.
    Raises `AuditUnavailable`.
    """
    void: set[str] = set()
    for event in _events(first, last):
        operation_id = event["operation_id"]
        if event["outcome"] != AuditEvent.Outcome.INTENT:
            if _was_not_asked(event):
                void.add(operation_id)
        elif operation_id in void:
            void.remove(operation_id)
        else:
            for account in _accounts(event):
                yield Warrant(event["time"], account)


def _was_not_asked(outcome: dict[str, Any]) -> bool:
    """True if KMS was certainly not asked. Of many cards some may have been opened before one was missing."""
    error = outcome["details"].get("error")
    is_one_missing = error == "TokenNotFound" and bool(outcome["token"])
    return outcome["outcome"] == AuditEvent.Outcome.DENIED or error == "CardErased" or is_one_missing


def _accounts(event: dict[str, Any]) -> list[str]:
    if event["operation"] not in CARD_OPERATIONS:
        return [event["operation"]]
    tokens = event["details"].get("tokens", [])
    return [event["token"]] if event["token"] else [str(token) for token in tokens]


def _events(first: datetime, last: datetime) -> Iterator[dict[str, Any]]:
    """Intents and what stopped them, by pages: MySQL's client would fetch a whole result at once."""
    wanted = AuditEvent.objects.filter(
        operation__in=_OPERATIONS,
        outcome__in=[AuditEvent.Outcome.INTENT, AuditEvent.Outcome.DENIED, AuditEvent.Outcome.FAILED],
        time__gte=first,
    ).order_by("-time", "-pk")
    page = wanted.filter(time__lte=last)
    while True:
        try:
            events = list(page.values(*_COLUMNS)[:_PAGE])
        except DatabaseError:
            raise AuditUnavailable from None
        yield from events
        if len(events) < _PAGE:
            return
        end = events[-1]
        # The bound on time alone is what the index can use.
        page = wanted.filter(Q(time__lt=end["time"]) | Q(pk__lt=end["pk"]), time__lte=end["time"])
