"""One SQLite file, shared by threads and processes; what was acknowledged survives SIGKILL and power loss."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

FILE_NAME: Final = "aws.sqlite3"
_BUSY_SECONDS: Final = 30
_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, region TEXT NOT NULL, wrapped BLOB NOT NULL, details TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS aliases (
    region TEXT NOT NULL, name TEXT NOT NULL, key_id TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL,
    PRIMARY KEY (region, name));
CREATE TABLE IF NOT EXISTS tables (
    id INTEGER PRIMARY KEY, region TEXT NOT NULL, name TEXT NOT NULL, details TEXT NOT NULL, UNIQUE (region, name));
CREATE TABLE IF NOT EXISTS items (
    table_id INTEGER NOT NULL, position INTEGER NOT NULL, hash_key BLOB NOT NULL, range_key BLOB NOT NULL,
    item TEXT NOT NULL, UNIQUE (table_id, position, hash_key, range_key));
CREATE TABLE IF NOT EXISTS requests (
    region TEXT NOT NULL, token TEXT NOT NULL, digest BLOB NOT NULL, completed REAL NOT NULL,
    PRIMARY KEY (region, token));
CREATE INDEX IF NOT EXISTS requests_completed ON requests (completed);
PRAGMA user_version = 1;
COMMIT;
"""


class Database:
    """The file in `directory`, opened on first use.

    One connection writes and one reads, each used by one thread at a time: a thread that waits its turn on a lock is
    woken at once, where one that waits on SQLite sleeps and polls. In WAL mode the reader never waits for the writer.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._writer = _Connection(directory, "BEGIN IMMEDIATE")
        self._reader = _Connection(directory, "BEGIN")
        with _registry_lock:
            _databases.add(self)

    def write(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that holds the write lock from its start; committed and synced on leaving, else undone."""
        return self._writer.transaction()

    def read(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that sees one committed state."""
        return self._reader.transaction()

    def connections(self) -> tuple[_Connection, _Connection]:
        return self._writer, self._reader


class _Connection:
    def __init__(self, directory: Path, begin: str) -> None:
        self.lock = threading.Lock()
        self._directory = directory
        self._begin = begin
        self._sqlite: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with self.lock:
            connection = self._sqlite = self._sqlite or _connect(self._directory)
            try:
                connection.execute(self._begin)
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        if self._sqlite is not None:
            self._sqlite.close()
            self._sqlite = None


def _connect(directory: Path) -> sqlite3.Connection:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / FILE_NAME
    with _locked(directory) as descriptor:
        if not path.exists():
            # An existing file must not be opened here: closing it would drop SQLite's own POSIX locks on it.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
            os.fsync(descriptor)
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        _create_schema(connection)
    return connection


def _create_schema(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.executescript(_SCHEMA)
    elif version != _SCHEMA_VERSION:
        raise sqlite3.NotSupportedError


@contextmanager
def _locked(directory: Path) -> Iterator[int]:
    """Hold the directory for this process: the change to WAL mode does not wait for other processes, it fails."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


# SQLite counts its locks per process and a fork copies the count but not the locks, so no connection may cross one:
# the forking thread waits for running transactions and closes all. Both sides open again on their next request.
_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_registry_lock = threading.Lock()
_paused: list[_Connection] = []


def _pause() -> None:
    _registry_lock.acquire()
    _paused.extend(connection for database in _databases for connection in database.connections())
    for connection in _paused:
        connection.lock.acquire()
        connection.close()


def _resume() -> None:
    for connection in _paused:
        connection.lock.release()
    _paused.clear()
    _registry_lock.release()


os.register_at_fork(before=_pause, after_in_parent=_resume, after_in_child=_resume)
