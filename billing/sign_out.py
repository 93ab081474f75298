"""What a browser keeps of a session that is over: nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

#: Pages that may be shown again by the Back button, and what scripts keep. Not "cookies": the language is in one, and
#: the one of the session is deleted by its name.
CLEARED: Final = '"cache", "storage"'
_IS_OVER: Final = "_billing_session_is_over"


class SignOutMiddleware:
    """Has the browser forget what it keeps, whichever page ended the session, of the accounts or of the admin."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        if _IS_OVER in request.__dict__:
            answer["Clear-Site-Data"] = CLEARED
        return answer


def forget(request: HttpRequest) -> None:
    """Have the answer to this request clear what the browser keeps."""
    request.__dict__[_IS_OVER] = True


@receiver(user_logged_out)
def forget_at_sign_out(request: HttpRequest | None, user: User | None, **_: Any) -> None:
    if request is not None and user is not None:
        forget(request)
