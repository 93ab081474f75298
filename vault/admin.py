"""Cards in the admin: found by token and last four, shown masked, changed by nobody."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import escape_leading_slashes
from django.utils.translation import gettext_lazy as _

from vault.models import Card
from vault.redaction import contains_pan


class RefusePANSearchMixin:
    """Keeps a card number in the search box, or in any other parameter of a list, out of SQL and out of the page.

    `RefusePANInURLMiddleware` refuses it earlier; a project that installs the vault without it is covered by this.
    """

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if any(contains_pan(text) for key, values in request.GET.lists() for text in (key, *values)):
            messages.error(request, _("Card numbers cannot be searched for. Search by the last four digits."))
            return HttpResponseRedirect(escape_leading_slashes(request.path))
        response: HttpResponse = super().changelist_view(request, extra_context)  # type: ignore[misc]
        return response


class ViewOnlyMixin:
    """Nobody adds, changes or deletes here, superusers included."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Card)
class CardAdmin(ViewOnlyMixin, RefusePANSearchMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("masked_number", "brand", "token", "expires", "status", "created_at")
    list_filter = ("status", "brand", "created_at")
    date_hierarchy = "created_at"
    search_fields = ("=token", "=last4")
    search_help_text = _("Token or last four digits")
    show_full_result_count = False
    list_per_page = 100
    fields = ("masked_number", "brand", "bin", "token", "expires", "status", "created_at")
    ordering = ("-created_at", "token")

    @admin.display(description=_("number"), ordering="last4")
    def masked_number(self, card: Card) -> str:
        return card.masked
