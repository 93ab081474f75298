"""Certificates of erasure in the admin: read, proved by asking KMS, and taken along as JSON."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from vault import evidence, policy
from vault.admin.dates import DatesMixin
from vault.admin.lists import RefusePANSearchMixin, ViewOnlyMixin
from vault.admin.pages import page
from vault.exceptions import RecordTampered, VaultError
from vault.models import ErasureCertificate
from vault.policy import Right

_VALID = _("The signature is valid: KMS vouches for every word of it.")
_INVALID = _("This certificate is not what was signed. An alarm was raised.")


@admin.register(ErasureCertificate)
class ErasureCertificateAdmin(ViewOnlyMixin, RefusePANSearchMixin, DatesMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    list_display = ("number", "card", "issued")
    list_filter = ("issued_at",)
    list_select_related = ("card",)
    search_fields = ("=number", "=card__token", "=card__last4")
    search_help_text = _("Number of the certificate, token or last four digits")
    date_hierarchy = "issued_at"
    show_full_result_count = False
    list_per_page = 100
    actions = None

    @admin.display(description=_("issued (UTC)"), ordering="issued_at")
    def issued(self, certificate: ErasureCertificate) -> datetime:
        return certificate.issued_at

    # Django's own check lets every superuser in.
    def has_view_permission(self, request: HttpRequest, obj: ErasureCertificate | None = None) -> bool:
        return policy.is_granted(request.user, Right.VIEW_CERTIFICATES)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("<str:number>/check/", wrap(self.check_view), name="vault_erasurecertificate_check"),
            path("<str:number>/download/", wrap(self.download_view), name="vault_erasurecertificate_download"),
        ]
        return [*own, *super().get_urls()]

    @method_decorator(require_safe)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What was erased, when, by whom and why, and what proves it."""
        self._refuse_stranger(request)
        certificate = self.get_object(request, unquote(object_id))
        if certificate is None:
            raise Http404
        return self._detail(request, certificate)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """There is none but the audit log's."""
        raise Http404

    @method_decorator(require_POST)
    def check_view(self, request: HttpRequest, number: str) -> HttpResponse:
        """Ask KMS. A POST, as it is recorded and costs a call."""
        self._refuse_stranger(request)
        certificate = get_object_or_404(ErasureCertificate.objects.select_related("card"), number=number)
        try:
            evidence.check(certificate, actor=request.user)
        except RecordTampered:
            return self._detail(request, certificate, refusal=_INVALID)
        except VaultError as error:
            return self._detail(request, certificate, refused=error)
        return self._detail(request, certificate, verdict=_VALID)

    @method_decorator(require_safe)
    def download_view(self, request: HttpRequest, number: str) -> HttpResponse:
        """The JSON that `vault_certificate verify` takes."""
        self._refuse_stranger(request)
        certificate = get_object_or_404(ErasureCertificate.objects.select_related("card"), number=number)
        answer = JsonResponse(evidence.document(certificate), json_dumps_params={"indent": 2})
        answer["Content-Disposition"] = f'attachment; filename="{certificate.number}.json"'
        return answer

    def _refuse_stranger(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _detail(
        self, request: HttpRequest, certificate: ErasureCertificate, *, refused: VaultError | None = None, **said: Any
    ) -> HttpResponse:
        return page(
            self,
            request,
            "admin/vault/erasurecertificate/detail.html",
            title=_("Erasure certificate"),
            refused=refused,
            certificate=certificate,
            facts=_facts(certificate),
            **said,
        )


def _facts(certificate: ErasureCertificate) -> dict[str, Any]:
    """Who, because of what and why, as the signed text says; nothing if somebody made it unreadable."""
    try:
        facts = json.loads(certificate.content)
    except ValueError:
        return {}
    if not isinstance(facts, dict):
        return {}
    return {"by": facts.get("actor_name") or facts.get("actor"), **facts}
