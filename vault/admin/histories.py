"""What happened to one thing, from wherever that is kept, as one page in the admin: when, who and what."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from vault.admin.pages import page
from vault.redaction import redact

_TITLE: Final = _("History")
_MOST: Final = 200


class Entry(NamedTuple):
    """One line of a history. `address` leads to what it was, for those who may go there."""

    time: datetime
    who: str
    what: Any
    address: str = ""


def log_entries(row: Model) -> list[LogEntry]:
    """What the admin noted of changes to a row; the newest of very many."""
    kept = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(row), object_id=str(row.pk))
    return list(kept.select_related("user").order_by("-action_time", "-pk")[:_MOST])


def entry_of(noted: LogEntry) -> Entry:
    """A note of the admin as a line, masked: what was refused in a form may have come into the table past it."""
    return Entry(noted.action_time, noted.user.get_username(), redact(noted.get_change_message()))


def history_page(
    admin: ModelAdmin[Any], request: HttpRequest, row: Model, entries: Iterable[Entry], **context: Any
) -> HttpResponse:
    """The oldest first, as Django's own history."""
    template, ordered = "admin/vault/history.html", sorted(entries, key=lambda entry: entry.time)
    return page(admin, request, template, title=_TITLE, row=row, entries=ordered, **context)
