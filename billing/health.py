"""What load balancers and monitors ask. No answer needs AWS: its outage must not take the order history down."""

from __future__ import annotations

from http import HTTPStatus

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from vault.retention import verification_overdue_since


@require_safe
@never_cache
def live(request: HttpRequest) -> HttpResponse:
    """This process answers."""
    return _text("ok", HTTPStatus.OK)


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """This process reaches its database."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return _text("database unreachable", HTTPStatus.SERVICE_UNAVAILABLE)
    return _text("ok", HTTPStatus.OK)


@require_safe
@never_cache
def retention(request: HttpRequest) -> HttpResponse:
    """It was proven lately that no card is kept for too long (PCI DSS 3.2.1); for a monitor, not a load balancer."""
    try:
        since = verification_overdue_since()
    except Error:
        return _text("database unreachable", HTTPStatus.SERVICE_UNAVAILABLE)
    if since:
        return _text(f"overdue since {since:%Y-%m-%d}", HTTPStatus.SERVICE_UNAVAILABLE)
    return _text("ok", HTTPStatus.OK)


def _text(text: str, status: HTTPStatus) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
