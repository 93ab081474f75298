"""What is answered where no view answers: pages for people, problem details for the API.

A page of an error asks for nothing that may be what is broken: it has the navigation if the user was looked up before.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import Any, Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.cache import add_never_cache_headers

from vault.audit import current_origin
from vault.problems import CONTENT_TYPE, DATABASE_UNAVAILABLE, body_of, kind_of

_RETRY_AFTER_SECONDS: Final = "5"
_SLASH = "There is no such thing. Addresses of the API end with a slash."


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, HTTPStatus.BAD_REQUEST, "400.html")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, HTTPStatus.FORBIDDEN, "403.html")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """For a form whose token is missing or too old. The reason is for developers, who find it in the log."""
    return _answer(request, HTTPStatus.FORBIDDEN, "403_csrf.html")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, HTTPStatus.NOT_FOUND, "404.html")


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """For allauth, whose limits are about a minute."""
    answer = _answer(request, HTTPStatus.TOO_MANY_REQUESTS, "429.html")
    answer["Retry-After"] = "60"
    return answer


def mail_unavailable(request: HttpRequest) -> HttpResponse:
    """For what ends with a code in a mail that could not be sent."""
    answer = _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, "503_mail.html")
    answer["Retry-After"] = "60"
    return answer


def server_error(request: HttpRequest) -> HttpResponse:
    """The page without the request: whatever a context processor would ask for may be what failed.

    A database that is away, or has closed the connection, is no error of ours and worth another try.
    """
    if isinstance(sys.exception(), OperationalError | InterfaceError):
        status = HTTPStatus(DATABASE_UNAVAILABLE.status)
        answer = _problem(request, status, DATABASE_UNAVAILABLE.code) or _page("503_database.html", status)
        answer["Retry-After"] = _RETRY_AFTER_SECONDS
        return answer
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _problem(request, status) or _page("500.html", status)


def known_user(request: HttpRequest) -> dict[str, Any]:
    """Say to templates whether the user is known already: then asking for them is no query."""
    return {"is_user_known": hasattr(request, "_cached_user")}


def _answer(request: HttpRequest, status: HTTPStatus, template: str) -> HttpResponse:
    return _problem(request, status) or _page(template, status, request)


def _page(template: str, status: HTTPStatus, request: HttpRequest | None = None) -> HttpResponse:
    text = render_to_string(template, {"request_id": current_origin().request_id}, request)
    answer = HttpResponse(text, status=status)
    # It may name who is signed in.
    add_never_cache_headers(answer)
    return answer


def _problem(request: HttpRequest, status: HTTPStatus, code: str = "") -> HttpResponse | None:
    if not request.path.startswith("/api/"):
        return None
    detail = _SLASH if status is HTTPStatus.NOT_FOUND and not request.path.endswith("/") else ""
    body = body_of(kind_of(code, status), request_id=current_origin().request_id, detail=detail)
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})
