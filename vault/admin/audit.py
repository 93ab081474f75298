"""The audit log in the admin: read by those with the right alone, and every reading is an event of its own."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin import ShowFacets, SimpleListFilter
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from vault import policy
from vault.admin.chains import ChainMixin
from vault.admin.dates import DatesMixin
from vault.admin.lists import RefusePANSearchMixin, UncountedPaginator, ViewOnlyMixin, whole_number
from vault.audit import record
from vault.exceptions import InvalidToken
from vault.models import AuditEvent
from vault.policy import Right
from vault.tokens import Token

_READ: Final = "audit.read"
# Among so many of the newest events the filter finds its operations: a list in code would miss a project's own.
_RECENT: Final = 2_000
_ACTORS: Final = 30
_LONGEST_FILTER: Final = 200
# An operation writes few events, and they lie near each other.
_NEAR: Final = 200
_HEX_ID: Final = re.compile(r"[0-9a-f]{32}")
_SUBJECT: Final = re.compile(r"[a-z_]+:\S+")
_KEY: Final = re.compile(r"[0-9]+")


class OperationFilter(SimpleListFilter):
    """The operations of the newest events."""

    title = _("operation")
    parameter_name = "operation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        recent = AuditEvent.objects.order_by("-pk").values_list("operation", flat=True)[:_RECENT]
        chosen = [self.used_parameters[self.parameter_name]] if self.parameter_name in self.used_parameters else []
        return [(name, name) for name in sorted({*recent, *chosen})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        return queryset.filter(operation=self.value()) if self.value() else queryset


class ActorFilter(SimpleListFilter):
    """Who caused the newest events."""

    title = _("actor")
    parameter_name = "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        recent = AuditEvent.objects.order_by("-pk").values_list("actor", "actor_name")[:_RECENT]
        chosen: str | list[str] = self.used_parameters.get(self.parameter_name, [])
        # The newest name of each, and of those who are chosen whether or not they are among the newest.
        found = dict.fromkeys([chosen] if isinstance(chosen, str) else chosen, "")
        for actor, name in recent:
            if not actor:
                continue
            if actor in found or len(found) < _ACTORS:
                found[actor] = found.get(actor) or name or actor
        return sorted(((actor, name or actor) for actor, name in found.items()), key=lambda each: each[1].lower())

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        return queryset.filter(actor=self.value()) if self.value() else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(ViewOnlyMixin, RefusePANSearchMixin, ChainMixin, DatesMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("time_utc", "operation", "result", "actor_name", "purpose", "about")
    list_filter = ("outcome", "is_alarm", OperationFilter, ActorFilter, "time")
    date_hierarchy = "time"
    search_fields = ("token", "actor_name", "request_id", "subject")
    search_help_text = _("Token, name or key of the actor, request id, or what it is about, in full")
    fieldsets = (
        (None, {"fields": ("time_utc", "operation", "result", "together")}),
        (_("Who, and from where"), {"fields": ("actor_name", "actor", "source", "request_id")}),
        (_("About"), {"fields": ("token", "cards", "subject", "purpose", "reason", "other")}),
        (_("Its place in the chain"), {"fields": ("chain", "number", "previous", "digest")}),
    )
    # Whatever would count the table or sort all of it.
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    sortable_by = ()
    ordering = ("-pk",)
    list_per_page = 100
    list_max_show_all = 0
    actions = None

    class Media:
        css = {"all": ["vault/admin.css"]}

    @admin.display(description=_("time (UTC)"))
    def time_utc(self, event: AuditEvent) -> str:
        return f"{event.time:%Y-%m-%d %H:%M:%S}"

    @admin.display(description=_("outcome"))
    def result(self, event: AuditEvent) -> str:
        mark = format_html(' <strong class="vault-alarm">{}</strong>', _("Alarm")) if event.is_alarm else ""
        return format_html('<span class="vault-{}">{}</span>{}', event.outcome, event.get_outcome_display(), mark)

    @admin.display(description=_("about"))
    def about(self, event: AuditEvent) -> str:
        return " · ".join(filter(None, [event.token, event.subject])) or "-"

    @admin.display(description=_("the same operation"))
    def together(self, event: AuditEvent) -> str:
        near = AuditEvent.objects.filter(
            pk__range=(event.pk - _NEAR, event.pk + _NEAR), operation_id=event.operation_id
        ).order_by("pk")
        links = [(_address(each), each.get_outcome_display()) for each in near if each.pk != event.pk]
        return format_html_join(", ", '<a href="{}">{}</a>', links) or "-"

    @admin.display(description=_("details"))
    def other(self, event: AuditEvent) -> str:
        return format_html(
            '<pre class="vault-details" tabindex="0">{}</pre>', json.dumps(event.details, indent=2, sort_keys=True)
        )

    # Django's own check lets every superuser in.
    def has_view_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return policy.is_granted(request.user, Right.VIEW_AUDIT)

    def get_paginator(
        self, request: HttpRequest, queryset: Any, per_page: int, *args: Any, **options: Any
    ) -> Paginator[Any]:
        return UncountedPaginator(queryset, per_page, *args, page=request.GET.get(PAGE_VAR, "1"), **options)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        """By the one column that the term can be from, where it says so: an OR over all would use no index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(token=Token.parse(term).text), False
        except InvalidToken:
            if _HEX_ID.fullmatch(term):
                return queryset.filter(Q(request_id=term) | Q(subject=term)), False
            if _SUBJECT.fullmatch(term):
                return queryset.filter(subject=term), False
            if _KEY.fullmatch(term):
                return queryset.filter(Q(subject=term) | Q(actor=term)), False
            return queryset.filter(Q(subject=term) | Q(actor_name=term)), False

    # --- Reading is an event, and comes before what is read --------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        self._refuse_stranger(request, "list")
        return super().changelist_view(request, {"title": _("Audit log"), **(extra_context or {})})

    def refuse_verifying(self, request: HttpRequest) -> None:
        self._refuse_stranger(request, "verify")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        # Here nothing was read yet, and a card number in the address has been turned away.
        filters = {key: [value[:_LONGEST_FILTER] for value in values] for key, values in request.GET.lists()}
        record(_READ, actor=request.user, subject="list", filters=filters)
        return super().get_changelist_instance(request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if whole_number(object_id) is None:
            raise Http404
        self._refuse_stranger(request, f"row:{object_id}")
        record(_READ, actor=request.user, subject=f"row:{object_id}", filters={})
        return super().change_view(request, object_id, form_url, extra_context)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Nothing is changed, so there is none; and its page would show an event that nobody has recorded to see."""
        raise Http404

    def _refuse_stranger(self, request: HttpRequest, subject: str) -> None:
        if not self.has_view_permission(request):
            record(_READ, actor=request.user, subject=subject, outcome=AuditEvent.Outcome.DENIED)
            raise PermissionDenied


def _address(event: AuditEvent) -> str:
    return reverse("admin:vault_auditevent_change", args=[event.pk])
