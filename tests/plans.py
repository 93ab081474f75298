"""How a database answers a query."""

from django.db import connection


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
