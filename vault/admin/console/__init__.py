"""The start page of the admin: what staff see first, of all that they may see.

An app brings sources: each is given the request, asks for the rights of its user, and yields what it has to show. The
project says which sources there are, and in which order. No source asks KMS or DynamoDB: the page is there when they
are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from vault.admin.console.charts import Chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many there are, and where they are listed.

    :param value: None if it could not be found out
    :param is_work: that somebody should look, as soon as there is one
    """

    label: Any
    value: int | None
    address: str
    is_work: bool = False

    @property
    def text(self) -> str:
        return "–" if self.value is None else number_format(self.value, force_grouping=True)

    @property
    def is_pressing(self) -> bool:
        return self.is_work and self.value != 0


class State(StrEnum):
    """How something is, as far as was noted."""

    GOOD = "good"
    ATTENTION = "attention"
    NEVER = "never"

    @property
    def label(self) -> Any:
        return _STATES[self]


_STATES: dict[State, Any] = {
    State.GOOD: _("Good"),
    State.ATTENTION: _("Look at this"),
    State.NEVER: _("Not yet"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The last known state of something: nothing is tried now.

    :param at: when it was last so; None if it never was
    :param said: one sentence more
    """

    label: Any
    state: State
    at: datetime | None = None
    said: Any = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A chart under a heading, or the reason why there is none.

    :param key: names it in the page
    :param address: where what was counted is listed
    """

    key: str
    title: Any
    chart: Chart | None = None
    missing: Any = ""
    address: str = ""


Piece = Count | Check | Panel
Source = Callable[[HttpRequest], Iterable[Piece]]


@dataclass(slots=True)
class Console:
    """What there is to see for one person."""

    counts: list[Count] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.counts or self.checks or self.panels)


def gather(request: HttpRequest, sources: Iterable[Source]) -> Console:
    """Ask each source in turn. What a user may not see, is not asked for."""
    console = Console()
    for source in sources:
        for piece in source(request):
            if isinstance(piece, Count):
                console.counts.append(piece)
            elif isinstance(piece, Check):
                console.checks.append(piece)
            else:
                console.panels.append(piece)
    return console
