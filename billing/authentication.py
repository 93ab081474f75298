"""Who calls the API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme as KnoxScheme
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.exceptions import AuthenticationFailed


class TokenAuthentication(KnoxTokenAuthentication):  # type: ignore[misc]
    """Knox's tokens; bytes that are no text are a wrong token, where knox would fail with an error of ours."""

    def authenticate_credentials(self, token: bytes) -> Any:
        """Return user and token. Raises `AuthenticationFailed`."""
        if not token.isascii():
            raise AuthenticationFailed("Invalid token.")
        return super().authenticate_credentials(token)


class TokenScheme(KnoxScheme):  # type: ignore[misc,no-untyped-call,unused-ignore]
    """The same in the OpenAPI document."""

    target_class = TokenAuthentication  # type: ignore[assignment]
