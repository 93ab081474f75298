"""Orders and saved cards in the admin. Money and cards are shown and never changed; nothing is deleted."""

from __future__ import annotations

import re
from typing import Any, Final, cast

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import smart_split, unescape_string_literal
from django.utils.translation import gettext_lazy as _

from orders.cancellations import CancelMixin
from orders.feed.admin import DeliveryAdmin, EndpointAdmin, EventAdmin
from orders.feed.models import written_time
from orders.histories import history_of
from orders.models import PUBLIC_ID_PATTERN, Order, PaidWithCard, SavedCard
from orders.querysets import OrderQuerySet, SavedCardQuerySet
from vault.admin import CSVMixin, LongListMixin, RefusePANSearchMixin, ViewOnlyMixin
from vault.admin.histories import history_page
from vault.redaction import redact

__all__ = ["DeliveryAdmin", "EndpointAdmin", "EventAdmin", "OrderAdmin", "SavedCardAdmin"]


_NUMBER: Final = re.compile(PUBLIC_ID_PATTERN)
_ADDRESS: Final = re.compile(r"[^\s@\"']+@[^\s@\"']+")
# What can be mended in an order.
_TEXTS: Final = frozenset({"name", "description"})
_QUOTES: Final = "\"'"


def card_text(row: PaidWithCard) -> str:
    """Brand and last four, and whether there is no more than that."""
    said = _("%(card)s, card no longer on file") if row.is_card_erased else "%(card)s"
    return str(said % {"card": row.card})


def customer_text(row: Any) -> str:
    """The customer's address, or the name of one who has none."""
    return str(row.customer.email or row.customer.get_username())


class CustomerSearchMixin(admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    """Looks for each word of a search in `search_fields`, and in the address and the name of the customer.

    Customers are a query within the query. If they were joined, as Django does it, MariaDB would begin with them, and
    sort all of their rows for a page.
    """

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        for word in smart_split(search_term):
            phrase = unescape_string_literal(word) if word[0] in _QUOTES and word[0] == word[-1] else word
            customers = User.objects.filter(Q(email__icontains=phrase) | Q(username__icontains=phrase))
            found = Q(customer__in=customers.values("pk"))
            for field in self.get_search_fields(request):
                name = field.removeprefix("=")
                found |= Q(**{f"{name}__icontains" if name == field else f"{name}__iexact": phrase})
            queryset = queryset.filter(found)
        return queryset, False


@admin.register(Order)
class OrderAdmin(RefusePANSearchMixin, CustomerSearchMixin, CancelMixin, CSVMixin, LongListMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("public_id", "name", "customer_email", "money", "masked_card", "status", "placed_at")
    list_filter = ("status", "card_brand", "currency", "placed_at")
    date_hierarchy = "placed_at"
    search_fields = ("=public_id", "name", "=card_last4")
    search_help_text = _("Order, name, customer or last four digits of the card")
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
        "card_page",
        "status",
        "placed_at",
        "cancelled_at",
        "repeat_of",
    )

    def get_queryset(self, request: HttpRequest) -> OrderQuerySet:
        found = cast("OrderQuerySet", super().get_queryset(request)).with_card_state()
        # No join: MariaDB would begin with the customers, and sort all of their orders for a page.
        return found.prefetch_related("customer")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        """An order's number or a customer's address in full is looked for by its index, and in nothing else."""
        if (found := self._found_by_index(search_term)) is not None:
            return queryset.filter(found), False
        return super().get_search_results(request, queryset, search_term)

    def is_found_by_index(self, search_term: str) -> bool:
        return self._found_by_index(search_term) is not None

    def _found_by_index(self, search_term: str) -> Q | None:
        term = search_term.strip()
        if _NUMBER.fullmatch(term.lower()):
            return Q(public_id=term.lower())
        customers = User.objects.filter(email__iexact=term) if _ADDRESS.fullmatch(term) else User.objects.none()
        # The order of the index is that of the list for one customer alone.
        one, *others = customers.values_list("pk", flat=True)[:2] or [None]
        return Q(customer=one) if one is not None and not others else None

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

    @admin.display(description=_("token"))
    def card_page(self, order: Order) -> str:
        """The token as the way to the page of the card."""
        address = reverse("admin:vault_card_change", args=[quote(order.card.token.text)])
        return format_html('<a href="{}">{}</a>', address, order.card.token)

    @admin.display(description=_("customer"))
    def customer_name(self, order: Order) -> str:
        return customer_text(order)

    def get_fields(self, request: HttpRequest, obj: Order | None = None) -> Any:
        """Links for those alone who may go there. Django makes one of every customer."""
        swaps = {}
        if not request.user.has_perm("vault.view_card"):
            swaps["card_page"] = "token"
        if not request.user.has_perm("auth.view_user"):
            swaps["customer"] = "customer_name"
        return [swaps.get(name, name) for name in self.fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Order | None = None) -> Any:
        return [name for name in self.get_fields(request, obj) if name not in _TEXTS]

    def text_of_use(self, order: Order) -> str:
        """What an order is called on the page of its card."""
        return f"{order.public_id} · {order.name} · {order.money} · {order.get_status_display()}"

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """What customers, accounts of the API and staff did, in one page."""
        order = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, order):
            raise PermissionDenied
        if order is None:
            raise Http404
        return history_page(self, request, order, history_of(order))

    # Orders are placed by customers, and never deleted.
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SavedCard)
class SavedCardAdmin(ViewOnlyMixin, RefusePANSearchMixin, CustomerSearchMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("masked_card", "nickname", "default", "customer_email", "token", "expires", "created_at")
    list_filter = ("card_brand", "created_at")
    search_fields = ("=card_last4",)
    search_help_text = _("Customer or last four digits of the card")
    show_full_result_count = False
    list_per_page = 100
    fields = ("masked_card", "nickname", "default", "token", "customer", "expires", "created_at")

    def get_queryset(self, request: HttpRequest) -> SavedCardQuerySet:
        found = cast("SavedCardQuerySet", super().get_queryset(request)).with_card_state()
        return found.prefetch_related("customer")

    @admin.display(description=_("customer"), ordering="customer__email")
    def customer_email(self, saved: SavedCard) -> str:
        return customer_text(saved)

    @admin.display(description=_("card"), ordering="card_last4")
    def masked_card(self, saved: SavedCard) -> str:
        return card_text(saved)

    @admin.display(description=_("token"))
    def token(self, saved: SavedCard) -> str:
        return saved.token.text

    @admin.display(description=_("default"), boolean=True)
    def default(self, saved: SavedCard) -> bool:
        return saved.is_default

    def text_of_use(self, saved: SavedCard) -> str:
        """What a saved card is called on the page of its card."""
        return customer_text(saved)
