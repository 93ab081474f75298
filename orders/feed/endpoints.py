"""Where events are sent to. Endpoints are made by whoever has a shell on the server, and never over the network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from orders.feed.models import URL_LENGTH, Endpoint, Event
from vault.audit import audited
from vault.redaction import contains_pan

#: For how long the secret before a rotation signs as well.
CHANGEOVER: Final = timedelta(hours=24)

UNREADABLE: Final = "This is not the address of an endpoint."
NOT_HTTPS: Final = "The address of an endpoint begins with https://."
CREDENTIALS: Final = "The address of an endpoint has no user name, no password and no fragment."
CARD_NUMBER: Final = "The address of an endpoint has no card number in it."
UNKNOWN_TYPE: Final = "There is no such type of event."
INACTIVE: Final = "This account is not active."
STAFF: Final = "This account is staff. Endpoints are for service accounts and customers."


class EndpointRefused(ValueError):
    """No endpoint is made of this. Messages are constants."""


def add(account: User, *, url: str, types: Sequence[str] = ()) -> Endpoint:
    """Make an endpoint for what this account may see, of the given types or of all.

    It is sent what happens from now on. Raises `EndpointRefused` or `AuditUnavailable`, and then there is none.
    """
    if not account.is_active:
        raise EndpointRefused(INACTIVE)
    if account.is_staff or account.is_superuser:
        raise EndpointRefused(STAFF)
    host = _checked(url).hostname
    if not set(types) <= set(Event.Type.values):
        raise EndpointRefused(UNKNOWN_TYPE)
    endpoint = Endpoint(account=account, url=url, types=sorted(set(types) or Event.Type.values))
    with audited("webhook.add", **_about(endpoint), host=host, types=endpoint.types):
        endpoint.save()
    return endpoint


def rotate(endpoint: Endpoint, *, at_once: bool = False) -> None:
    """Give an endpoint another secret. The one before signs as well for 24 hours, or not at all: it leaked.

    Raises `AuditUnavailable`, and then nothing has changed.
    """
    with audited("webhook.rotate", **_about(endpoint), at_once=at_once):
        endpoint.generation += 1
        endpoint.previous_until = None if at_once else timezone.now() + CHANGEOVER
        endpoint.save(update_fields=["generation", "previous_until"])


def enable(endpoint: Endpoint) -> None:
    """Send to this endpoint again: what happens from now on, and what was on its way when it was disabled."""
    _set_active(endpoint, is_active=True, reason="")


def disable(endpoint: Endpoint, *, reason: str = "") -> None:
    """Send nothing more to this endpoint. What happens meanwhile it is not sent later."""
    _set_active(endpoint, is_active=False, reason=reason)


def _set_active(endpoint: Endpoint, *, is_active: bool, reason: str) -> None:
    operation = "webhook.enable" if is_active else "webhook.disable"
    with audited(operation, **_about(endpoint), reason=reason):
        endpoint.is_active = is_active
        endpoint.save(update_fields=["is_active"])


def _about(endpoint: Endpoint) -> dict[str, str]:
    return {"subject": f"user:{endpoint.account_id}", "endpoint": endpoint.public_id}


def _checked(url: str) -> SplitResult:
    """The parts of an address that events may be sent to; raises `EndpointRefused` for any other."""
    # Digits can be hidden from a reader, and not from whoever decodes the address on the other side.
    if contains_pan(url) or contains_pan(unquote(url)):
        raise EndpointRefused(CARD_NUMBER)
    if len(url) > URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise EndpointRefused(UNREADABLE)
    try:
        parts = urlsplit(url)
        is_complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise EndpointRefused(UNREADABLE) from None
    if not is_complete:
        raise EndpointRefused(UNREADABLE if parts.scheme == "https" else NOT_HTTPS)
    if "@" in parts.netloc or "#" in url:
        raise EndpointRefused(CREDENTIALS)
    if parts.scheme != "https" and not is_plain_allowed(parts):
        raise EndpointRefused(NOT_HTTPS)
    return parts


def is_plain_allowed(parts: SplitResult) -> bool:
    """True for http to this very machine, on a laptop and in tests."""
    if parts.scheme != "http" or not settings.WEBHOOKS_HTTP_ON_LOOPBACK:
        return False
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
