"""The way back, carried by forms and links as `next`: pages repeat it, and a session that waits for a code keeps it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import unquote_plus

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from vault.redaction import contains_pan

_View = Callable[..., HttpResponseBase]


def without_pan(view: _View) -> _View:
    """The same view, which raises `BadRequest` for a way back with a card number in it."""

    @wraps(view)
    def guarded(request: HttpRequest, *arguments: Any, **options: Any) -> HttpResponseBase:
        for sent in (request.GET, request.POST):
            if contains_pan(unquote_plus(sent.get(REDIRECT_FIELD_NAME, ""))):
                raise BadRequest
        return view(request, *arguments, **options)

    return guarded
