"""What somebody has to look at now: an event in the audit log, a line in the log, and a mail."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from django.core.mail import EmailMessage, get_connection

from vault.audit import CURRENT, record
from vault.conf import vault_config
from vault.models import AuditEvent

logger: Final = logging.getLogger(__name__)


def sound(operation: str, sentence: str, *, actor: object | None = CURRENT, **about: Any) -> None:
    """Record an alarm and mail it to `settings.VAULT["ALARM_EMAILS"]`.

    `sentence` is a constant for people. Raises `AuditUnavailable`. A mail that cannot be sent is recorded and stops
    nothing: in an emergency the mail server may be what is broken.
    """
    tell(vault_config().ALARM_EMAILS, sentence, write(operation, sentence, actor=actor, **about))


def write(operation: str, sentence: str, *, actor: object | None = CURRENT, **about: Any) -> AuditEvent:
    """Record an alarm without a mail, for `tell` to send when a transaction is over. Raises `AuditUnavailable`."""
    event = record(operation, actor=actor, is_alarm=True, **about)
    logger.error("%s (audit event %s)", sentence, event.pk)
    return event


def tell(recipients: Sequence[str], sentence: str, event: AuditEvent) -> None:
    """Mail what happened to people, each on their own. Raises `AuditUnavailable` alone."""
    lines = [sentence, "", f"Time: {event.time:%Y-%m-%d %H:%M:%S} UTC", f"Audit event: {event.pk}"]
    named = {"Actor": f"{event.actor_name} ({event.actor})", "From": event.source, "Card": event.token}
    named |= {"About": event.subject, "Purpose": event.purpose, "Reason": event.reason}
    lines += [f"{label}: {value}" for label, value in named.items() if value]
    subject, body = f"[vault] {sentence}", "\n".join(lines)
    if not recipients:
        return
    try:
        # One connection for all: its time-out is waited for once.
        get_connection().send_messages([EmailMessage(subject, body, to=[recipient]) for recipient in recipients])
    except Exception as error:  # noqa: BLE001 - whatever a mail backend raises
        record("alarm.mail", outcome="failed", subject=event.operation, error=type(error).__name__)
