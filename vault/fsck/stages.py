"""What is walked through, page by page: each page says what it found, and where the next one begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from django.db import models

from vault.backend import current_vault
from vault.fsck.findings import Code, Finding
from vault.fsck.items import check_items
from vault.fsck.references import Column
from vault.fsck.rows import check_changes, check_column, check_rows
from vault.models import Card, ItemChange

_ROWS_PER_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Page:
    """What a page had: findings, how many things were looked at, and the key after which the next page begins."""

    findings: list[Finding]
    seen: int
    last: str


class Stage(Protocol):
    """One way through one of the stores."""

    @property
    def name(self) -> str: ...
    @property
    def counted_as(self) -> str: ...
    def page(self, after: str) -> Page: ...


@dataclass(frozen=True, slots=True)
class ItemStage:
    """The items of one segment of the table.

    :param damaged: collects fingerprint items that failed their check, until it is known whether a card claims them
    """

    segment: int
    total_segments: int
    opens: bool
    damaged: list[str] = field(default_factory=list)
    counted_as: str = "items"

    @property
    def name(self) -> str:
        return f"items {self.segment}/{self.total_segments}"

    def page(self, after: str) -> Page:
        page = current_vault().store.scan(segment=self.segment, total_segments=self.total_segments, after=after)
        findings = check_items(page.items, opens=self.opens)
        nameless = [each for each in findings if each.code is Code.FINGERPRINT_DAMAGED and not each.token]
        self.damaged.extend(each.fingerprint for each in nameless)
        return Page([each for each in findings if each not in nameless], len(page.items), page.last)


@dataclass(frozen=True, slots=True)
class RowStage:
    """The rows of all cards."""

    columns: Sequence[Column]
    name: str = "rows"
    counted_as: str = "rows"

    def page(self, after: str) -> Page:
        tokens = _keys(Card.objects.all(), after)
        return Page(check_rows(tokens, self.columns), len(tokens), _last(tokens))


@dataclass(frozen=True, slots=True)
class ChangeStage:
    """The claims on items that are being written anew."""

    name: str = "changes"
    counted_as: str = "changes"

    def page(self, after: str) -> Page:
        tokens = _keys(ItemChange.objects.all(), after)
        return Page(check_changes(tokens), len(tokens), _last(tokens))


@dataclass(frozen=True, slots=True)
class ColumnStage:
    """The rows that refer to cards in one column."""

    column: Column
    counted_as: str = "references"

    @property
    def name(self) -> str:
        return f"{self.column} in {self.column.alias}"

    def page(self, after: str) -> Page:
        keys = _keys(self.column.rows(), after)
        return Page(check_column(self.column, keys), len(keys), _last(keys))


def _keys(rows: models.QuerySet[Any], after: str) -> list[str]:
    """The primary keys of the next rows, as text."""
    rows = rows.filter(pk__gt=after) if after else rows
    return [str(key) for key in rows.order_by("pk").values_list("pk", flat=True)[:_ROWS_PER_PAGE]]


def _last(keys: Sequence[str]) -> str:
    return keys[-1] if len(keys) == _ROWS_PER_PAGE else ""
