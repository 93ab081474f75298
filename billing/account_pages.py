"""The page with which an account begins, and what is asked of the page of its addresses before allauth's own is."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from allauth.account.views import email
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from vault.redaction import contains_pan


@require_safe
@login_required
def start(request: HttpRequest) -> HttpResponse:
    """How somebody signs in, and where they are signed in."""
    user = request.user
    kinds = list(Authenticator.objects.filter(user_id=user.pk).values_list("type", flat=True))
    context = {
        "addresses": list(EmailAddress.objects.filter(user_id=user.pk).order_by("-primary", "email")),
        "has_app": Authenticator.Type.TOTP in kinds,
        "keys": kinds.count(Authenticator.Type.WEBAUTHN),
        "has_recovery_codes": Authenticator.Type.RECOVERY_CODES in kinds,
        "sessions": UserSession.objects.filter(user_id=user.pk).count(),
    }
    return render(request, "account/start.html", context)


def change_addresses(request: HttpRequest) -> HttpResponse:
    """Add, verify, prefer and remove addresses.

    Raises `BadRequest` for a card number as the chosen one: it is looked for in the database. The form of a new address
    refuses one itself, beside the field.
    """
    if "action_add" not in request.POST and contains_pan(request.POST.get("email", "")):
        raise BadRequest
    answer: HttpResponse = email(request)
    return answer
