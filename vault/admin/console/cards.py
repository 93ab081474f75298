"""Of cards: how many are on file, of which brands, and which are kept too long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.db.models import Count as Number
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from vault import policy, retention
from vault.admin.console import Check, Count, Panel, Piece, State
from vault.admin.console.charts import CategoryChart
from vault.models import Card
from vault.pan import Brand
from vault.policy import Right

_ON_FILE: Final = Card.Status.ACTIVE
_MOST_BRANDS: Final = len(Brand)


def cards(request: HttpRequest) -> Iterator[Piece]:
    """For those who may view cards, by name or through a group."""
    if not policy.is_granted(request.user, Right.VIEW_CARDS):
        return
    counted = Card.objects.filter(status=_ON_FILE).order_by().values_list("brand").annotate(number=Number("*"))
    by_brand = dict(counted)
    yield Count(label=_("Cards on file"), value=sum(by_brand.values()), address=_listed(status__exact=_ON_FILE))
    yield Count(
        label=_("Cards to be erased"),
        value=retention.due(timezone.localdate()).count(),
        # Without those under legal hold, which are kept too long for a reason.
        address=_listed(keeping="overdue", hold__exact=""),
        is_work=True,
    )
    rows = [
        (Brand(brand).label, count, _listed(status__exact=_ON_FILE, brand__exact=brand))
        for brand, count in by_brand.items()
    ]
    chart = CategoryChart((_("Brand"), _("Cards")), rows, rest=_("Others"), most=_MOST_BRANDS)
    yield Panel(key="brands", title=_("Cards on file by brand"), chart=chart, address=_listed(status__exact=_ON_FILE))
    newest = Card.objects.order_by("-created_at").values_list("created_at", flat=True).first()
    yield Check(
        label=_("Last new card"),
        state=State.GOOD if newest else State.NEVER,
        at=newest,
        address=_listed(),
    )


def _listed(**filters: str) -> str:
    address = reverse("admin:vault_card_changelist")
    return f"{address}?{urlencode(filters)}" if filters else address
