"""The migration operation that drops the old column, but only when nothing is lost with it."""

from __future__ import annotations

from typing import Any, Final

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState

from vault.adoption.columns import Columns
from vault.adoption.runs import Mode, run

_LEFT: Final = "Nothing was dropped: rows are not adopted, or differ. vault_adopt --check lists them."


class NotAdopted(Exception):
    """The old column still holds what the new one does not; it was not dropped."""

    def __init__(self) -> None:
        super().__init__(_LEFT)


class RemoveAdoptedField(migrations.RemoveField):
    """`RemoveField` for a column of card numbers: it first checks that every one of them is in the `PANField` `to`.

    The check is that of `vault_adopt --check`. It raises `NotAdopted` or `VaultError`, and then nothing is dropped. A
    table without rows asks no vault, so that a new database needs none.
    """

    def __init__(self, model_name: str, name: str, to: str) -> None:
        self.to = to
        super().__init__(model_name, name)

    def deconstruct(self) -> Any:
        name, args, options = super().deconstruct()
        return name, args, {**options, "to": self.to}

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        alias = schema_editor.connection.alias
        # `sqlmigrate` shows what would be done and does not look at rows.
        if self.allow_migrate_model(alias, model) and not schema_editor.collect_sql:
            columns = Columns(model, self.name, self.to, alias=alias)
            if columns.read(after=None, limit=1, waiting=False) and run(columns, Mode.CHECK).left:
                raise NotAdopted
        super().database_forwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return f"{super().describe()}, adopted into {self.to}"
