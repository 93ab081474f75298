"""What the vault asks of every request."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import select_template
from django.utils.cache import add_never_cache_headers
from django.utils.functional import LazyObject
from django.utils.http import escape_leading_slashes
from django.utils.translation import gettext, gettext_lazy as _, gettext_noop

from vault import problems
from vault.audit import acting_for, current_origin
from vault.exceptions import AuditUnavailable, VaultError, VaultSealed, VaultUnavailable
from vault.misplaced import headers_with_pan, nameable
from vault.redaction import contains_pan, is_forbidden_key

_Next = Callable[[HttpRequest], HttpResponse]

_HINT = _("A card number does not belong in an address or a search. Search by the last four digits.")
# As the API says it of the same.
_IN_ADDRESS = gettext_noop("A card number does not belong in an address. It was not processed.")
_IN_HEADER = _("A card number does not belong in a header or a cookie: %(name)s. Nothing was processed.")
_IN_NAME = _("A card number does not belong in the name of a field or a file. Nothing was processed.")
_FORBIDDEN = _(
    "Card verification codes, PINs and track data may never be kept and are not taken: %(name)s. Nothing was processed."
)
_PLAIN_HTTP = "Use https. What was sent over plain HTTP was not processed, and others may have read it."
_RETRY_AFTER_SECONDS = "5"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_API = "/api/"
# Of django.contrib.messages, which has no setting for it.
_MESSAGES = "messages"


class OriginMiddleware:
    """Names the request, its user and its address in every audit event that it causes."""

    def __init__(self, get_response: _Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        origin = RequestOrigin(request)
        with acting_for(origin):
            response = self.get_response(request)
        response["Request-Id"] = origin.request_id
        return response


class RequestOrigin:
    """Who sent a request, from where. The id is ours: one from outside could carry anything into the logs."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.request_id = uuid.uuid4().hex

    @property
    def actor(self) -> str:
        """The user's primary key. Asked when an event is written: the API signs its user in after this was built."""
        user = getattr(self._request, "user", None)
        return str(user.pk) if user is not None and user.pk is not None else "anonymous"

    @property
    def known_actor(self) -> str:
        """The same if somebody asked for the user already: this runs no query, so that a log line causes none."""
        user = vars(self._request).get("user")
        if isinstance(user, LazyObject):
            user = vars(self._request).get("_cached_user")
        return "" if user is None or user.pk is None else str(user.pk)

    @property
    def actor_name(self) -> str:
        """The user's name at this moment."""
        user = getattr(self._request, "user", None)
        return str(user.get_username()) if user is not None else ""

    @property
    def source(self) -> str:
        """The address of the client, behind as many proxies as `settings.TRUSTED_PROXIES` says and no more.

        Empty for what is no address: anybody writes that header, and what stands in it goes into the audit log.
        """
        hops = [hop.strip() for hop in self._request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
        hops.append(self._request.META.get("REMOTE_ADDR", ""))
        try:
            address = ip_address(hops[max(-len(hops), -1 - settings.TRUSTED_PROXIES)])
        except ValueError:
            return ""
        # The zone of an IPv6 address may be any text.
        return str(address).partition("%")[0]


class RefusePlainHTTPMiddleware:
    """Refuses what is sent over plain HTTP instead of redirecting it (PCI DSS 4.2.1).

    A redirected POST has sent its card in clear already, and the program that sent it would never learn. What only asks
    for a page is left to Django's redirect to TLS.
    """

    def __init__(self, get_response: _Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in _SAFE_METHODS or request.is_secure():
            return self.get_response(request)
        return HttpResponse(_PLAIN_HTTP, status=403, content_type="text/plain")


class RefusePANInURLMiddleware:
    """Refuses a card number in a path or a query string, which logs, histories and referrers keep.

    A page that was asked for with one in its query is redirected to the same page with what else the query says, and
    with a hint if this stands behind Django's MessageMiddleware. Anything else gets 400. Nothing below sees the
    address, and the answer does not repeat it.
    """

    def __init__(self, get_response: _Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if contains_pan(request.path):
            return self._refuse(request)
        # Each character of a WSGI string is a byte: digits that are not ASCII would pass for something else.
        query = request.META.get("QUERY_STRING", "").encode("latin-1").decode(errors="replace")
        if contains_pan(unquote_plus(query)):
            if request.method == "GET" and not request.path.startswith(_API):
                messages.error(request, _HINT, fail_silently=True)
                rest = _without_pan(query)
                return HttpResponseRedirect(escape_leading_slashes(request.path) + (f"?{rest}" if rest else ""))
            return self._refuse(request)
        return self.get_response(request)

    def _refuse(self, request: HttpRequest) -> HttpResponse:
        kind = problems.PAN_IN_URL
        if not request.path.startswith(_API):
            return HttpResponse(gettext(kind.title), status=kind.status, content_type="text/plain")
        body = problems.body_of(kind, request_id=current_origin().request_id)
        headers = {"Cache-Control": "no-store"}
        return JsonResponse(body, status=kind.status, content_type=problems.CONTENT_TYPE, headers=headers)


def _without_pan(query: str) -> str:
    """What is left of a query without the parameters that hold a card number, and nothing if that still holds one."""
    rest = urlencode([pair for pair in parse_qsl(query) if not any(map(contains_pan, pair))])
    return "" if contains_pan(unquote_plus(rest)) else rest


class RefuseCardDataMiddleware:
    """Refuses card data in the parts of a request that no form looks at: a card number in a header, in a cookie of
    ours, in the name of a field or of a file; and, in an address or a form, whatever is named as a verification code, a
    PIN or track data, which may never be kept (PCI DSS 3.3.1).

    The API screens its requests itself. Cookies that others set for this host are read by nobody here, and no visitor
    could do anything about them.
    """

    def __init__(self, get_response: _Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(_API):
            others = {name: value for name, value in request.headers.items() if name != "Cookie"}
            own = {name: request.COOKIES.get(name, "") for name in _own_cookies()}
            if found := headers_with_pan(others) or headers_with_pan(own):
                return _refused(_IN_HEADER, found[0])
            if found := list(filter(is_forbidden_key, request.GET)):
                return _refused(_FORBIDDEN, found[0])
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, arguments: Any, options: Any) -> HttpResponse | None:
        if request.path.startswith(_API):
            return None
        files = [file.name or "" for _key, each in request.FILES.lists() for file in each]
        if any(map(contains_pan, (*request.POST, *request.FILES, *files))):
            return _refused(_IN_NAME)
        if found := [name for name in (*request.POST, *request.FILES) if is_forbidden_key(name)]:
            return _refused(_FORBIDDEN, found[0])
        return None


def _own_cookies() -> tuple[str, ...]:
    return settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME, _MESSAGES


def _refused(sentence: Any, name: str = "") -> HttpResponse:
    """400 with what is wrong and where, and nothing of what was sent there."""
    answer = HttpResponse(sentence % {"name": nameable(name) or "?"}, status=400, content_type="text/plain")
    add_never_cache_headers(answer)
    return answer


class UnavailableMiddleware:
    """Answers 503, with a constant sentence, where a page needs the vault or the audit log and does not have it.

    The page is the project's 503.html, with `sentence` and `request_id` in its context, or the vault's own.
    """

    def __init__(self, get_response: _Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, AuditUnavailable | VaultSealed | VaultUnavailable):
            return None
        return unavailable(request, exception)


def unavailable(request: HttpRequest, error: VaultError) -> HttpResponse:
    """The page that `UnavailableMiddleware` answers with; other middleware, which it does not see into, uses it too."""
    template = select_template(["503.html", "vault/503.html"])
    context = {"sentence": _sentence_about(error), "request_id": current_origin().request_id}
    answer = HttpResponse(template.render(context, request), status=503)
    if isinstance(error, VaultUnavailable):
        answer["Retry-After"] = _RETRY_AFTER_SECONDS
    add_never_cache_headers(answer)
    return answer


def _sentence_about(error: VaultError) -> str:
    """What whoever asked for the page can make of it, in their language. Which part failed is in the log."""
    if isinstance(error, AuditUnavailable):
        return str(_("What happens to cards is written to a log, and the log cannot be written at the moment."))
    if isinstance(error, VaultUnavailable):
        return str(_("The place where card numbers are kept does not answer this very moment."))
    return str(_("The place where card numbers are kept cannot be opened at the moment."))
