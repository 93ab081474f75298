"""Where a card is used: the rows of every `PANField` of this project that somebody may see in the admin."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from django.apps import apps
from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from vault.fields import PANField
from vault.models import Card

_SHOWN: Final = 10


class Use(NamedTuple):
    """The newest rows of one model with this card: what each is called and where it is. `more` leads to all of them."""

    title: str
    rows: list[tuple[str, str]]
    more: str


def uses_of(card: Card, request: HttpRequest, site: AdminSite) -> list[Use]:
    """One query for each field. A model without a page in the admin, or that the user may not view, is left out.

    The admin of a model may say with `text_of_use(row)` what a row is called here.
    """
    found: list[Use] = []
    for model in apps.get_models():
        admin = site._registry.get(model)  # noqa: SLF001 - `get_model_admin` raises where there is none, which is usual
        fields = [field.name for field in model._meta.local_concrete_fields if isinstance(field, PANField)]
        if admin is None or not fields or not admin.has_view_permission(request):
            continue
        text = getattr(admin, "text_of_use", str)
        route = f"{site.name}:{model._meta.app_label}_{model._meta.model_name}"
        for name in fields:
            kept: QuerySet[Any] = admin.get_queryset(request).filter(**{name: card.token}).order_by("-pk")
            if isinstance(admin.list_select_related, tuple):
                kept = kept.select_related(*admin.list_select_related)
            rows = list(kept[: _SHOWN + 1])
            links = [(str(text(row)), reverse(f"{route}_change", args=[quote(row.pk)])) for row in rows[:_SHOWN]]
            query = urlencode({f"{name}__exact": card.token})
            more = f"{reverse(f'{route}_changelist')}?{query}" if len(rows) > _SHOWN else ""
            if links:
                found.append(Use(str(model._meta.verbose_name_plural), links, more))
    return found
