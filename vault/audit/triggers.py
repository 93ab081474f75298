"""Append-only in the database itself, for whoever does not come through Django."""

from __future__ import annotations

from typing import Final

from django.db import Error as DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

TABLE: Final = "vault_auditevent"
_ACTIONS: Final = ("update", "delete")
_SQL: Final = {
    "sqlite": "CREATE TRIGGER {name} BEFORE {action} ON {table} BEGIN SELECT RAISE(ABORT, 'append-only'); END",
    "mysql": "CREATE TRIGGER {name} BEFORE {action} ON {table} FOR EACH ROW"
    " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'append-only'",
}
# MySQL with a binary log lets only some users make triggers (log_bin_trust_function_creators).
_NOT_PERMITTED: Final = frozenset({1142, 1227, 1419})


def create(connection: BaseDatabaseWrapper) -> bool:
    """Let the table refuse changes and deletions. False if the database has no such thing or does not permit it.

    There, and for whoever can drop a trigger, the grants of the application's user are what counts: SELECT and INSERT.
    """
    sql = _SQL.get(connection.vendor)
    if sql is None:
        return False
    drop(connection)
    try:
        with connection.cursor() as cursor:
            for action in _ACTIONS:
                cursor.execute(sql.format(name=_name(action), action=action.upper(), table=TABLE))
    except DatabaseError as error:
        if error.args and error.args[0] in _NOT_PERMITTED:
            return False
        raise
    return True


def drop(connection: BaseDatabaseWrapper) -> None:
    """Let the table be changed again."""
    with connection.cursor() as cursor:
        for action in _ACTIONS:
            cursor.execute(f"DROP TRIGGER IF EXISTS {_name(action)}")


def _name(action: str) -> str:
    return f"{TABLE}_no_{action}"
