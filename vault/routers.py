"""Which database holds what: audit events have a connection of their own."""

from __future__ import annotations

from typing import Any, Final

from django.db import connections
from django.db.models import Model

from vault.conf import vault_config

_AUDIT_EVENT: Final = ("vault", "auditevent")
_PLACE: Final = ("ENGINE", "HOST", "PORT", "NAME")


class AuditRouter:
    """Sends audit events to `settings.VAULT["AUDIT_DATABASE"]`, and nothing else.

    That connection may lead to the database of everything else, with a user who can add rows and not change them. Then
    the table is made where the others are, as migrations are counted per database and not per connection.
    """

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return vault_config().AUDIT_DATABASE if _is_audit_event(model) else None

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        return self.db_for_read(model)

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool | None:
        alias = vault_config().AUDIT_DATABASE
        if alias not in connections or _is_one_database(alias):
            return None
        is_audit_event = (app_label, model_name) == _AUDIT_EVENT
        if db == alias:
            return is_audit_event
        return False if is_audit_event else None


def _is_audit_event(model: type[Model]) -> bool:
    return (model._meta.app_label, model._meta.model_name) == _AUDIT_EVENT


def _is_one_database(alias: str) -> bool:
    audit, default = (connections[each].settings_dict for each in (alias, "default"))
    is_renamed_later: bool = audit["TEST"]["MIRROR"] == "default"
    return is_renamed_later or all(audit[key] == default[key] for key in _PLACE)
