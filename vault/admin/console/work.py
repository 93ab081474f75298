"""What waits for somebody: requests to decide, incidents, and people who are locked out of reading."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from vault import exports, policy, reveals
from vault.admin.console import Count, Piece
from vault.exceptions import AuditUnavailable
from vault.models import ExportRequest, Incident
from vault.policy import Right


def work(request: HttpRequest) -> Iterator[Piece]:
    """For each kind of work, those who may see its list; of requests they see as many as there."""
    rights = policy.rights_of(request.user)
    if rights & {Right.DETOKENIZE, Right.APPROVE, Right.VIEW_REVEALS}:
        yield Count(
            label=_("Reveals waiting for approval"),
            value=reveals.visible_to(request.user).filter(reveals.undecided()).count(),
            address=_listed("revealrequest", state="waiting"),
            is_work=True,
        )
    if Right.APPROVE in rights:
        yield Count(
            label=_("Locked readers"),
            value=_locked(),
            address=reverse("admin:vault_revealrequest_locked"),
            is_work=True,
        )
    if rights & {Right.REQUEST_EXPORT, Right.APPROVE_EXPORT, Right.VIEW_EXPORTS}:
        now = timezone.now().replace(microsecond=0)
        state = ExportRequest.State.PENDING
        yield Count(
            label=_("Exports waiting for approval"),
            value=exports.visible_to(request.user).filter(state=state, expires_at__gt=now).count(),
            address=_listed("exportrequest", state__exact=state, expires_at__gt=now.isoformat()),
            is_work=True,
        )
    if rights & {Right.VIEW_INCIDENTS, Right.WORK_INCIDENTS}:
        yield Count(
            label=_("Open incidents"),
            value=Incident.objects.filter(state=Incident.State.OPEN).count(),
            address=_listed("incident", state__exact=Incident.State.OPEN),
            is_work=True,
        )


def _locked() -> int | None:
    """None if the audit log, which has the locks, cannot be read."""
    try:
        return len(policy.locked_readers())
    except AuditUnavailable:
        return None


def _listed(model: str, **filters: str) -> str:
    return f"{reverse(f'admin:vault_{model}_changelist')}?{urlencode(filters)}"
