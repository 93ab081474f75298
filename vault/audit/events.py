"""What is recorded: the intent before an operation runs, and its outcome after."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from vault.audit.chain import CONTENT, written_time
from vault.audit.ledger import blank, current_ledger
from vault.exceptions import AccessDenied, AuditUnavailable, VaultError
from vault.models import AuditEvent
from vault.origin import current_origin
from vault.redaction import redact, redact_data

_logger: Final = logging.getLogger("vault.audit")
_Outcome: Final = AuditEvent.Outcome

#: The actor of an event that is about whoever the request or command runs for. None is nobody.
CURRENT: Final = object()

# What has a column of its own; the rest is details.
_COLUMNS: Final = frozenset(CONTENT)


@contextmanager
def audited(operation: str, *, actor: object | None = CURRENT, **about: Any) -> Iterator[dict[str, Any]]:
    """Write the intent before the operation runs and its outcome after; the yielded dict adds to the outcome.

    `about` fills the columns of `AuditEvent` (token, subject, purpose, reason, cards) and, under other names, its
    details. `actor` is a user or None; left out, the event is about whoever the request or command runs for.

    Raises `AuditUnavailable` instead of running the operation, or instead of giving its result, if an event cannot be
    written (PCI DSS 10.7.2).
    """
    common = {"operation_id": blank(operation)["operation_id"], **about}
    _write(operation, _Outcome.INTENT, actor, common)
    # Lists of many tokens stand in the intent; the outcome has its own to say.
    common.pop("tokens", None)
    outcome: dict[str, Any] = {}
    try:
        yield outcome
    except AccessDenied as denial:
        _write(operation, _Outcome.DENIED, actor, common | {"refusal": denial.reason.value})
        raise
    except VaultError as error:
        _write(operation, _Outcome.FAILED, actor, common | {"error": type(error).__name__})
        raise
    except BaseException:
        _write(operation, _Outcome.FAILED, actor, common | {"error": "Interrupted"})
        raise
    _write(operation, _Outcome.DONE, actor, common | outcome)


def record(
    operation: str,
    *,
    actor: object | None = CURRENT,
    outcome: str = _Outcome.DONE,
    is_alarm: bool = False,
    **about: Any,
) -> AuditEvent:
    """Write one event about something that has no intent of its own. Raises `AuditUnavailable`. See `audited`."""
    return _write(operation, _Outcome(outcome), actor, about | {"is_alarm": is_alarm})


def _write(operation: str, outcome: AuditEvent.Outcome, actor: object | None, about: dict[str, Any]) -> AuditEvent:
    if not _logger.isEnabledFor(logging.INFO):
        raise AuditUnavailable
    origin = current_origin()
    who = {"actor": origin.actor, "actor_name": origin.actor_name} if actor is CURRENT else named(actor)
    columns = {name: value for name, value in about.items() if name in _COLUMNS}
    details = {name: value for name, value in about.items() if name not in _COLUMNS}
    content = blank(
        operation,
        outcome=outcome.value,
        source=origin.source,
        request_id=origin.request_id,
        details=details,
        **who,
        **columns,
    )
    event = current_ledger().append(_fitting(content))
    _logger.info("%s", json.dumps(exported(event)))
    return event


def named(actor: object | None) -> dict[str, str]:
    """Who `actor` is in an event: the primary key of a user and the name it had then."""
    key = getattr(actor, "pk", None)
    if key is None:
        return {"actor": "nobody", "actor_name": ""}
    return {"actor": str(key), "actor_name": getattr(actor, "get_username", str)()}


def _fitting(content: dict[str, Any]) -> dict[str, Any]:
    """Texts cut to their columns and without what no database keeps: who sends too much is recorded all the same.

    Whatever could be a card number is masked here, before the digest is made and before anything is cut: a part of a
    number is no longer recognized as one.
    """
    content["details"] = redact_data(content["details"])
    for name, value in content.items():
        limit = getattr(AuditEvent._meta.get_field(name), "max_length", None)
        if isinstance(value, str) and limit:
            clean = value.encode("utf-8", errors="replace").decode().replace("\0", "")
            content[name] = redact(clean)[:limit]
    return content


def exported(event: AuditEvent) -> dict[str, Any]:
    """An event as it stands in an export and on stdout: row, digests and content."""
    content = {name: getattr(event, name) for name in CONTENT}
    content["time"] = written_time(event.time)
    return {"row": event.pk, "previous": event.previous, "digest": event.digest, **content}
