"""In which language pages answer."""

from __future__ import annotations

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

from vault.redaction import contains_pan


@require_POST
@never_cache
def choose(request: HttpRequest) -> HttpResponseBase:
    """Keep the language in a cookie and lead back.

    Raises `BadRequest` for a way back with a card number in it, which the answer would repeat.
    """
    if contains_pan(request.POST.get("next", "")):
        raise BadRequest
    return set_language(request)
