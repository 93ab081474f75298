"""The saved filters above a list of the admin."""

from __future__ import annotations

from typing import Any, Final

from django import template
from django.contrib.admin.views.main import ChangeList

from billing.filters import FilterForm, visible_to

register: Final = template.Library()
_SHOWN: Final = 30
_PASSING: Final = ["p", "e", "all", "_facets"]


@register.inclusion_tag("admin/_saved_filters.html", takes_context=True)
def saved_filters(context: template.RequestContext, shown: ChangeList) -> dict[str, Any]:
    """Links to those of this list, in one query, and a form to save what it is filtered by now."""
    request = context["request"]
    query = shown.get_query_string(remove=_PASSING).removeprefix("?")
    return {
        "saved": list(visible_to(request.user).filter(model=shown.opts.label_lower)[:_SHOWN]),
        "user": request.user,
        "query": query,
        "model": shown.opts.label_lower,
        "form": FilterForm(),
    }
