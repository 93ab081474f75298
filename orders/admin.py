"""Orders and saved cards in the admin. Money and cards are shown and never changed; nothing is deleted."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from orders.cancellations import CancelMixin
from orders.feed.admin import DeliveryAdmin, EndpointAdmin, EventAdmin
from orders.feed.models import written_time
from orders.models import Order, PaidWithCard, SavedCard
from orders.querysets import OrderQuerySet, SavedCardQuerySet
from vault.admin import CSVMixin, RefusePANSearchMixin, ViewOnlyMixin
from vault.redaction import redact

__all__ = ["DeliveryAdmin", "EndpointAdmin", "EventAdmin", "OrderAdmin", "SavedCardAdmin"]


def card_text(row: PaidWithCard) -> str:
    """Brand and last four, and whether there is no more than that."""
    return f"{row.card}, {_('card no longer on file')}" if row.is_card_erased else str(row.card)


def customer_text(row: Any) -> str:
    """The customer's address, or the name of one who has none."""
    return str(row.customer.email or row.customer.get_username())


@admin.register(Order)
class OrderAdmin(RefusePANSearchMixin, CancelMixin, CSVMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("public_id", "name", "customer_email", "money", "masked_card", "status", "placed_at")
    list_filter = ("status", "card_brand", "currency", "placed_at")
    date_hierarchy = "placed_at"
    search_fields = ("=public_id", "name", "customer__email", "customer__username", "=card_last4")
    search_help_text = _("Order, name, customer or last four digits of the card")
    list_select_related = ("customer",)
    show_full_result_count = False
    list_per_page = 100
    ordering = ("-placed_at", "-id")
    actions = ("cancel_chosen", "export_chosen")
    csv_newest_by = "placed_at"
    # Without the token: with it some accounts can pay, and a file goes where nobody is asked for rights.
    csv_columns = {
        "order": lambda order: order.public_id,
        "placed_at": lambda order: written_time(order.placed_at),
        "customer": customer_text,
        # Refused where it is typed; this is for what came into the table past every form.
        "name": lambda order: redact(order.name),
        "amount": lambda order: order.amount_text,
        "currency": lambda order: order.currency,
        "status": lambda order: order.status,
        "brand": lambda order: order.card_brand,
        "last4": lambda order: order.card_last4,
    }
    fields = (
        "public_id",
        "customer",
        "name",
        "description",
        "money",
        "masked_card",
        "token",
        "status",
        "placed_at",
        "cancelled_at",
        "repeat_of",
    )
    # Everything but the two texts.
    readonly_fields = tuple(name for name in fields if name not in {"name", "description"})

    def get_queryset(self, request: HttpRequest) -> OrderQuerySet:
        return cast("OrderQuerySet", super().get_queryset(request)).with_card_state()

    @admin.display(description=_("customer"), ordering="customer__email")
    def customer_email(self, order: Order) -> str:
        return customer_text(order)

    @admin.display(description=_("amount"), ordering="amount")
    def money(self, order: Order) -> str:
        return order.money

    @admin.display(description=_("card"), ordering="card_last4")
    def masked_card(self, order: Order) -> str:
        return card_text(order)

    @admin.display(description=_("token"))
    def token(self, order: Order) -> str:
        return str(order.card.token)

    # Orders are placed by customers, and never deleted.
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SavedCard)
class SavedCardAdmin(ViewOnlyMixin, RefusePANSearchMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("masked_card", "customer_email", "token", "expires", "created_at")
    list_filter = ("card_brand", "created_at")
    search_fields = ("customer__email", "customer__username", "=card_last4")
    search_help_text = _("Customer or last four digits of the card")
    list_select_related = ("customer",)
    show_full_result_count = False
    list_per_page = 100
    fields = ("masked_card", "token", "customer", "expires", "created_at")

    def get_queryset(self, request: HttpRequest) -> SavedCardQuerySet:
        return cast("SavedCardQuerySet", super().get_queryset(request)).with_card_state()

    @admin.display(description=_("customer"), ordering="customer__email")
    def customer_email(self, saved: SavedCard) -> str:
        return customer_text(saved)

    @admin.display(description=_("card"), ordering="card_last4")
    def masked_card(self, saved: SavedCard) -> str:
        return card_text(saved)

    @admin.display(description=_("token"))
    def token(self, saved: SavedCard) -> str:
        return saved.token.text
