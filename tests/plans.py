"""How a database answers a query."""

from django.db import connection


def plan_of(sql):
    """The steps by which the database answers a query: for each, the table and whatever is said about it."""
    with connection.cursor() as cursor:
        cursor.execute(f"{'EXPLAIN QUERY PLAN' if connection.vendor == 'sqlite' else 'EXPLAIN'} {sql}")
        return [" ".join(str(value) for value in row) for row in cursor.fetchall()]
