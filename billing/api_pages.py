"""Pages about the API for people: its description, and what each kind of error means. Anybody may read them."""

from __future__ import annotations

import json
from typing import Any

from django.http import Http404
from django.views.generic import TemplateView

from billing.api_reference import reference
from vault import problems
from vault.api.schema import example_of


class DocumentationView(TemplateView):
    """The OpenAPI document, to read.

    Nothing is sent from here: a form for card numbers would be one more place where they may stay.
    """

    template_name = "api/docs.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(sections=reference(), **kwargs)


class ProblemListView(TemplateView):
    template_name = "api/problems.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(kinds=problems.kinds(), **kwargs)


class ProblemView(TemplateView):
    """What the `type` of a problem leads to. Raises `Http404` for a code that is none."""

    template_name = "api/problem.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        kind = next((kind for kind in problems.kinds() if kind.code == kwargs["code"]), None)
        if kind is None:
            raise Http404
        example = json.dumps(example_of(kind), indent=2)
        # What stands between backquotes is code.
        return super().get_context_data(kind=kind, advice=kind.advice.split("`"), example=example, **kwargs)
