"""The feed in the admin: where events go and what became of them. Nothing is changed here; some is sent again."""

from __future__ import annotations

import json

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _, ngettext

from orders.feed.deliveries import send_again
from orders.feed.models import Delivery, Endpoint, Event
from vault.admin import RefusePANSearchMixin, ViewOnlyMixin
from vault.exceptions import AuditUnavailable
from vault.sentences import sentence_of


@admin.register(Endpoint)
class EndpointAdmin(ViewOnlyMixin, RefusePANSearchMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("public_id", "account", "address", "is_active", "created_at")
    list_filter = ("is_active",)
    list_select_related = ("account",)
    search_fields = ("=public_id", "account__username", "account__email")
    search_help_text = _("Endpoint or account")
    show_full_result_count = False
    list_per_page = 100
    fields = ("public_id", "account", "address", "kinds", "is_active", "generation", "previous_until", "created_at")

    @admin.display(description=_("address"), ordering="url")
    def address(self, endpoint: Endpoint) -> str:
        return endpoint.address

    @admin.display(description=_("types"))
    def kinds(self, endpoint: Endpoint) -> str:
        return ", ".join(endpoint.types)


@admin.register(Event)
class EventAdmin(ViewOnlyMixin, RefusePANSearchMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("public_id", "type", "about", "created_at")
    list_filter = ("type", "created_at")
    list_select_related = ("order",)
    search_fields = ("=public_id", "=order__public_id")
    search_help_text = _("Event or order")
    show_full_result_count = False
    list_per_page = 100
    fields = ("public_id", "type", "about", "content", "created_at", "distributed_at")

    # An event has in it what an order has: whoever may not see all orders sees none of them here.
    def has_view_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        return super().has_view_permission(request, obj) and request.user.has_perm("orders.view_order")

    @admin.display(description=_("about"), ordering="order")
    def about(self, event: Event) -> str:
        return str(event.order or event.payload.get("token", ""))

    @admin.display(description=_("content"))
    def content(self, event: Event) -> SafeString:
        return format_html('<pre tabindex="0">{}</pre>', json.dumps(event.payload, indent=2, ensure_ascii=False))


@admin.register(Delivery)
class DeliveryAdmin(ViewOnlyMixin, RefusePANSearchMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("event", "kind", "account", "state", "tries", "next_at")
    list_filter = ("state", "event__type")
    list_select_related = ("event", "endpoint__account")
    search_fields = ("=event__public_id", "=event__order__public_id", "=endpoint__public_id")
    search_help_text = _("Event, order or endpoint")
    show_full_result_count = False
    list_per_page = 100
    actions = ("send_again",)
    fields = ("event", "kind", "endpoint", "account", "state", "tries", "next_at", "finished_at", "log")

    # Django lets those with the right to change look as well; here it is the right to send again, and no more.
    def has_view_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return bool(request.user.has_perm("orders.view_delivery"))

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("orders.change_delivery"))

    @admin.display(description=_("type"), ordering="event__type")
    def kind(self, delivery: Delivery) -> str:
        return delivery.event.type

    @admin.display(description=_("account"), ordering="endpoint__account__username")
    def account(self, delivery: Delivery) -> str:
        return delivery.endpoint.account.get_username()

    @admin.display(description=_("attempts"))
    def log(self, delivery: Delivery) -> SafeString:
        return render_to_string("admin/orders/delivery/log.html", {"attempts": delivery.attempts.all()})

    @admin.action(description=_("Send again"), permissions=["resend"])
    def send_again(self, request: HttpRequest, chosen: QuerySet[Delivery]) -> None:
        try:
            count = send_again(Delivery.objects.filter(pk__in=list(chosen.values_list("pk", flat=True))))
        except AuditUnavailable as error:
            self.message_user(request, sentence_of(error), messages.ERROR)
            return
        said = ngettext("%d delivery will be sent again.", "%d deliveries will be sent again.", count) % count
        self.message_user(request, said, messages.SUCCESS)
