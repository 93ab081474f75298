"""The old column and the new one: which they are, and every statement that reads or writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import connections, models, transaction
from django.db.models import ExpressionWrapper, F

from vault.adoption.rows import Row
from vault.fields import PANField, PANQuerySet, StoredCard
from vault.models import Card

_FORM: Final = "Name the old column as app.Model.field."
_NO_MODEL: Final = "There is no such model."
_NO_FIELD: Final = "The model has no such field."
_NO_DATABASE: Final = "There is no such database in the settings."
_NO_TEXT: Final = "The old field has to be a CharField or a TextField."
_IS_KEY: Final = "A primary key of card numbers cannot be adopted: other tables refer to it."
_NO_PAN_FIELD: Final = "The new field has to be a PANField."
_SAME: Final = "The old field and the new one are the same."
_NO_TARGET: Final = "The model has no PANField. Add one that allows null."
_TARGETS: Final = "The model has more than one PANField. Name the new one with --to."
_NOT_NULLABLE: Final = "The new field has to allow null until the adoption is done."
_NOT_WIPEABLE: Final = "The old field is unique and not nullable, so that it cannot be empty in two rows."


class AdoptionRefused(ValueError):
    """These columns cannot be adopted; the message is a constant that says why."""


class Columns:
    """A text column with card numbers and the `PANField` beside it, in one database."""

    def __init__(self, model: type[models.Model], old: str, new: str | None = None, *, alias: str = "default") -> None:
        """Raises `AdoptionRefused` for fields that are not there or not fit."""
        self.model = model
        self.alias = alias
        self.old = _field(model, old)
        self.new = _target(model, new)
        if alias not in connections:
            raise AdoptionRefused(_NO_DATABASE)
        if self.old == self.new:
            raise AdoptionRefused(_SAME)
        if not isinstance(self.old, models.CharField | models.TextField):
            raise AdoptionRefused(_NO_TEXT)
        if self.old.primary_key:
            raise AdoptionRefused(_IS_KEY)

    @classmethod
    def named(cls, path: str, new: str | None = None, *, alias: str = "default") -> Columns:
        """The columns of `app.Model.field`. Raises `AdoptionRefused`."""
        model, _, old = path.rpartition(".")
        if model.count(".") != 1:
            raise AdoptionRefused(_FORM)
        try:
            return cls(apps.get_model(model), old, new, alias=alias)
        except LookupError:
            raise AdoptionRefused(_NO_MODEL) from None

    def __str__(self) -> str:
        return f"{self.model._meta.label}.{self.old.name}"

    def require_nullable(self) -> None:
        """Raises `AdoptionRefused` unless the new column can say that a row is left."""
        if not self.new.null:
            raise AdoptionRefused(_NOT_NULLABLE)

    def require_wipeable(self) -> None:
        """Raises `AdoptionRefused` unless the old column can be empty in every row."""
        if self.old.unique and not self.old.null:
            raise AdoptionRefused(_NOT_WIPEABLE)

    def count(self, *, waiting: bool) -> int:
        return self._rows(waiting=waiting).count()

    def read(self, *, after: Any, limit: int, waiting: bool) -> list[Row]:
        """The next rows by primary key; `waiting` leaves out those whose new column is set."""
        rows = self._rows(waiting=waiting).order_by("pk")
        return self._read(rows if after is None else rows.filter(pk__gt=after), limit)

    @contextmanager
    def locked(self, rows: Iterable[Row]) -> Iterator[dict[Any, Row]]:
        """A transaction in which these rows, read anew, stay as they are; a row that was deleted is not among them.

        So what was read before can be compared with what is there when it is written, without a card number in the
        SQL. SQLite has no locks on rows; it refuses the write if anybody wrote in between.
        """
        keys = [row.pk for row in rows]
        with transaction.atomic(using=self.alias):
            found = self._rows().filter(pk__in=keys).order_by("pk").select_for_update()
            yield {row.pk: row for row in self._read(found)}

    def fill(self, row: Row, card: Card) -> None:
        """Write a card into the new column of a row, with brand and last four beside it."""
        self._rows().filter(pk=row.pk).update(**{self.new.name: StoredCard.of(card)})

    def wipe(self, rows: Iterable[Row]) -> None:
        """Empty the old column of these rows."""
        empty = None if self.old.null else ""
        self._rows().filter(pk__in=[row.pk for row in rows]).update(**{self.old.name: empty})

    def _rows(self, *, waiting: bool = False) -> PANQuerySet:
        """Every row: a manager of the model's own might hide some."""
        rows = PANQuerySet(self.model, using=self.alias)
        return rows.filter(**{f"{self.new.name}__isnull": True}) if waiting else rows

    def _read(self, rows: PANQuerySet, limit: int | None = None) -> list[Row]:
        # As plain text: a column that holds something else than a token is a finding here, and no error.
        token = ExpressionWrapper(F(self.new.name), output_field=models.CharField())
        return [Row.of(*values) for values in rows.values_list("pk", self.old.name, token)[:limit]]


def _field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        raise AdoptionRefused(_NO_FIELD) from None
    if not isinstance(field, models.Field):
        raise AdoptionRefused(_NO_FIELD)
    return field


def _target(model: type[models.Model], name: str | None) -> PANField:
    if name:
        field = _field(model, name)
        if not isinstance(field, PANField):
            raise AdoptionRefused(_NO_PAN_FIELD)
        return field
    fields = [field for field in model._meta.concrete_fields if isinstance(field, PANField)]
    if len(fields) != 1:
        raise AdoptionRefused(_TARGETS if fields else _NO_TARGET)
    return fields[0]
