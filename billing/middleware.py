"""What is asked of sessions before any page is: that they are in use, and for staff that a second factor began them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.models import AnonymousUser
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponsePermanentRedirect,
    HttpResponseRedirect,
)
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware as DjangoCommonMiddleware
from django.middleware.locale import LocaleMiddleware as DjangoLocaleMiddleware
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.utils.http import urlencode
from django.utils.translation import gettext, gettext_noop

from billing import accounts, errors, sessions, sign_out
from billing.mail import MailUnavailable
from billing.second_factor import has_second_factor, used_at, was_just_set_up
from vault.audit import record
from vault.exceptions import AuditUnavailable
from vault.middleware import unavailable

_Next = Callable[[HttpRequest], HttpResponse]

# What a load balancer asks of a task by its address, which no list of hosts knows. The answers name no host.
_HEALTH: Final = frozenset({"/healthz", "/readyz"})
_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
IDLE: Final = gettext_noop(
    "You were signed out because this session was not used for a while. What you sent was not carried out."
)


class CommonMiddleware(DjangoCommonMiddleware):
    """Django's own, which does not redirect requests of the API that lack the slash at the end.

    A program that follows the redirect of a POST sends a GET, and one that does not sees an empty answer. Health is
    answered to whatever host was asked for.
    """

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if request.path in _HEALTH else super().process_request(request)

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        return not request.path.startswith("/api/") and super().should_redirect_with_slash(request)


class LocaleMiddleware(DjangoLocaleMiddleware):
    """Django's own, which leaves the API in one language: programs compare and log what it says."""

    def process_request(self, request: HttpRequest) -> None:
        if request.path.startswith("/api/"):
            translation.activate(settings.LANGUAGE_CODE)
        else:
            super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response if request.path.startswith("/api/") else super().process_response(request, response)


class RefuseMethodsMiddleware:
    """Refuses methods that no page has, before any view: one that is a function answers TRACE as it answers GET.

    The API says so itself.
    """

    def __init__(self, get_response: _Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in _METHODS or request.path.startswith("/api/"):
            return self.get_response(request)
        answer: HttpResponse = HttpResponseNotAllowed(sorted(_METHODS))
        add_never_cache_headers(answer)
        return answer


class InterruptionMiddleware:
    """Sends somebody who has to show again who they are to where they can, and says so where a mail cannot be sent.

    Stands inside allauth's own middleware, which keeps the body of a POST in the session until somebody has signed in
    again: a card number that was typed into a wrong field would lie in the database.
    """

    def __init__(self, get_response: _Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, ReauthenticationRequired):
            return accounts.reauthenticate(request)
        if isinstance(exception, MailUnavailable):
            return errors.mail_unavailable(request)
        return None


class IdleMiddleware:
    """Ends the session of staff after 15 minutes without a request (PCI DSS 8.2.8), before anything is carried out.

    Notes of everybody's session, once a minute, that it is in use.
    """

    def __init__(self, get_response: _Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            return self.get_response(request)
        if request.user.is_staff and sessions.is_idle(request):
            return self._end(request)
        sessions.remember(request)
        sessions.touch(request)
        return self.get_response(request)

    def _end(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        # First of all: whatever fails now, this session is over.
        request.session.flush()
        request.user = AnonymousUser()
        sign_out.forget(request)
        try:
            record("session.idle", actor=user, subject=f"user:{user.pk}")
        except AuditUnavailable as error:
            return unavailable(request, error)
        try:
            page = resolve_url(settings.LOGIN_URL)
        except NoReverseMatch:
            # A process of the API alone has no pages of accounts. What was sent goes on as nobody's.
            return self.get_response(request)
        messages.warning(request, gettext(IDLE))
        # A page can be asked for again; what was sent cannot.
        if request.method == "GET":
            page = f"{page}?{urlencode({REDIRECT_FIELD_NAME: request.get_full_path()})}"
        return HttpResponseRedirect(page)


# The pages that take a second factor, add one, or what stands in for one.
_CHANGES_OF_FACTORS: Final = frozenset(
    {
        "mfa_activate_totp",
        "mfa_deactivate_totp",
        "mfa_add_webauthn",
        "mfa_edit_webauthn",
        "mfa_remove_webauthn",
        "mfa_generate_recovery_codes",
    }
)
# What stands in for one is shown also where one was set up just now: the app's next code is half a minute away.
_VIEWS_OF_CODES: Final = frozenset({"mfa_view_recovery_codes", "mfa_download_recovery_codes"})


class SecondFactorMiddleware:
    """Lets no staff into the admin whose session was begun without a second factor (PCI DSS 8.4), and nobody change
    their second factors who has not just shown one of them.
    """

    def __init__(self, get_response: _Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, arguments: Any, options: Any) -> HttpResponse | None:
        match = request.resolver_match
        if match is not None and request.user.is_authenticated:
            if match.url_name in _CHANGES_OF_FACTORS:
                return accounts.confirm_second_factor(request)
            if match.url_name in _VIEWS_OF_CODES and not was_just_set_up(request):
                return accounts.confirm_second_factor(request)
        if not settings.STAFF_MFA_REQUIRED or match is None or "admin" not in match.app_names:
            return None
        # Whoever is not signed in, or not staff, is turned away by the admin itself.
        if not request.user.is_authenticated or not request.user.is_staff:
            return None
        if not has_second_factor(request.user):
            return accounts.set_up_second_factor(request)
        return None if used_at(request) is not None else accounts.reauthenticate(request)
