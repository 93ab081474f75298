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

from billing.token_digests import start_of
from vault.audit import current_origin, record
from vault.exceptions import AuditUnavailable

_TOKEN: Final = re.compile(rb"[0-9a-f]{64}")
# Whoever is not signed in must not fill the log.
_REPORTING_SECONDS: Final = 60


class TokenAuthentication(KnoxTokenAuthentication):  # type: ignore[misc]
    """Knox's tokens. What cannot be one is not looked for: it may be a card number, and most of it would be SQL."""

    def authenticate_credentials(self, token: bytes) -> Any:
        """Return user and token. Raises `AuthenticationFailed`, or `AuditUnavailable` if that cannot be recorded."""
        is_one = _TOKEN.fullmatch(token) is not None
        try:
            if not is_one:
                raise AuthenticationFailed("Invalid token.")  # noqa: TRY301 - as knox does for the others
            return super().authenticate_credentials(token)
        except AuthenticationFailed:
            _record_denial({"token_digest": start_of(hash_token(token.decode()))} if is_one else {})
            raise


def _record_denial(about: dict[str, Any]) -> None:
    """Write down, for each address once a minute, that somebody came with a token that does not count.

    With the start of the digest, as in the event of the making of a token; and with nothing of what cannot be one.
    """
    source = hashlib.sha256(current_origin().source.encode()).hexdigest()
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
