"""The admin of this project: Django's own, with a start page that shows what there is to know and to do."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite as DjangoAdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _


class AdminSite(DjangoAdminSite):
    index_title = _("Console")

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The console, above Django's list of what can be looked at."""
        # They need the models, which are not there yet when the site is made.
        from orders.console import deliveries, orders
        from vault.admin.console import gather
        from vault.admin.console.cards import cards
        from vault.admin.console.keys import keys
        from vault.admin.console.trail import trail
        from vault.admin.console.work import work

        # In the order of the page: what waits for somebody comes first.
        sources = (work, orders, cards, trail, keys, deliveries)
        return super().index(request, {"console": gather(request, sources), **(extra_context or {})})
