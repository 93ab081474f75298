"""Every text column of every table of each database, whether a model knows the table or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from vault.redaction import find_pans, redact
from vault.scanning.files import decoded
from vault.scanning.pages import PLACE_LENGTH, SOURCE_LENGTH, Page, Sighting, shown

# Whatever else a foreign table has is read as text.
_NO_TEXT: Final = frozenset(
    f"{name}Field"
    for name in (
        *("Auto", "BigAuto", "SmallAuto", "Integer", "BigInteger", "SmallInteger", "Float", "Decimal", "Boolean"),
        *("PositiveInteger", "PositiveBigInteger", "PositiveSmallInteger", "Date", "DateTime", "Time", "Duration"),
        "UUID",
    )
)
_MAX_ROWS: Final = 2_000
# Few rows first: nobody knows yet how long the texts are.
_FIRST_ROWS: Final = 100
_PAGE_CHARACTERS: Final = 4 * 1024 * 1024
_KEY_LENGTH: Final = 80
_STREAMED_ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class Table:
    """The text columns of one table, read page by page. Reading locks nothing: each page is a SELECT of its own."""

    alias: str
    table: str
    columns: tuple[str, ...]
    # Empty where rows cannot be told apart.
    key: tuple[str, ...]

    @property
    def name(self) -> str:
        return shown(f"{self.alias}.{self.table}", SOURCE_LENGTH)

    def source_of(self, column: str) -> str:
        """What an incident of a column is called."""
        return shown(f"{self.alias}.{self.table}.{column}", SOURCE_LENGTH)

    def pages(self, position: dict[str, Any]) -> Iterator[Page]:
        """Go by primary key. Rows without one, or with one that SQL must not be sent, are streamed and counted."""
        after: list[int | str] | None = position.get("after")
        if self.key and "skip" not in position:
            limit = _FIRST_ROWS
            while True:
                rows = self._read(after, limit)
                if len(rows) < limit:
                    yield self._page(rows, {"is_done": True})
                    return
                kept, last = self._up_to_quiet(rows)
                if last is None:
                    break
                after = last
                yield self._page(kept, {"after": after})
                size = sum(len(value) for row in kept for value in row if isinstance(value, str | bytes))
                limit = min(max(len(kept) * _PAGE_CHARACTERS // max(size, 1), 1), limit * 2, _MAX_ROWS)
        yield from self._streamed(after, position.get("skip", 0))

    def holds_pan(self, column: str, keys: Sequence[list[int | str]]) -> set[tuple[int | str, ...]]:
        """Of the rows with these keys, those in whose column a card number still stands."""
        quote = connections[self.alias].ops.quote_name
        one = " AND ".join(f"{quote(name)} = %s" for name in self.key)
        names = ", ".join(map(quote, (*self.key, column)))
        statement = f"SELECT {names} FROM {quote(self.table)} WHERE {' OR '.join([f'({one})'] * len(keys))}"  # noqa: S608 - quoted names
        with connections[self.alias].cursor() as cursor:
            cursor.execute(statement, [value for key in keys for value in key])
            rows = cursor.fetchall()
        return {tuple(quiet) for *key, value in rows if (quiet := _quiet(key)) and find_pans(_text(value))}

    def _read(self, after: list[int | str] | None, limit: int) -> list[tuple[Any, ...]]:
        statement, parameters = self._select(after)
        with connections[self.alias].cursor() as cursor:
            cursor.execute(f"{statement} LIMIT {limit:d}", parameters)
            return list(cursor.fetchall())

    def _select(self, after: list[int | str] | None) -> tuple[str, list[int | str]]:
        quote = connections[self.alias].ops.quote_name
        statement = f"SELECT {', '.join(map(quote, (*self.key, *self.columns)))} FROM {quote(self.table)}"  # noqa: S608 - quoted names
        parameters: list[int | str] = []
        if after:
            # Spelled out, because MariaDB reads the whole index for (a, b) > (x, y).
            behind = []
            for depth, name in enumerate(self.key):
                equal = [f"{quote(before)} = %s" for before in self.key[:depth]]
                behind.append(" AND ".join([*equal, f"{quote(name)} > %s"]))
                parameters += after[: depth + 1]
            statement += " WHERE " + " OR ".join(f"({each})" for each in behind)
        if self.key:
            statement += f" ORDER BY {', '.join(map(quote, self.key))}"
        return statement, parameters

    def _up_to_quiet(self, rows: list[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], list[int | str] | None]:
        for count in range(len(rows), 0, -1):
            if quiet := _quiet(rows[count - 1][: len(self.key)]):
                return rows[:count], quiet
        return [], None

    def _streamed(self, after: list[int | str] | None, skip: int) -> Iterator[Page]:
        statement, parameters = self._select(after)
        with _streaming(connections[self.alias]) as connection, connection.chunked_cursor() as cursor:
            cursor.execute(statement, parameters)
            seen = 0
            while rows := cursor.fetchmany(_STREAMED_ROWS):
                seen += len(rows)
                if seen > skip:
                    yield self._page(rows[max(skip - seen, -len(rows)) :], {"after": after, "skip": seen})
                    skip = seen

    def _page(self, rows: Sequence[tuple[Any, ...]], position: dict[str, Any]) -> Page:
        width = len(self.key)
        sightings = [
            self._sighting(column, row[:width], found.brand, found.last4)
            for row in rows
            for column, value in zip(self.columns, row[width:], strict=True)
            if value is not None
            for found in find_pans(_text(value))
        ]
        return Page(sightings, len(rows), position)

    def _sighting(self, column: str, key: Sequence[Any], brand: str, last4: str) -> Sighting:
        source = self.source_of(column)
        values = zip(self.key, key, strict=True)
        row = ", ".join(f"{name}={shown(_text(value), _KEY_LENGTH)}" for name, value in values)
        return Sighting(source, shown(f"{source} {row or '(no key)'}", PLACE_LENGTH), str(brand), last4, _quiet(key))


def tables(excluded: Sequence[str] = ()) -> Iterator[Table]:
    """Every table with text in it, of each database once, however many aliases lead there.

    `excluded` are patterns of alias.table.column, table.column or table.
    """
    known = set()
    for alias in connections:
        place = _place(connections[alias])
        if place in known:
            continue
        known.add(place)
        for name in _table_names(alias):
            table = _described(alias, name)
            columns = tuple(column for column in table.columns if not _is_excluded(table, column, excluded))
            if columns:
                yield Table(alias, name, columns, table.key)


def column_of(source: str) -> tuple[Table, str] | None:
    """The table and the column that an incident is about; None if there is none, or none any more."""
    alias, _, rest = source.partition(".")
    if alias not in connections:
        return None
    for name in _table_names(alias):
        if rest.startswith(f"{name}."):
            table = _described(alias, name)
            for column in table.columns:
                if table.source_of(column) == source:
                    return table, column
    return None


def _table_names(alias: str) -> list[str]:
    with connections[alias].cursor() as cursor:
        return sorted(connections[alias].introspection.table_names(cursor))


def _described(alias: str, name: str) -> Table:
    connection = connections[alias]
    introspection = connection.introspection
    if connection.vendor == "sqlite":
        return _described_by_sqlite(alias, name)
    with connection.cursor() as cursor:
        fields = introspection.get_table_description(cursor, name)
        key = tuple(introspection.get_primary_key_columns(cursor, name) or ())
        columns = tuple(field.name for field in fields if _is_text(connection, field.type_code, field))
    return Table(alias, name, columns, key)


def _described_by_sqlite(alias: str, name: str) -> Table:
    """The same by SQLite's own account: Django parses the statement that made the table, and fails on a foreign one."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA table_info({connection.ops.quote_name(name)})")
        fields = cursor.fetchall()
    columns = tuple(field for _, field, kind, *_ in fields if _is_text(connection, kind, None))
    key = tuple(field for place, field in sorted((row[5], row[1]) for row in fields) if place)
    return Table(alias, name, columns, key or ("rowid",))


def _is_text(connection: BaseDatabaseWrapper, kind: Any, field: Any) -> bool:
    introspection = connection.introspection
    try:
        found = introspection.get_field_type(kind, field) if field else introspection.data_types_reverse[kind]
    except KeyError:
        # A type that Django has no field for.
        return True
    return found not in _NO_TEXT


def _is_excluded(table: Table, column: str, excluded: Sequence[str]) -> bool:
    names = (table.table, f"{table.table}.{column}", f"{table.alias}.{table.table}.{column}")
    return any(fnmatchcase(name, pattern) for name in names for pattern in excluded)


def _place(connection: BaseDatabaseWrapper) -> tuple[Any, ...]:
    settings = connection.settings_dict
    socket = (settings.get("OPTIONS") or {}).get("unix_socket")
    return (settings["ENGINE"], settings["HOST"], settings["PORT"], str(settings["NAME"]), socket)


@contextmanager
def _streaming(connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """A connection that hands out rows as they come.

    MySQL's client would fetch the whole result first. Told not to, it allows nothing else meanwhile: hence one of its
    own.
    """
    if connection.vendor != "mysql":
        yield connection
        return
    from MySQLdb.cursors import SSCursor  # type: ignore[import-untyped]  # it publishes no types

    own = connection.copy()
    own.settings_dict["OPTIONS"] |= {"cursorclass": SSCursor}
    try:
        yield own
    finally:
        own.close()


def _quiet(key: Sequence[Any]) -> list[int | str] | None:
    """The key, if it can be kept and sent to SQL: it is text or whole numbers, and no part could be a card number."""
    values = [str(value) if isinstance(value, UUID) else value for value in key]
    if values and all(isinstance(value, int | str) and redact(str(value)) == str(value) for value in values):
        return values
    return None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return decoded(bytes(value))
    return str(value)
