"""Incidents in the admin: what a scan found where, and what was done about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from vault import policy
from vault.admin.forms import DecisionForm
from vault.admin.lists import RefusePANSearchMixin, ViewOnlyMixin, whole_number
from vault.admin.pages import page
from vault.exceptions import VaultError
from vault.models import Incident
from vault.policy import Right
from vault.scanning import decisions
from vault.scanning.decisions import Act
from vault.scanning.incidents import KEPT

_PLACES_PER_PAGE: Final = 50
_DONE: Final = {
    Act.CONFIRM: _("Confirmed."),
    Act.FALSE_ALARM: _("Closed as a false alarm. It is opened again if more turns up there."),
    Act.CLEAN: _("Closed as cleaned up. It is opened again if anything turns up there."),
    Act.REOPEN: _("Opened again."),
}


@admin.register(Incident)
class IncidentAdmin(ViewOnlyMixin, RefusePANSearchMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("source", "state_now", "found", "opened", "seen", "decided")
    list_filter = ("state", "opened_at", "last_seen")
    list_select_related = ("decided_by",)
    search_fields = ("source",)
    search_help_text = _("Part of the column's or file's name")
    show_full_result_count = False
    list_per_page = 100
    actions = None

    class Media:
        css = {"all": ["vault/admin.css"]}

    @admin.display(description=_("state"), ordering="state")
    def state_now(self, incident: Incident) -> str:
        badge = format_html(
            '<span class="vault-badge vault-badge-{}">{}</span>', incident.state, incident.get_state_display()
        )
        if incident.reopened_at and incident.state == Incident.State.OPEN:
            return format_html("{} {}", badge, _("again"))
        return badge

    @admin.display(description=_("opened"), ordering="opened_at")
    def opened(self, incident: Incident) -> datetime:
        return incident.opened_at

    @admin.display(description=_("last seen"), ordering="last_seen")
    def seen(self, incident: Incident) -> datetime:
        return incident.last_seen

    @admin.display(description=_("decided by"), ordering="decided_at")
    def decided(self, incident: Incident) -> str:
        return str(incident.decided_by or "-")

    # Django's own check lets every superuser in.
    def has_view_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        return bool(policy.rights_of(request.user) & {Right.VIEW_INCIDENTS, Right.WORK_INCIDENTS})

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        views: dict[Act, Callable[..., HttpResponse]] = {act: partial(self.decide_view, act=act) for act in _DONE}
        views[Act.CHECK] = self.check_view
        own = [
            path(f"<int:pk>/{act.value}/", wrap(view), name=f"vault_incident_{act.value}")
            for act, view in views.items()
        ]
        return [*own, *super().get_urls()]

    @method_decorator(require_safe)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What was found where, what was done about it, and what can be done now."""
        return self._detail(request, self._visible(request, whole_number(object_id)))

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """There is none but the audit log's."""
        raise Http404

    @method_decorator(require_POST)
    def decide_view(self, request: HttpRequest, pk: int, act: Act) -> HttpResponse:
        incident = self._visible(request, pk)
        form = DecisionForm(request.POST)
        if not form.is_valid():
            return self._detail(request, incident, form=form)
        try:
            decisions.decide(incident, act, actor=request.user, note=form.cleaned_data["note"])
        except VaultError as error:
            return self._detail(request, incident, form=form, refused=error)
        messages.success(request, _DONE[act])
        return HttpResponseRedirect(_address(incident))

    @method_decorator(require_POST)
    def check_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        incident = self._visible(request, pk)
        try:
            checked = decisions.check(incident, actor=request.user)
        except VaultError as error:
            return self._detail(request, incident, refused=error)
        told = messages.warning if checked.there or checked.unknown else messages.success
        told(
            request,
            _("Still with a card number: %(there)d. Clean: %(gone)d. Cannot be looked at from here: %(unknown)d.")
            % {"there": checked.there, "gone": checked.gone, "unknown": checked.unknown},
        )
        return HttpResponseRedirect(_address(incident))

    def _visible(self, request: HttpRequest, pk: int | None) -> Incident:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if pk is None:
            raise Http404
        return get_object_or_404(Incident.objects.select_related("decided_by", "run"), pk=pk)

    def _detail(
        self,
        request: HttpRequest,
        incident: Incident,
        *,
        refused: VaultError | None = None,
        form: DecisionForm | None = None,
    ) -> HttpResponse:
        return page(
            self,
            request,
            "admin/vault/incident/detail.html",
            title=_("Incident"),
            refused=refused,
            subtitle=incident.source,
            incident=incident,
            strays=Paginator(incident.strays.all(), _PLACES_PER_PAGE).get_page(request.GET.get("page")),
            kept=KEPT if incident.found > KEPT else None,
            acts={act.value for act in decisions.acts(incident, actor=request.user)},
            form=form or DecisionForm(),
        )


def _address(incident: Incident) -> str:
    return reverse("admin:vault_incident_change", args=[incident.pk])
