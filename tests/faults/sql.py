"""What happens to a transaction on a real MariaDB: blocked rows, deadlocks, and a server that goes and comes back."""

import threading
import time
from contextlib import contextmanager

import pytest
from django.conf import settings

is_mysql = settings.DATABASES["default"]["ENGINE"].endswith("mysql")
needs_mysql = pytest.mark.skipif(not is_mysql, reason="SQLite has neither a server nor locks of rows")

_LOCK_SECONDS = 1


@contextmanager
def held(connection, statement, parameters=()):
    """The locks of a statement, held by another connection; it is given, for more of them."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(statement, parameters)
        yield other
    finally:
        other.close()


def wait_briefly(moment):
    """An act: this connection waits a second for a lock, and not the usual fifty."""
    with moment.connection.cursor() as cursor:
        cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {_LOCK_SECONDS}")


class Deadlock:
    """Another transaction that has a gap of a table locked, and then wants a row that the first one has.

    `with Deadlock(connection, gap="orders_event", row=("auth_user", 7)) as deadlock` and, as an act at a point where
    the transaction has the row and is about to write into the gap, `deadlock.want`. The server sees the circle and
    rolls the first transaction back, for the other one has written more.
    """

    _WEIGHT = 200

    def __init__(self, connection, *, gap, row):
        self._connection = connection
        self._gap, self._row = gap, row
        self._threads = []
        #: How many deadlocks there were.
        self.count = 0

    def __enter__(self):
        with self._connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS weight (id INTEGER PRIMARY KEY AUTO_INCREMENT) ENGINE=InnoDB")
        self._lock_gap()
        return self

    def __exit__(self, *_):
        for thread in self._threads:
            thread.join()
        self._other.close()
        with self._connection.cursor() as cursor:
            cursor.execute("DROP TABLE weight")

    def _lock_gap(self):
        self._other = self._connection.copy()
        # A thread waits on it.
        self._other.inc_thread_sharing()
        self._other.set_autocommit(False)
        with self._other.cursor() as cursor:
            # Committed reads lock no gaps.
            cursor.execute("ROLLBACK")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.executemany("INSERT INTO weight VALUES (%s)", [[None]] * self._WEIGHT)
            cursor.execute(f"SELECT id FROM {self._gap} FOR UPDATE")  # noqa: S608 - a name of ours

    def want(self, moment):
        """An act: from now on the other transaction waits for the row."""
        self.count += 1
        table, key = self._row
        statement = f"SELECT id FROM {table} WHERE id = %s FOR UPDATE"  # noqa: S608 - a name of ours
        thread = threading.Thread(target=self._wait, args=[statement, key])
        self._threads.append(thread)
        thread.start()
        # It cannot be seen from here whether it waits already.
        time.sleep(0.3)

    def _wait(self, statement, key):
        with self._other.cursor() as cursor:
            cursor.execute(statement, [key])
        self._other.rollback()
