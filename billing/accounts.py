"""Where allauth is told how people sign in, and where the vault learns whether they have just shown who they are."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from ipaddress import ip_address
from smtplib import SMTPException
from typing import Any, Final

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import (
    ChangePasswordForm as AllauthChangePasswordForm,
    LoginForm as AllauthLoginForm,
    ResetPasswordForm as AllauthResetPasswordForm,
    SignupForm as AllauthSignupForm,
)
from allauth.account.internal.userkit import filter_users_by_email
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext, gettext_noop

from billing import codes, lockout
from billing.mail import MailUnavailable
from billing.second_factor import has_second_factor, reauthentication_page, used_at
from vault.exceptions import AccessDenied, Refusal
from vault.middleware import RequestOrigin
from vault.redaction import redact
from vault.validators import validate_no_pan

_logger: Final = logging.getLogger(__name__)

SET_UP: Final = gettext_noop(
    "Set up a second factor first: an authenticator app or a security key. Staff pages need one."
)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Refuses an address with a card number in it, and counts failures for each account."""

    def clean_email(self, email: str) -> str:
        """Raise `ValidationError` for an address that holds a card number."""
        validate_no_pan(email)
        cleaned: str = super().clean_email(email)
        return cleaned

    def get_client_ip(self, request: HttpRequest) -> str:
        """The same address that the audit log has. What a proxy wrote that is none is passed over for the proxy's own.

        Raises `PermissionDenied` without any, as allauth does.
        """
        for source in (RequestOrigin(request).source, str(request.META.get("REMOTE_ADDR", ""))):
            try:
                return str(ip_address(source))
            except ValueError:
                continue
        raise PermissionDenied

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Raise `AccessDenied` for an address from which too much comes: no password is looked at."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            raise AccessDenied(Refusal.BUDGET) from None

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """Return the user whose password this is, or None. Raises `ValidationError` while the account is locked.

        Raises `AuditUnavailable` if the log cannot be written: nobody signs in unseen (PCI DSS 10.2.1).
        """
        try:
            with _attempt(credentials) as outcome:
                user = self._checked(request, **credentials)
                outcome["user"] = user.pk
        except AccessDenied as denial:
            if denial.reason is Refusal.LOCKED:
                raise ValidationError(gettext(lockout.SENTENCE), code="locked") from None
            raise self.validation_error("too_many_login_attempts") from None
        except lockout.WrongCredentials:
            return None
        return user

    def reauthenticate(self, user: Any, password: str) -> bool:
        """True for the password of the user who is signed in. Raises as `authenticate` does, and counts with it."""
        return is_password_of(user, password, where="reauthentication")

    def send_mail(self, *args: Any, **options: Any) -> None:
        """Raises `MailUnavailable` if the mail server does not take it."""
        try:
            super().send_mail(*args, **options)
        except (OSError, SMTPException) as error:
            # What the server answered may repeat the address.
            _logger.error("A mail could not be sent: %s.", type(error).__name__)  # noqa: TRY400
            raise MailUnavailable from None

    def send_notification_mail(self, *args: Any, **options: Any) -> None:
        """Raises nothing: what this mail is about has happened, and a mail server that is away does not undo it."""
        with suppress(MailUnavailable):
            super().send_notification_mail(*args, **options)

    def get_http_user_agent(self, request: HttpRequest) -> str:
        """For mails. Without what could be a card number: the program at the other end writes this text."""
        return redact(str(super().get_http_user_agent(request)))

    def is_reauthentication_required(self, *, app: str, **options: Any) -> bool:
        """Before addresses change, by whoever has not just shown who they are, be it at the sign-in.

        An address is what resets a password later: whoever finds a browser open adds none.
        """
        if app != "allauth.account":
            return bool(super().is_reauthentication_required(app=app, **options))
        request = context.request
        return not _was_just_shown(request, "mfa" if has_second_factor(request.user) else "password")

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """What the user shows again: the second factor if they have one, and then not the password; else the password.

        A security key comes before codes that stand in for it.
        """
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        factors = [method for method in methods if method["id"] != "reauthenticate"]
        if not factors or not has_second_factor(user):
            return methods
        if not is_mfa_enabled(user, types=[Authenticator.Type.TOTP]):
            factors.reverse()
        return factors

    def _checked(self, request: HttpRequest, **credentials: Any) -> Any:
        user = super().authenticate(request, **credentials)
        if user is None:
            raise lockout.WrongCredentials
        return user


def is_password_of(user: Any, password: str, *, where: str) -> bool:
    """True if it is; a guess counts as one at the sign-in. Raises `ValidationError` while the account is locked."""
    subject = lockout.subject_of_account(user.pk)
    try:
        with lockout.attempt("sign_in", subject, accounts=[user.pk], where=where) as outcome:
            _check_password(user, password)
            outcome["user"] = user.pk
    except AccessDenied:
        raise ValidationError(gettext(lockout.SENTENCE), code="locked") from None
    except lockout.WrongCredentials:
        return False
    return True


def _check_password(user: Any, password: str) -> None:
    if not user.is_active or not user.check_password(password):
        raise lockout.WrongCredentials


def _attempt(credentials: Mapping[str, Any]) -> AbstractContextManager[dict[str, Any]]:
    if accounts := _accounts(credentials):
        return lockout.attempt_at_each("sign_in", accounts)
    typed = credentials.get("email") or credentials.get("username") or ""
    return lockout.attempt("sign_in", lockout.subject_of_name(typed), accounts=[])


def _accounts(credentials: Mapping[str, Any]) -> list[int]:
    """The keys of the users who may be meant: those with whom the backends try the password, and nobody else.

    Not who has the address unverified where another one has it verified: so nobody is counted for what is no attempt at
    their account.
    """
    names = [name for name in (credentials.get("email"), credentials.get("username")) if name]
    found = {user.pk for name in names for user in filter_users_by_email(name, prefer_verified=True, for_login=True)}
    if username := credentials.get("username"):
        found |= set(User.objects.filter(username=username).values_list("pk", flat=True))
    return sorted(found)


class LoginForm(AllauthLoginForm):  # type: ignore[misc]
    """Refuses a card number as a name before anybody is looked for under it: that look-up would be SQL."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Before the field's own validators, which are about addresses.
        self.fields["login"].validators.insert(0, validate_no_pan)


class SignupForm(AllauthSignupForm):  # type: ignore[misc]
    """Takes as long for an address that has an account already: the time would say what no page says."""

    def try_save(self, request: HttpRequest) -> Any:
        if self.account_already_exists:
            # Nearly all of the time that a new account takes, as Django does it at a sign-in to none.
            make_password(self.cleaned_data["password1"])
        return super().try_save(request)


class ResetPasswordForm(AllauthResetPasswordForm):  # type: ignore[misc]
    """Gives no password to an account that has none, as service accounts: they do not sign in to pages.

    A code counts for the password that it was asked for and for none that follows.
    """

    users: list[Any]

    def clean_email(self) -> str:
        email = str(super().clean_email())
        self.users = [user for user in self.users if user.has_usable_password()]
        return email

    def save(self, request: HttpRequest, **options: Any) -> str:
        email = str(super().save(request, **options))
        codes.note_password(request)
        return email


class ChangePasswordForm(AllauthChangePasswordForm):  # type: ignore[misc]
    """Counts guesses at the current password."""

    def clean_oldpassword(self) -> str:
        password = str(self.cleaned_data.get("oldpassword", ""))
        if not is_password_of(self.user, password, where="password change"):
            raise AccountAdapter().validation_error("enter_current_password")
        return password


def confirm_identity(request: HttpRequest) -> HttpResponse | None:
    """Return None if this session's user has shown within IDENTITY_FRESH_SECONDS who they are, else where to do it.

    With a second factor, if the user has one or staff must have one; else with the password. The way back leads to the
    page that was asked for and never repeats what was sent to it.
    """
    if not request.user.is_authenticated:
        return _detour(request, resolve_url(settings.LOGIN_URL))
    with_factor = has_second_factor(request.user)
    if settings.STAFF_MFA_REQUIRED and not with_factor:
        return set_up_second_factor(request)
    if _was_just_shown(request, "mfa" if with_factor else "password"):
        return None
    return _detour(request, reauthentication_page(request.user))


def confirm_second_factor(request: HttpRequest) -> HttpResponse | None:
    """Return None if this session's user has just shown their second factor, or has none, else where to do it.

    So that nobody takes or adds one with what was stolen or typed before there was one. Whoever has none is asked for
    the password by allauth.
    """
    if not has_second_factor(request.user) or _was_just_shown(request, "mfa"):
        return None
    return reauthenticate(request)


def _was_just_shown(request: HttpRequest, method: str) -> bool:
    shown_at = used_at(request, method)
    # A time that is yet to come proves nothing.
    return shown_at is not None and 0 <= time.time() - shown_at < settings.IDENTITY_FRESH_SECONDS


def set_up_second_factor(request: HttpRequest) -> HttpResponse:
    """Send somebody without a second factor to where they set one up."""
    messages.warning(request, gettext(SET_UP))
    return HttpResponseRedirect(reverse("mfa_index"))


def reauthenticate(request: HttpRequest) -> HttpResponse:
    """Send somebody to where they show again who they are: with the second factor, if they have one."""
    if not request.user.is_authenticated:
        return _detour(request, resolve_url(settings.LOGIN_URL))
    return _detour(request, reauthentication_page(request.user))


def _detour(request: HttpRequest, page: str) -> HttpResponse:
    # Never allauth's suspend_request: it keeps the body of a POST, and whatever stands in it, in the session.
    back = request.get_full_path() if request.method == "GET" else request.path
    return HttpResponseRedirect(f"{page}?{urlencode({REDIRECT_FIELD_NAME: back})}")
