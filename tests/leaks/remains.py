"""Reads, at the end of a test, what it left behind: tables, mail, caches, sessions, files, DynamoDB items."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path

from django.conf import settings
from django.core import mail
from django.core.cache.backends import locmem
from django.db import connections

from tests.leaks.scanner import Scanner, Sink

# File times are as coarse as the kernel's clock tick.
_TICK = 0.1


def collect(scanner: Scanner, folders: Iterable[Path] = ()) -> None:
    """Hand everything that is left to `scanner`; of the files, those it heard of and those that changed in `folders`."""
    if not scanner.is_armed:
        return
    for alias in scanner.databases:
        _collect_tables(scanner, alias)
    _collect_mail(scanner)
    _collect_caches(scanner)
    _collect_files(scanner, folders)
    _collect_items_of_moto(scanner)


def _collect_tables(scanner: Scanner, alias: str) -> None:
    """Every row of every table, as this test's transaction sees it."""
    connection = connections[alias]
    if connection.closed_in_transaction:
        return
    connection.ensure_connection()
    # Django's own cursor refuses to read in a transaction that has failed.
    with closing(connection.create_cursor()) as cursor:
        for table in connection.introspection.get_table_list(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table.name)}")  # noqa: S608 - our own schema
            rows = list(cursor.fetchall())
            scanner.record(Sink.TABLE, rows, table.name)
            if table.name == "django_session":
                _collect_sessions(scanner, rows)


def _collect_sessions(scanner: Scanner, rows: list) -> None:
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    for _, session_data, *_ in rows:
        scanner.record(Sink.SESSION, repr(store.decode(session_data)))


def _collect_mail(scanner: Scanner) -> None:
    for message in getattr(mail, "outbox", ()):
        scanner.record(Sink.MAIL, [message.subject, message.body, message.recipients(), message.extra_headers])
        scanner.record(Sink.MAIL, [list(part) for part in getattr(message, "alternatives", ())])
        scanner.record(Sink.MAIL, [part if isinstance(part, tuple) else bytes(part) for part in message.attachments])
        scanner.record(Sink.MAIL, message.message().as_bytes())


def _collect_caches(scanner: Scanner) -> None:
    for name, cache in locmem._caches.items():
        # Values are pickled, and a pickle has its strings in clear.
        scanner.record(Sink.CACHE, dict(cache), name)


def _collect_files(scanner: Scanner, folders: Iterable[Path]) -> None:
    for path in scanner.files | set(_files_in(folders)):
        if path.is_file() and path.stat().st_mtime >= scanner.started - _TICK:
            scanner.record(Sink.FILE, [path.name, path.read_bytes()], path.name)


def _files_in(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from folder.rglob("*")


def _collect_items_of_moto(scanner: Scanner) -> None:
    # The embedded engine keeps its items in files.
    if "moto.dynamodb.models" not in sys.modules:
        return
    for regions in import_module("moto.backends").get_backend("dynamodb").values():
        for backend in regions.values():
            for table in backend.tables.values():
                scanner.record(Sink.DYNAMODB, [item.to_json() for item in table.all_items()], table.name)
