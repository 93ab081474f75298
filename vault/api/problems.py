"""Errors of the API as RFC 9457 problem details: what went wrong and where, never what was sent."""

from __future__ import annotations

import math
from typing import Any, Final

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from vault import problems
from vault.answers import answer_to
from vault.api.parsers import BodyTooLarge
from vault.api.screening import MOST_ERRORS
from vault.audit import current_origin
from vault.exceptions import AccessDenied, TokenNotFound, VaultError, VaultUnavailable
from vault.problems import CONTENT_TYPE, Kind

RETRY_AFTER_SECONDS: Final = 5


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. None for what is not expected, which Django answers with 500."""
    found = problem_of(error)
    if found is None:
        return None
    set_rollback()
    response = Response(found, status=found["status"], content_type=CONTENT_TYPE)
    if wait := _wait(error):
        response["Retry-After"] = str(math.ceil(wait))
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    return response


def problem_of(error: Exception) -> dict[str, Any] | None:
    """What is said of an error: the body of an answer, or of a row of one. None for what is not expected."""
    if isinstance(error, VaultError):
        return _of_vault(error)
    if isinstance(error, exceptions.ValidationError):
        return _problem(problems.INVALID, errors=_errors(error))
    for kinds, kind in _KINDS:
        if isinstance(error, kinds):
            return _problem(kind)
    if isinstance(error, exceptions.APIException):
        # Of all codes that are known the titles are constants. DRF's own sentences may quote.
        return _problem(problems.kind_of(str(error.default_code), error.status_code))
    return None


_KINDS: Final[tuple[tuple[tuple[type[Exception], ...], Kind], ...]] = (
    ((OperationalError, InterfaceError), problems.DATABASE_UNAVAILABLE),
    ((RequestDataTooBig, BodyTooLarge), problems.BODY_TOO_LARGE),
    ((Http404, exceptions.NotFound), problems.NOT_FOUND),
    ((PermissionDenied, exceptions.PermissionDenied), problems.PERMISSION_DENIED),
    ((exceptions.ParseError,), problems.MALFORMED),
)


def _problem(kind: Kind, *, detail: str = "", **members: Any) -> dict[str, Any]:
    return problems.body_of(kind, request_id=current_origin().request_id, detail=detail, **members)


def _wait(error: Exception) -> float | None:
    """After how many seconds it may be tried again, if that helps."""
    if isinstance(error, VaultUnavailable | OperationalError | InterfaceError):
        return RETRY_AFTER_SECONDS
    return getattr(error, "wait", None)


def _of_vault(error: VaultError) -> dict[str, Any]:
    status, code = answer_to(error)
    kind = problems.kind_of(code, status)
    if isinstance(error, AccessDenied):
        return _problem(kind, detail=error.reason.message, reason=error.reason.value)
    # A malformed token and an unknown one are the same to the outside.
    return _problem(kind, detail=TokenNotFound().message if kind is problems.NOT_FOUND else error.message)


def _errors(error: exceptions.ValidationError) -> list[dict[str, str]]:
    """What is wrong with each field, and where it is: in the body by its JSON pointer (RFC 6901), else by its name."""
    place = getattr(error, "place", "pointer")
    found = _pointers(error.detail, "")[:MOST_ERRORS]
    if place != "pointer":
        found = [(path.removeprefix("/"), each) for path, each in found]
    return [{place: path, "code": str(each.code), "detail": str(each)} for path, each in found]


def _pointers(detail: Any, path: str) -> list[tuple[str, exceptions.ErrorDetail]]:
    """The errors of a serializer with the pointer of the field that each is about."""
    if isinstance(detail, dict):
        own = {"non_field_errors": path, "": path}
        return [
            each
            for key, value in detail.items()
            # What was screened has whole pointers already.
            for each in _pointers(value, own.get(key, key if str(key).startswith("/") else f"{path}/{key}"))
        ]
    if isinstance(detail, list):
        nested = [
            each
            for index, value in enumerate(detail)
            if value and not isinstance(value, str)
            for each in _pointers(value, f"{path}/{index}")
        ]
        return nested + [(path, value) for value in detail if isinstance(value, exceptions.ErrorDetail)]
    return [(path, detail)]
