"""What a refusal of the vault is in HTTP: one table for pages and API."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from vault.exceptions import (
    AccessDenied,
    AuditUnavailable,
    CardErased,
    DetokenizationDenied,
    InvalidPAN,
    InvalidRecipientKey,
    InvalidToken,
    OnHold,
    RecordTampered,
    TokenNotFound,
    VaultError,
    VaultSealed,
    VaultUnavailable,
)

# The first that matches counts; whatever is not here is an error of ours.
_ANSWERS: Final[tuple[tuple[type[VaultError], HTTPStatus, str], ...]] = (
    (InvalidPAN, HTTPStatus.BAD_REQUEST, "invalid_pan"),
    (InvalidRecipientKey, HTTPStatus.BAD_REQUEST, "invalid_key"),
    (InvalidToken, HTTPStatus.NOT_FOUND, "not_found"),
    (TokenNotFound, HTTPStatus.NOT_FOUND, "not_found"),
    (CardErased, HTTPStatus.GONE, "card_erased"),
    (OnHold, HTTPStatus.CONFLICT, "on_hold"),
    (DetokenizationDenied, HTTPStatus.FORBIDDEN, "detokenization_denied"),
    (AccessDenied, HTTPStatus.FORBIDDEN, "access_denied"),
    (RecordTampered, HTTPStatus.INTERNAL_SERVER_ERROR, "record_tampered"),
    (VaultUnavailable, HTTPStatus.SERVICE_UNAVAILABLE, "vault_unavailable"),
    (VaultSealed, HTTPStatus.SERVICE_UNAVAILABLE, "vault_sealed"),
    (AuditUnavailable, HTTPStatus.SERVICE_UNAVAILABLE, "audit_unavailable"),
)


def answer_to(error: VaultError) -> tuple[HTTPStatus, str]:
    """The status of a refusal and its stable code."""
    for kind, status, code in _ANSWERS:
        if isinstance(error, kind):
            return status, code
    return HTTPStatus.INTERNAL_SERVER_ERROR, "vault_error"
