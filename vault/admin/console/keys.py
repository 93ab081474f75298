"""How old the keys are, and what the long runs over the vault found last."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from vault import policy, retention
from vault.admin.console import Check, Panel, Piece, State
from vault.admin.console.charts import Gauge, GaugeChart
from vault.conf import vault_config
from vault.fsck.items import OPERATION as FSCK
from vault.models import Card, Key, Run
from vault.policy import Right

_IN_USE: Final = (Key.State.ACTIVE, Key.State.NEXT)
# The list begins with the first rotation, when these keys were in use already.
_FIRST: Final = 1
_SINCE_FIRST_CARD: Final = _(
    "The age of a first key is counted from the first card. What KMS knows, vault_keys asks it for."
)


def keys(request: HttpRequest) -> Iterator[Piece]:
    """For those who manage keys or may see them."""
    if not policy.rights_of(request.user) & {Right.MANAGE_KEYS, Right.VIEW_KEYS}:
        return
    first_card = Card.objects.order_by("created_at").values_list("created_at", flat=True).first()
    listed = list(Key.objects.all()) or [Key(purpose=purpose, number=_FIRST) for purpose in Key.Purpose.values]
    in_use = [key for key in listed if key.pk is None or key.state in _IN_USE]
    gauges = [_gauge(key, began) for key in in_use if (began := _began(key, first_card))]
    note = _SINCE_FIRST_CARD if any(key.number == _FIRST for key in in_use) else ""
    chart, address = GaugeChart(gauges, note), reverse("admin:vault_key_changelist")
    yield Panel(key="keys", title=_("Age of the keys in use"), chart=chart, address=address)
    yield _verified()
    yield _checked()


def _began(key: Key, first_card: datetime | None) -> datetime | None:
    """When a key was first used, as far as SQL knows; None for those of a vault that was never rotated, nor used."""
    if key.number != _FIRST:
        return key.created_at
    noted = None if key.pk is None else key.created_at
    return min((moment for moment in (noted, first_card) if moment), default=None)


def _gauge(key: Key, began: datetime) -> Gauge:
    days = vault_config().CRYPTOPERIOD_DAYS
    label = _("%(purpose)s %(number)d") % {"purpose": key.get_purpose_display(), "number": key.number}
    until = timezone.localdate(began) + timedelta(days=days)
    return Gauge(label, (timezone.localdate() - timezone.localdate(began)).days, days, until)


def _verified() -> Check:
    """What /health/retention answers, and when that was noted."""
    run = _newest(retention.VERIFICATION, state=Run.State.DONE)
    since = retention.verification_overdue_since()
    return Check(
        label=_("Verified that no card is kept too long"),
        state=State.ATTENTION if since else State.GOOD if run else State.NEVER,
        at=run.started_at if run else None,
        said=_("Overdue. Run vault_purge --verify.") if since else "" if run else _("Run vault_purge --verify."),
        address=_listed(retention.VERIFICATION),
    )


def _checked() -> Check:
    """The newest run of `vault_fsck`, whatever became of it."""
    run, label, address = _newest(FSCK), _("Both stores compared"), _listed(FSCK)
    if run is None:
        return Check(label=label, state=State.NEVER, said=_("Run vault_fsck."), address=address)
    if run.state == Run.State.DONE:
        return Check(label=label, state=State.GOOD, at=run.started_at, address=address)
    said = run.get_state_display()
    return Check(label=label, state=State.ATTENTION, at=run.started_at, said=said, address=address)


def _newest(operation: str, **states: str) -> Run | None:
    return Run.objects.filter(operation=operation, **states).order_by("-started_at", "-pk").first()


def _listed(operation: str) -> str:
    return f"{reverse('admin:vault_run_changelist')}?{urlencode({'operation': operation})}"
