"""What the list of cards is narrowed down by: how long a card is good, how long it is kept, and whether it must be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from vault.models import Card

_DAYS: Final = (30, 60, 90)


class ExpiryFilter(SimpleListFilter):
    """By the month on the card."""

    title = _("expiry")
    parameter_name = "expiry"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("expired", _("Expired")),
            *((str(days), _("Within %(days)d days") % {"days": days}) for days in _DAYS),
            ("later", _("Later")),
            ("unknown", _("Not known")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Card]) -> QuerySet[Card]:
        today = timezone.localdate()
        wanted = {
            "expired": Q(expires__lt=today),
            **{str(days): Q(expires__range=(today, today + timedelta(days=days))) for days in _DAYS},
            "later": Q(expires__gt=today + timedelta(days=_DAYS[-1])),
            "unknown": Q(expires=None),
        }
        return queryset.filter(wanted.get(self.value() or "", Q()))


class KeepingFilter(SimpleListFilter):
    """By what stands between a card and its erasure."""

    title = _("keeping")
    parameter_name = "keeping"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("overdue", _("Kept too long")), ("hold", _("Under legal hold")), ("erased", _("Erased"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Card]) -> QuerySet[Card]:
        on_file = Q(status=Card.Status.ACTIVE)
        wanted = {
            "overdue": on_file & Q(retain_until__lt=timezone.localdate()),
            "hold": on_file & ~Q(hold=""),
            "erased": Q(status=Card.Status.ERASED),
        }
        return queryset.filter(wanted.get(self.value() or "", Q()))
