"""Which sessions a user has, when one was last used, and how all of them end."""

from __future__ import annotations

import time
from typing import Any, Final

from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_delete, pre_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from knox.models import get_token_model

from billing.second_factor import FACTORS
from vault.redaction import redact

_SEEN: Final = "billing.seen"
_KNOWN_AS: Final = "billing.known_as"
# How coarse the clock of a session is, so that reading a page does not write to the database.
_TICK: Final = 60


@receiver(user_logged_in)
def begin(request: HttpRequest, **_: Any) -> None:
    """Start the clock of a session with its sign-in."""
    request.session[_SEEN] = int(time.time())


def is_idle(request: HttpRequest) -> bool:
    """True if the session of this request was not used for STAFF_IDLE_SECONDS, or nobody knows for how long.

    What is kept is up to a minute older than the last request: so a session may end that much early, and never late.
    """
    seen = request.session.get(_SEEN)
    return seen is None or not -_TICK <= time.time() - seen <= settings.STAFF_IDLE_SECONDS


def touch(request: HttpRequest) -> None:
    """Note that the session is in use, once a minute, here and in the list that its user sees."""
    if time.time() - request.session.get(_SEEN, 0) >= _TICK:
        request.session[_SEEN] = int(time.time())
        UserSession.objects.filter(session_key=request.session.session_key).update(last_seen_at=timezone.now())


def remember(request: HttpRequest) -> None:
    """Note whose session this is, once for each key: a session gets another one when a password is changed."""
    key = request.session.session_key
    if key and request.session.get(_KNOWN_AS) != key:
        UserSession.objects.create_from_request(request)
        request.session[_KNOWN_AS] = key


def end_access(user: Any) -> None:
    """End all sessions and delete all API tokens of a user."""
    for session in UserSession.objects.filter(user_id=user.pk):
        session.end()
    get_token_model().objects.filter(user_id=user.pk).delete()


@receiver(post_delete, sender=Authenticator)
def end_other_sessions(instance: Authenticator, **_: Any) -> None:
    """End the sessions of somebody who has a second factor less, but for the one in which they gave it up themselves.

    They were begun with what is lost now, or may be somebody else's.
    """
    if instance.type not in FACTORS:
        return
    own = context.request.session.session_key if context.request is not None else None
    for session in UserSession.objects.filter(user_id=instance.user_id).exclude(session_key=own or ""):
        session.end()


@receiver(pre_save, sender=UserSession)
def clean_user_agent(instance: UserSession, **_: Any) -> None:
    """Keep card numbers out of the table: the program at the other end writes this text.

    Allauth cuts it before; half of a number would not be recognized as one. So it is taken whole from the request.
    """
    whole = context.request.META.get("HTTP_USER_AGENT", "") if context.request is not None else ""
    text = whole if whole.startswith(instance.user_agent) else instance.user_agent
    instance.user_agent = redact(text)[: UserSession._meta.get_field("user_agent").max_length]
