"""The databases of this project and the users who work with them, made and kept by somebody who administers MySQL.

None of the three can do another's work: the application reads and writes rows, the audit log takes new ones, and
migrations alone change tables. Whoever takes over the application can neither drop a table nor rewrite what it did.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.utils import ConnectionHandler

ROWS: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
APPENDING: Final = frozenset({"SELECT", "INSERT"})
TABLES: Final = frozenset({"CREATE", "ALTER", "DROP", "INDEX", "REFERENCES", "TRIGGER"})
#: From wherever a task gets its address; the network and TLS say who may come.
HOST: Final = "%"
_ACCESS_DENIED: Final = 1045
# Longer ones, and others, would have to be quoted; MySQL takes 32 characters for a user and 64 for a database.
_NAME: Final = re.compile("[a-z0-9_]{1,32}")
_TABLE_PLACE: Final = "CONCAT('`', table_schema, '`.`', table_name, '`')"
# Names of rights have no quotes.
_ROLES: Final = re.compile("GRANT (?P<roles>`.*`) TO ")

CREATED: Final = "created"
CHANGED: Final = "changed"
UNCHANGED: Final = "unchanged"


class UnfitNames(ValueError):
    """Users or databases that are the same, or have names that are not of a-z, 0-9 and _."""


@dataclass(frozen=True, slots=True)
class DatabaseUser:
    """Somebody who works with databases: the rights on each, and no others."""

    name: str
    password: str = field(repr=False)
    rights: dict[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Change:
    """What was done, or would be, to a database or a user. No password is part of it."""

    action: str
    resource: str
    detail: str


def users_of(
    orders: dict[str, Any], audit: dict[str, Any], *, migrations: str, migrations_password: str
) -> tuple[DatabaseUser, ...]:
    """The three users of two databases, each as Django connects to it. Raises `UnfitNames`."""
    databases = (orders["NAME"], audit["NAME"])
    names = (orders["USER"], audit["USER"], migrations)
    if len({*databases}) < len(databases) or len({*names}) < len(names):
        raise UnfitNames
    if not all(_NAME.fullmatch(name) for name in (*databases, *names)):
        raise UnfitNames
    return (
        DatabaseUser(orders["USER"], orders["PASSWORD"], {orders["NAME"]: ROWS}),
        DatabaseUser(audit["USER"], audit["PASSWORD"], {audit["NAME"]: APPENDING}),
        DatabaseUser(
            migrations,
            migrations_password,
            # Rows of the audit log are not changed by migrations either.
            {orders["NAME"]: ROWS | TABLES, audit["NAME"]: APPENDING | TABLES},
        ),
    )


class DatabaseAdministrator:
    """Makes databases and users, as often as it is asked to, through an administrator's connection.

    What it finds it brings to what is wanted: passwords that do not open any more, rights that are too few or too
    many, roles. Nobody else's rights are touched. Raises Django's `DatabaseError`, whose text may hold a password.
    """

    def __init__(self, administration: dict[str, Any], *, require_tls: bool, dry_run: bool = False) -> None:
        self._connection = _connection(administration)
        self._administration = administration
        self._require_tls = require_tls
        self._dry_run = dry_run

    def run(self, users: tuple[DatabaseUser, ...]) -> Iterator[Change]:
        """Do it, one change after the other."""
        with self._connection.cursor() as cursor:
            for name in sorted({name for user in users for name in user.rights}):
                yield self._make_database(cursor, name)
            for user in users:
                yield self._make_user(cursor, user)
                yield from self._grant(cursor, user)
                yield from self._take_roles(cursor, user)
        self._connection.close()

    def _make_database(self, cursor: CursorWrapper, name: str) -> Change:
        cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", [name])
        if cursor.fetchone():
            return Change(UNCHANGED, f"database {name}", "is there")
        self._execute(cursor, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return Change(CREATED, f"database {name}", "utf8mb4")

    def _make_user(self, cursor: CursorWrapper, user: DatabaseUser) -> Change:
        tls = " REQUIRE SSL" if self._require_tls else ""
        with_tls = ", with TLS alone" if tls else ""
        resource = f"user {user.name}"
        cursor.execute("SELECT ssl_type FROM mysql.user WHERE user = %s AND host = %s", [user.name, HOST])
        row = cursor.fetchone()
        if row is None:
            self._execute(cursor, f"CREATE USER %s@%s IDENTIFIED BY %s{tls}", [user.name, HOST, user.password])
            return Change(CREATED, resource, f"with its password{with_tls}")
        if not self._opens(user):
            self._execute(cursor, f"ALTER USER %s@%s IDENTIFIED BY %s{tls}", [user.name, HOST, user.password])
            return Change(CHANGED, resource, f"another password{with_tls}")
        if tls and not row[0]:
            self._execute(cursor, f"ALTER USER %s@%s{tls}", [user.name, HOST])
            return Change(CHANGED, resource, "with TLS alone")
        return Change(UNCHANGED, resource, f"its password opens{with_tls}")

    def _grant(self, cursor: CursorWrapper, user: DatabaseUser) -> Iterator[Change]:
        resource = f"rights of {user.name}"
        given = _rights(cursor, user.name)
        for place in sorted(given.keys() | {_place(name) for name in user.rights}):
            wanted = next((rights for name, rights in user.rights.items() if _place(name) == place), frozenset())
            has = given.get(place, frozenset())
            # First what is missing: no moment in which a running application has less than it needs.
            if more := sorted(wanted - has):
                self._execute(cursor, f"GRANT {', '.join(more)} ON {_text(place)} TO %s@%s", [user.name, HOST])
                yield Change(CREATED, resource, f"{', '.join(more)} on {place}")
            if less := sorted(has - wanted):
                self._execute(
                    cursor, f"REVOKE {_text(', '.join(less))} ON {_text(place)} FROM %s@%s", [user.name, HOST]
                )
                yield Change(CHANGED, resource, f"no more {', '.join(less)} on {place}")
            if wanted and wanted == has:
                yield Change(UNCHANGED, resource, f"{', '.join(sorted(wanted))} on {place}")

    def _take_roles(self, cursor: CursorWrapper, user: DatabaseUser) -> Iterator[Change]:
        """None of the three has a role: what it lets them do would be in no list of rights."""
        for role in _roles(cursor, user.name):
            self._execute(cursor, f"REVOKE {_text(role)} FROM %s@%s", [user.name, HOST])
            yield Change(CHANGED, f"rights of {user.name}", f"no more role {role}")

    def _opens(self, user: DatabaseUser) -> bool:
        connection = _connection(self._administration | {"USER": user.name, "PASSWORD": user.password, "NAME": ""})
        try:
            connection.ensure_connection()
        except OperationalError as error:
            if error.args[0] == _ACCESS_DENIED:
                return False
            raise
        connection.close()
        return True

    def _execute(self, cursor: CursorWrapper, statement: str, parameters: list[str] | None = None) -> None:
        if not self._dry_run:
            cursor.execute(statement, parameters)


def _rights(cursor: CursorWrapper, user: str) -> dict[str, frozenset[str]]:
    """What a user may do where, the right to pass it on among it; places are as GRANT names them."""
    found: dict[str, set[str]] = {}
    for table, place in {
        "user_privileges": "'*.*'",
        "schema_privileges": "CONCAT('`', table_schema, '`.*')",
        "table_privileges": _TABLE_PLACE,
        "column_privileges": _TABLE_PLACE,
    }.items():
        right = "CONCAT(privilege_type, ' (`', column_name, '`)')" if table == "column_privileges" else "privilege_type"
        cursor.execute(
            f"SELECT {place}, {right}, is_grantable FROM information_schema.{table} WHERE grantee = %s",  # noqa: S608 - constants
            [f"'{user}'@'{HOST}'"],
        )
        for where, right, is_grantable in cursor.fetchall():
            # What every user has, and what is nothing.
            rights = found.setdefault(where, set())
            rights |= ({right} - {"USAGE"}) | ({"GRANT OPTION"} if is_grantable == "YES" else set())
    return {where: frozenset(rights) for where, rights in found.items() if rights}


def _roles(cursor: CursorWrapper, user: str) -> list[str]:
    """The roles of a user, as REVOKE names them. Each server has tables of its own for them, and both say it alike."""
    cursor.execute("SELECT 1 FROM mysql.user WHERE user = %s AND host = %s", [user, HOST])
    if not cursor.fetchone():
        return []
    cursor.execute("SHOW GRANTS FOR %s@%s", [user, HOST])
    found = [_ROLES.match(grant) for (grant,) in cursor.fetchall()]
    return [match["roles"] for match in found if match]


def _place(database: str) -> str:
    # To GRANT a name is a pattern, in which _ is any character: the right would be one to databases of others.
    return "`" + database.replace("_", r"\_") + "`.*"


def _text(name: str) -> str:
    """What somebody named, such as `%`.*, in a statement that has parameters."""
    return name.replace("%", "%%")


def _connection(database: dict[str, Any]) -> BaseDatabaseWrapper:
    return ConnectionHandler({"default": database})["default"]
