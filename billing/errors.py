"""What is answered where no view answers: pages for people, problem details for the API."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from vault.audit import current_origin
from vault.problems import CONTENT_TYPE, body_of, kind_of

_SLASH = "There is no such thing. Addresses of the API end with a slash."


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _problem(request, HTTPStatus.BAD_REQUEST) or defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _problem(request, HTTPStatus.FORBIDDEN) or defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _problem(request, HTTPStatus.NOT_FOUND) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    return _problem(request, HTTPStatus.INTERNAL_SERVER_ERROR) or defaults.server_error(request)


def _problem(request: HttpRequest, status: HTTPStatus) -> HttpResponse | None:
    if not request.path.startswith("/api/"):
        return None
    detail = _SLASH if status is HTTPStatus.NOT_FOUND and not request.path.endswith("/") else ""
    body = body_of(kind_of("", status), request_id=current_origin().request_id, detail=detail)
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})
