"""Errors of the API as RFC 9457 problem details: what went wrong and where, never what was sent."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from vault.answers import answer_to
from vault.api.parsers import BodyTooLarge
from vault.exceptions import AccessDenied, TokenNotFound, VaultError, VaultUnavailable

CONTENT_TYPE: Final = "application/problem+json"

RETRY_AFTER_SECONDS: Final = "5"


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. None for what is not expected, which Django answers with 500."""
    if isinstance(error, VaultError):
        response = _vault_problem(error)
    elif isinstance(error, RequestDataTooBig):
        response = _api_problem(BodyTooLarge())
    elif isinstance(error, Http404 | PermissionDenied | exceptions.APIException):
        response = _api_problem(error)
    else:
        return None
    set_rollback()
    return response


def _problem(status: int, code: str, detail: str, **members: Any) -> Response:
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail, **members}
    return Response(body, status=status, content_type=CONTENT_TYPE)


def _vault_problem(error: VaultError) -> Response:
    status, code = answer_to(error)
    response = _problem(status, code, **_said(error, status))
    if isinstance(error, VaultUnavailable):
        response["Retry-After"] = RETRY_AFTER_SECONDS
    return response


def _said(error: VaultError, status: HTTPStatus) -> dict[str, str]:
    """The detail of a problem, and the code of the reason if it is a refusal."""
    if isinstance(error, AccessDenied):
        return {"detail": error.reason.message, "reason": error.reason.value}
    # A malformed token and an unknown one are the same to the outside.
    return {"detail": TokenNotFound().message if status is HTTPStatus.NOT_FOUND else error.message}


def _api_problem(error: Exception) -> Response:
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    assert isinstance(error, exceptions.APIException)  # noqa: S101 - for the type checker
    if isinstance(error, exceptions.ValidationError):
        fields = [{"pointer": pointer, "detail": text} for pointer, text in _pointers(error.detail, "")]
        return _problem(error.status_code, "invalid", "The request has invalid fields.", errors=fields)
    # DRF's parse errors quote the text around the error; a constant does not.
    detail = "The body is not valid JSON." if isinstance(error, exceptions.ParseError) else str(error.detail)
    response = _problem(error.status_code, str(error.default_code), detail)
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = f"{wait:.0f}"
    return response


def _pointers(detail: Any, path: str) -> list[tuple[str, str]]:
    """The errors of a serializer with the JSON pointer (RFC 6901) of the field that each is about."""
    if isinstance(detail, dict):
        own = {"non_field_errors": path}
        return [each for key, value in detail.items() for each in _pointers(value, own.get(key, f"{path}/{key}"))]
    if isinstance(detail, list):
        nested = [
            each
            for index, value in enumerate(detail)
            if value and not isinstance(value, str)
            for each in _pointers(value, f"{path}/{index}")
        ]
        return nested + [(path, str(value)) for value in detail if isinstance(value, str)]
    return [(path, str(detail))]
