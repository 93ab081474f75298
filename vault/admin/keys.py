"""The list of keys and the long runs over the vault, to look at. They are changed by commands alone."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from vault import policy
from vault.admin.dates import DatesMixin
from vault.admin.lists import RefusePANSearchMixin, ViewOnlyMixin
from vault.models import Key, Run
from vault.policy import Right


class _KeysMixin(ViewOnlyMixin, RefusePANSearchMixin):
    """For those who manage keys, or may see them."""

    actions = None

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(policy.rights_of(request.user) & {Right.MANAGE_KEYS, Right.VIEW_KEYS})

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)


@admin.register(Key)
class KeyAdmin(_KeysMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("purpose", "number", "state", "created_at", "changed_at", "arn")


@admin.register(Run)
class RunAdmin(_KeysMixin, DatesMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("operation", "part", "state", "started_at", "finished_at", "found")
    list_filter = ("operation", "state")
    date_hierarchy = "started_at"
    fields = ("operation", "part", "state", "started_at", "updated_at", "finished_at", "found")

    @admin.display(description=_("segment"))
    def part(self, run: Run) -> str:
        return f"{run.segment + 1} / {run.total_segments}"

    @admin.display(description=_("counts"))
    def found(self, run: Run) -> str:
        return ", ".join(f"{count} {name}" for name, count in sorted(run.counts.items())) or "-"
