"""Requests to export cards in the admin: asked for by one, decided by two others, run by a command."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from vault import exports, policy
from vault.admin.forms import DecisionForm, ExportForm
from vault.admin.lists import RefusePANSearchMixin, ViewOnlyMixin, whole_number
from vault.admin.pages import page
from vault.audit import record
from vault.envelopes import RecipientKey
from vault.exceptions import InvalidRecipientKey, Refusal, VaultError
from vault.models import ExportRequest
from vault.policy import Right

_State: Final = ExportRequest.State
_ASKED: Final = _("Your request waits for two people to approve it.")
_ONE: Final = _("Approved. Another person has to agree as well.")
_BOTH: Final = _("Approved by two people. The export can be run now.")
_REFUSED: Final = _("Refused.")
_READ: Final = require_http_methods(["GET", "HEAD", "POST"])


@admin.register(ExportRequest)
class ExportRequestAdmin(ViewOnlyMixin, RefusePANSearchMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("number", "recipient", "state_now", "purpose", "ticket", "requested")
    list_filter = ("state", "purpose", "created_at")
    list_select_related = ("requester",)
    search_fields = ("=ticket", "=requester__username", "=key_thumbprint")
    search_help_text = _("Ticket, requester or thumbprint")
    show_full_result_count = False
    list_per_page = 100
    actions = None

    class Media:
        css = {"all": ["vault/admin.css"]}

    # What `vault_export` is told.
    @admin.display(description=_("number"), ordering="pk")
    def number(self, asked: ExportRequest) -> int:
        return asked.pk

    @admin.display(description=_("requested"), ordering="created_at")
    def requested(self, asked: ExportRequest) -> str:
        return f"{asked.requester}, {date_format(localtime(asked.created_at), 'DATETIME_FORMAT')}"

    @admin.display(description=_("state"), ordering="state")
    def state_now(self, asked: ExportRequest) -> str:
        return _state(asked)

    # Django's own check lets every superuser in.
    def has_view_permission(self, request: HttpRequest, obj: ExportRequest | None = None) -> bool:
        rights = policy.rights_of(request.user)
        return bool(rights & {Right.REQUEST_EXPORT, Right.APPROVE_EXPORT, Right.VIEW_EXPORTS})

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExportRequest]:
        return exports.visible_to(request.user)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("ask/", wrap(self.ask_view), name="vault_exportrequest_ask"),
            path("<int:pk>/approve/", wrap(self.approve_view), name="vault_exportrequest_approve"),
            path("<int:pk>/refuse/", wrap(self.refuse_view), name="vault_exportrequest_refuse"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        own = {"title": _("Export requests"), "may_ask": policy.is_granted(request.user, Right.REQUEST_EXPORT)}
        return super().changelist_view(request, {**own, **(extra_context or {})})

    @method_decorator(require_safe)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What was asked, who decided what, and what can be done now."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if (pk := whole_number(object_id)) is None:
            raise Http404
        return self._detail(request, self._visible(request, pk))

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """There is none but the audit log's."""
        raise Http404

    # --- Asking ----------------------------------------------------------------------------------------------------

    @method_decorator(_READ)
    @method_decorator(sensitive_post_parameters("key", "key_file"))
    @sensitive_variables()
    def ask_view(self, request: HttpRequest) -> HttpResponse:
        """The form; what is pasted there by mistake is neither kept nor shown again."""
        if not policy.is_granted(request.user, Right.REQUEST_EXPORT):
            if request.method == "POST":
                refusal = Refusal.NO_RIGHT.value
                record("export.request", actor=request.user, outcome="denied", refusal=refusal)
            raise PermissionDenied
        is_sent = request.method == "POST"
        form = ExportForm(*([request.POST, request.FILES] if is_sent else []), actor=request.user)
        refused: VaultError | None = None
        if is_sent and form.is_valid():
            try:
                made = exports.request(actor=request.user, **form.asked())
            except VaultError as error:
                refused = error
            else:
                messages.success(request, _ASKED)
                return HttpResponseRedirect(_address(made))
        template = "admin/vault/exportrequest/ask.html"
        return page(self, request, template, title=_("Ask for an export"), refused=refused, form=form)

    # --- Deciding --------------------------------------------------------------------------------------------------

    @method_decorator(_READ)
    def approve_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Approve in a POST, after a fresh sign-in. A GET leads to the request: it is the way back from that."""
        asked = self._visible(request, pk)
        if request.method != "POST":
            return HttpResponseRedirect(_address(asked))
        form = DecisionForm(request.POST, needs_note=False)
        if not form.is_valid():
            return self._detail(request, asked, form=form)
        try:
            detour = exports.confirm_identity(asked, request)
            if detour is not None:
                return detour
            exports.approve(asked, actor=request.user, note=form.cleaned_data["note"])
        except VaultError as error:
            return self._detail(request, asked, form=form, refused=error)
        messages.success(request, _BOTH if asked.state == _State.APPROVED else _ONE)
        return HttpResponseRedirect(_address(asked))

    @method_decorator(require_POST)
    def refuse_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        asked = self._visible(request, pk)
        form = DecisionForm(request.POST)
        if not form.is_valid():
            return self._detail(request, asked, form=form)
        try:
            exports.refuse(asked, actor=request.user, note=form.cleaned_data["note"])
        except VaultError as error:
            return self._detail(request, asked, form=form, refused=error)
        messages.success(request, _REFUSED)
        return HttpResponseRedirect(_address(asked))

    # --- The page of one request -----------------------------------------------------------------------------------

    def _visible(self, request: HttpRequest, pk: int) -> ExportRequest:
        return get_object_or_404(self.get_queryset(request).select_related("requester"), pk=pk)

    def _detail(
        self,
        request: HttpRequest,
        asked: ExportRequest,
        *,
        refused: VaultError | None = None,
        form: DecisionForm | None = None,
    ) -> HttpResponse:
        return page(
            self,
            request,
            "admin/vault/exportrequest/detail.html",
            title=_("Export request"),
            refused=refused,
            asked=asked,
            state=_state(asked),
            key_kind=_key_kind(asked),
            approvals=asked.approvals.select_related("approver"),
            acts={act.value for act in exports.acts(asked, actor=request.user)},
            form=form or DecisionForm(needs_note=False),
        )


def _address(asked: ExportRequest) -> str:
    return reverse("admin:vault_exportrequest_change", args=[asked.pk])


def _state(asked: ExportRequest) -> str:
    is_over = asked.state not in {_State.DONE, _State.REFUSED} and asked.has_expired()
    return str(_State.EXPIRED.label if is_over else asked.get_state_display())


def _key_kind(asked: ExportRequest) -> str:
    """Of the key itself, not of what somebody says about it."""
    try:
        key = RecipientKey.parse(asked.public_key)
    except InvalidRecipientKey:
        return str(_("not a key"))
    return key.kind if key.thumbprint == asked.key_thumbprint else str(_("not the key of this thumbprint"))
