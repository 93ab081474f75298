"""Which columns of this project refer to cards: every `PANField` of every installed model, wherever its table is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, models, router
from django.db.models.functions import Cast

from vault.conf import vault_config
from vault.fields import PANField


@dataclass(frozen=True, slots=True)
class Column:
    """One column with tokens, in one database."""

    model: type[models.Model]
    field: PANField
    alias: str

    def __str__(self) -> str:
        return f"{self.model._meta.label}.{self.field.name}"

    def rows(self) -> models.QuerySet[Any]:
        """Every row: a manager of the model's own might hide some."""
        return models.QuerySet(self.model).using(self.alias).exclude(**{f"{self.field.name}__isnull": True})

    def read(self, keys: Sequence[str]) -> Iterator[Copy]:
        """What rows say of their cards. The token is text as it is in the table, and may be none."""
        copies = {"brand": self.field.brand_field, "last4": self.field.last4_field}
        wanted = [name for name in copies.values() if name]
        # Past the field itself, which refuses to read what is no token.
        text = Cast(self.field.name, models.CharField(max_length=255))
        for row in self.rows().filter(pk__in=keys).annotate(vault_text=text).values("pk", "vault_text", *wanted):
            said = {name: str(row[column]) for name, column in copies.items() if column}
            yield Copy(Reference(self, str(row["pk"])), row["vault_text"], said)

    def write(self, key: str, token: str, right: dict[str, str]) -> int:
        """Put brand and last four right where the row still refers to this card; how many rows that were."""
        columns = {"brand": self.field.brand_field, "last4": self.field.last4_field}
        values = {column: right[name] for name, column in columns.items() if column}
        return self.rows().filter(**{"pk": key, self.field.name: token}).update(**values)


@dataclass(frozen=True, slots=True)
class Reference:
    """A row that refers to a card."""

    column: Column
    key: str

    def __str__(self) -> str:
        return f"{self.column} {self.key}"


@dataclass(frozen=True, slots=True)
class Copy:
    """What a row says of the card that it refers to."""

    reference: Reference
    token: str
    said: dict[str, str]


def columns() -> list[Column]:
    """Every column with tokens, in every database that has its table."""
    # The connection of the audit log may lead to the database of another one, with a user who sees one table.
    aliases = [alias for alias in connections if alias == DEFAULT_DB_ALIAS or alias != vault_config().AUDIT_DATABASE]
    # Without a router, Django holds every model to be in every database.
    tables = {alias: set(connections[alias].introspection.table_names()) for alias in aliases}
    return [
        Column(model, field, alias)
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy
        for field in model._meta.local_concrete_fields
        if isinstance(field, PANField)
        for alias in aliases
        if router.allow_migrate_model(alias, model) and model._meta.db_table in tables[alias]
    ]


def referenced(tokens: Collection[str], among: Sequence[Column]) -> set[str]:
    """Those tokens that some row refers to, read now."""
    found: set[str] = set()
    for column in among:
        if left := [token for token in tokens if token not in found]:
            name = column.field.name
            found |= {
                str(token) for token in column.rows().filter(**{f"{name}__in": left}).values_list(name, flat=True)
            }
    return found
