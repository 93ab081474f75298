"""Signatures as Standard Webhooks has them (https://www.standardwebhooks.com), and the secrets that they are made with.

A secret is kept nowhere: it follows from SECRET_KEY, so whoever reads the database alone can sign nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Final

from django.conf import settings
from django.utils.crypto import salted_hmac

from orders.feed.models import Endpoint

_SALT: Final = "orders.feed.secret"


def shown_secret(endpoint: Endpoint) -> str:
    """The secret as its consumer is given it."""
    return "whsec_" + base64.b64encode(_secret(endpoint, settings.SECRET_KEY, endpoint.generation)).decode()


def signed_headers(endpoint: Endpoint, *, message_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """The headers that say who sent this, and when.

    With a signature for each secret that a consumer may have: the one of now, the one before a rotation until
    `previous_until`, and those under SECRET_KEY_FALLBACKS.
    """
    timestamp = str(int(now.timestamp()))
    signed = b".".join([message_id.encode(), timestamp.encode(), body])
    macs = [hmac.digest(secret, signed, hashlib.sha256) for secret in _secrets(endpoint, now)]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join("v1," + base64.b64encode(mac).decode() for mac in macs),
    }


def _secrets(endpoint: Endpoint, now: datetime) -> list[bytes]:
    generations = [endpoint.generation]
    if endpoint.previous_until is not None and now < endpoint.previous_until:
        generations.append(endpoint.generation - 1)
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [_secret(endpoint, key, generation) for generation in generations for key in keys]


def _secret(endpoint: Endpoint, key: str, generation: int) -> bytes:
    return salted_hmac(_SALT, f"{endpoint.public_id}:{generation}", secret=key, algorithm="sha256").digest()
