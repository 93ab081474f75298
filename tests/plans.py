"""How a database answers a query."""

import time

from django.db import connection

# As long as InnoDB takes a table for empty, it reckons with one page of rows.
PAGE = 16 * 1024
PATIENCE_SECONDS = 60


def plan_of(sql):
    """The steps by which the database answers a query: for each, the table and whatever is said about it."""
    with connection.cursor() as cursor:
        cursor.execute(f"{'EXPLAIN QUERY PLAN' if connection.vendor == 'sqlite' else 'EXPLAIN'} {sql}")
        return [" ".join(str(value) for value in row) for row in cursor.fetchall()]


def rows_read():
    """How many rows of tables and indexes this connection has read up to now. MariaDB counts them; SQLite does not: 0."""
    if connection.vendor == "sqlite":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler\\_read%'")
        return sum(int(value) for _, value in cursor.fetchall())


def wait_until_measured(model):
    """Returns when MariaDB knows that a table has grown: it measures in the background, at most once in ten seconds.

    Until then many rows count as one page, which is cheaper to read whole than any index is.
    """
    if connection.vendor == "sqlite":
        return
    end = time.monotonic() + PATIENCE_SECONDS
    while _size(model) <= PAGE:
        assert time.monotonic() < end, model
        time.sleep(0.1)


def _size(model):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT data_length FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s",
            [model._meta.db_table],
        )
        return cursor.fetchone()[0]
