"""The pages that take a code out of a mail: what they say when it is too old, and what is recorded of their use."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from allauth.account import app_settings
from allauth.account.internal.flows.email_verification_by_code import EMAIL_VERIFICATION_CODE_SESSION_KEY
from allauth.account.internal.flows.password_reset_by_code import PASSWORD_RESET_VERIFICATION_SESSION_KEY
from allauth.account.models import EmailAddress
from allauth.account.signals import (
    email_confirmed,
    email_verification_code_rejected,
    password_reset,
    password_reset_code_rejected,
)
from allauth.account.views import complete_password_reset, confirm_password_reset_code, email_verification_sent
from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _

from vault.audit import record

TOO_OLD_AT_SIGN_IN: Final = _("This code is too old. Sign in with your password, and we send you a new one.")
TOO_OLD_FOR_ADDRESS: Final = _("This code is too old. Add the address once more, and we send you a new one.")
TOO_OLD_FOR_RESET: Final = _("This code is too old. Enter your address once more, and we send you a new one.")

_View = Callable[[HttpRequest], HttpResponse]
_REPLACES: Final = "billing.replaces"


def confirm_address(request: HttpRequest) -> HttpResponse:
    """Take the code that shows whose an address is."""
    if _is_too_old(request, EMAIL_VERIFICATION_CODE_SESSION_KEY, app_settings.EMAIL_VERIFICATION_BY_CODE_TIMEOUT):
        messages.warning(request, TOO_OLD_FOR_ADDRESS if request.user.is_authenticated else TOO_OLD_AT_SIGN_IN)
    answer: HttpResponse = email_verification_sent(request)
    return answer


def confirm_reset(request: HttpRequest) -> HttpResponse:
    """Take the code that stands for a forgotten password."""
    return _reset(request, confirm_password_reset_code)


def complete_reset(request: HttpRequest) -> HttpResponse:
    """Take the new password, within as much time as the code had."""
    return _reset(request, complete_password_reset)


def _reset(request: HttpRequest, view: _View) -> HttpResponse:
    key = PASSWORD_RESET_VERIFICATION_SESSION_KEY
    is_too_old = _is_too_old(request, key, app_settings.PASSWORD_RESET_BY_CODE_TIMEOUT)
    if not is_too_old and _is_about_password_of_now(request.session.get(key, {})):
        return view(request)
    del request.session[key]
    messages.warning(request, TOO_OLD_FOR_RESET)
    return HttpResponseRedirect(reverse("account_reset_password"))


def note_password(request: HttpRequest) -> None:
    """Note which password the code that was just sent is to replace."""
    state = request.session[PASSWORD_RESET_VERIFICATION_SESSION_KEY]
    if user := _user_of(state):
        state[_REPLACES] = user.get_session_auth_hash()
        request.session.modified = True


def _is_about_password_of_now(state: dict[str, Any]) -> bool:
    """False once the password is another: whoever read a code before its owner did takes no account over with it."""
    user = _user_of(state)
    return user is None or constant_time_compare(state.get(_REPLACES, ""), user.get_session_auth_hash())


def _user_of(state: dict[str, Any]) -> User | None:
    return User.objects.filter(pk=state["user_id"]).first() if "user_id" in state else None


def _is_too_old(request: HttpRequest, key: str, seconds: float) -> bool:
    state = request.session.get(key)
    return state is not None and time.time() - state["at"] > seconds


# --- What is recorded (PCI DSS 10.2.1.4, 10.2.1.5) --------------------------------------------------------------------


@receiver(email_verification_code_rejected)
def record_wrong_code_for_address(user: User, **_: Any) -> None:
    record("email.verify", outcome="failed", subject=f"user:{user.pk}")


@receiver(email_confirmed)
def record_verification(email_address: EmailAddress, **_: Any) -> None:
    """Whose an address is decides who can sign in with it, and who can reset the password."""
    record("email.verify", subject=f"user:{email_address.user_id}")


@receiver(post_delete, sender=EmailAddress)
def record_removal(instance: EmailAddress, **_: Any) -> None:
    """Within the transaction of the deletion, which is undone if this raises."""
    record("email.remove", subject=f"user:{instance.user_id}")


@receiver(password_reset_code_rejected)
def record_wrong_code_for_reset(user: User, **_: Any) -> None:
    record("password.reset", outcome="failed", subject=f"user:{user.pk}")


@receiver(password_reset)
def record_reset(user: User, **_: Any) -> None:
    """That it was a reset: the change of the password itself is recorded by `billing.users`."""
    record("password.reset", subject=f"user:{user.pk}")
