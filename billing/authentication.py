"""Who calls the API."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from django.core.cache import cache
from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme as KnoxScheme
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from knox.crypto import hash_token
from rest_framework.exceptions import AuthenticationFailed

from billing.api_accounts import find_token, has_expired, networks_of, note_use
from billing.networks import is_within
from billing.token_digests import start_of
from vault.audit import current_origin, record
from vault.exceptions import AuditUnavailable

_TOKEN: Final = re.compile(rb"[0-9a-f]{64}")
# Whoever is not signed in must not fill the log.
_REPORTING_SECONDS: Final = 60
# One sentence for all: who has stolen a token is not told that it counts somewhere else, or that its user is known.
_INVALID: Final = "Invalid token."


class TokenAuthentication(KnoxTokenAuthentication):  # type: ignore[misc]
    """Knox's tokens. What cannot be one is not looked for: it may be a card number, and most of it would be SQL."""

    def authenticate_credentials(self, token: bytes) -> Any:
        """Return user and token, which counts from where this comes from.

        Raises `AuthenticationFailed`, always with the same words, or `AuditUnavailable` if that cannot be recorded.
        """
        if _TOKEN.fullmatch(token) is None:
            _record_denial()
            raise AuthenticationFailed(_INVALID)
        digest = hash_token(token.decode())
        about = {"token_digest": start_of(digest)}
        # Knox asks for all tokens with the same beginning, and for all of the user; a digest is a primary key.
        issued = find_token(digest)
        if issued is None or (has_expired(issued) and self._cleanup_token(issued)) or not issued.user.is_active:
            _record_denial(**about)
            raise AuthenticationFailed(_INVALID)
        user, networks = issued.user, networks_of(issued.user)
        if networks and not is_within(current_origin().source, networks):
            _record_denial(known=issued.pk, subject=f"user:{user.pk}", refusal="network", **about)
            raise AuthenticationFailed(_INVALID)
        if note_use(issued):
            # What else of the account has expired goes now, once a minute. It counts no more in any case.
            self._cleanup_token(issued)
        return user, issued


def _record_denial(*, known: str = "", **about: Any) -> None:
    """Write down, for each address once a minute, that somebody came with a token that does not count.

    With the start of the digest, as in the event of the making of a token; and with nothing of what cannot be one. A
    token that counts elsewhere, `known` by its digest, has a minute of its own: a wrong one before it must not hide it.
    """
    source = hashlib.sha256(f"{current_origin().source} {known}".encode()).hexdigest()
    key = f"billing.authentication.{source}"
    if not cache.add(key, 1, _REPORTING_SECONDS):
        return
    try:
        record("api.sign_in", outcome="denied", **about)
    except AuditUnavailable:
        cache.delete(key)
        raise


class TokenScheme(KnoxScheme):  # type: ignore[misc,no-untyped-call,unused-ignore]
    """The same in the OpenAPI document."""

    target_class = TokenAuthentication  # type: ignore[assignment]
