"""Crashes and errors to Sentry, if settings.SENTRY_DSN is set: in this form or not at all.

Nothing is taken out of what the client would send; what goes is put together here, from a short list: what failed and
where in the code, the id of the request, its method, the pattern of its address and the primary key of its user. So a
client that learns to collect something new collects it in vain. No locals, no bodies, no headers, no cookies, no
queries, no SQL, no calls of AWS, no breadcrumbs, no lines of source code, no traces.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

import sentry_sdk
from django.conf import settings
from django.core.signals import got_request_exception
from django.http import HttpRequest
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.logging import EventHandler
from sentry_sdk.transport import HttpTransport

from vault.origin import current_origin
from vault.redaction import contains_pan, redact_data

# What Django logs of an answer with 5xx is here already, with the exception.
_SAID_ELSEWHERE: Final = frozenset({"django.request", "django.server", "vault.audit"})
_OURS: Final = ("event_id", "timestamp", "platform")
_COPIED: Final = ("level", "logger", "release", "environment")
_FRAME: Final = ("filename", "function", "module", "lineno", "in_app")
_TAGS: Final = frozenset({"method", "route"})


def start(dsn: str) -> None:
    """Report from now on, in the threads of this process; to be called after a fork. Without a DSN nothing happens."""
    if not dsn:
        return
    sentry_sdk.init(
        dsn=dsn,
        transport=Transport,
        environment=settings.SENTRY_ENVIRONMENT,
        # Both would be looked for otherwise: in the repository, and as the name of the machine.
        release=settings.SENTRY_RELEASE,
        server_name="",
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[AtexitIntegration(callback=_leave_quietly), DedupeIntegration()],
        before_send=rebuild,
        before_send_transaction=_drop,
        before_breadcrumb=_drop,
        before_send_log=_drop,
        before_send_metric=_drop,
        max_breadcrumbs=0,
        max_request_body_size="never",
        include_local_variables=False,
        include_source_context=False,
        # What `send_default_pii=False` said until it was superseded, and more.
        data_collection={
            "user_info": False,
            "cookies": {"mode": "off"},
            "http_headers": {"request": {"mode": "off"}},
            "http_bodies": [],
            "url_query_params": {"mode": "off"},
            "graphql": {"document": False, "variables": False},
            "gen_ai": {"inputs": False, "outputs": False},
            "database_query_data": False,
            "queues": False,
            "stack_frame_variables": False,
            "frame_context_lines": 0,
        },
        traces_sample_rate=None,
        propagate_traces=False,
        auto_session_tracking=False,
        send_client_reports=False,
        enable_backpressure_handling=False,
        enable_logs=False,
        spotlight=False,
        debug=False,
    )
    # The client brings a handler that would print what it works with, if somebody turned its debugging on.
    logging.getLogger("sentry_sdk.errors").handlers.clear()
    got_request_exception.connect(_report, dispatch_uid="billing.crash_reports")


def is_foreign() -> bool:
    """True if something else than `start` made a client that reports from this process."""
    client = sentry_sdk.get_client()
    return client.is_active() and (
        client.options["before_send"] is not rebuild or type(client.transport) is not Transport
    )


class ErrorHandler(EventHandler):
    """Reports what is logged at ERROR and above; the text of an exception goes along, redacted like in the log.

    Stands in `billing.settings.logging`. Until there is a client it does nothing.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return record.name not in _SAID_ELSEWHERE and bool(super().filter(record))


class Transport(HttpTransport):
    """Sends errors and nothing else: no sessions, attachments, check-ins, logs, metrics or profiles."""

    def capture_envelope(self, envelope: Envelope) -> None:
        if [item.type for item in envelope.items] == ["event"]:
            super().capture_envelope(envelope)


def rebuild(event: Any, hint: dict[str, Any]) -> Any:
    """What may be said of an error, redacted; None, and nothing is sent, of anything else or if that cannot be done.

    The client drops an event whose `before_send` raises.
    """
    hint.pop("attachments", None)
    if event.get("type") not in {None, "event", "error"}:
        return None
    said = {name: event[name] for name in _COPIED if event.get(name)}
    if errors := (event.get("exception") or {}).get("values"):
        said["exception"] = {"values": [_error(each) for each in errors]}
    if message := (event.get("logentry") or {}).get("formatted") or event.get("message"):
        said["logentry"] = {"formatted": message}
    if text := getattr(hint.get("log_record"), "exc_text", None):
        said["extra"] = {"traceback": text}
    origin = current_origin()
    said["tags"] = {name: value for name, value in _pairs(event.get("tags")) if name in _TAGS}
    said = redact_data(json.loads(json.dumps(said)))
    # A last look at all of it: each text was masked by itself, and a number may stand in several of them.
    if contains_pan(" ".join(_texts(said))):
        return None
    # These are made here and by the client: random, or a time, and no text of anybody.
    said |= {name: event[name] for name in _OURS if name in event}
    if origin.request_id:
        said["tags"]["request_id"] = origin.request_id
    if origin.known_actor:
        said["user"] = {"id": origin.known_actor}
    return said


def _error(error: Mapping[str, Any]) -> dict[str, Any]:
    frames = (error.get("stacktrace") or {}).get("frames") or []
    mechanism = error.get("mechanism") or {}
    return {
        **{name: error.get(name) for name in ("type", "value", "module")},
        "mechanism": {name: mechanism[name] for name in ("type", "handled") if name in mechanism},
        "stacktrace": {"frames": [{name: frame.get(name) for name in _FRAME} for frame in frames]},
    }


def _pairs(tags: Any) -> list[tuple[str, Any]]:
    return list(tags.items()) if isinstance(tags, Mapping) else [tuple(each) for each in tags or ()]


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for each in data.values() if isinstance(data, dict) else data:
            yield from _texts(each)


def _report(sender: Any, request: HttpRequest | None = None, **_: Any) -> None:
    with sentry_sdk.new_scope() as scope:
        if request is not None:
            match = request.resolver_match
            scope.set_tag("method", request.method or "")
            # The pattern, not the address: what stands in an address is of a person.
            scope.set_tag("route", match.route if match else "")
        sentry_sdk.capture_exception()


def _drop(what: Any, hint: Any) -> None:
    return None


def _leave_quietly(pending: int, timeout: float) -> None:
    """Say nothing at the end of a process: a command's output is its own."""
