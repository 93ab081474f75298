"""In which language pages answer."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

from billing.ways_back import without_pan


@require_POST
@never_cache
@without_pan
def choose(request: HttpRequest) -> HttpResponseBase:
    """Keep the language in a cookie and lead back."""
    return set_language(request)
