"""Reads, at the end of a test, what it left behind: tables, mail, caches, sessions, files, DynamoDB items."""

import sys
import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

from django.conf import settings
from django.core import mail
from django.core.cache.backends import locmem
from django.db import connections

from tests.leaks import sinks
from tests.leaks.scanner import Scanner, Sink

# File times are as coarse as the kernel's clock tick.
_TICK = 0.1


def collect(scanner: Scanner, *, folders: Iterable[Path] = (), since: float = 0.0) -> None:
    """Hand everything that is left to `scanner`; files if they changed after `since`."""
    if not scanner.is_armed:
        return
    for alias in scanner.databases:
        collect_tables(scanner, alias)
    collect_mail(scanner)
    collect_caches(scanner)
    collect_files(scanner, folders, since)
    collect_dynamodb_of_moto(scanner)


def collect_tables(scanner: Scanner, alias: str) -> None:
    """Every row of every table, as this test's transaction sees it."""
    connection = connections[alias]
    connection.ensure_connection()
    # Django's own cursor refuses to read in a transaction that failed.
    with connection.connection.cursor() if hasattr(connection.connection, "cursor") else None as cursor:
        for table in _table_names(connection, cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - the schema's own name
            rows = cursor.fetchall()
            scanner.record(Sink.TABLE, rows, table)
            if table == "django_session":
                collect_sessions(scanner, rows)
