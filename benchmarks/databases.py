"""The databases of a benchmark: made where DATABASE_URL and AUDIT_DATABASE_URL say, with all tables and no rows."""

from __future__ import annotations

from django.core.management import call_command
from django.db import connections


def make() -> None:
    """Raises what the server says if one is there already and has other tables."""
    for alias in ("default", "audit"):
        connection = connections[alias]
        if connection.vendor == "mysql":
            import MySQLdb

            options = connection.get_connection_params()
            name = options.pop("database")
            with MySQLdb.connect(**options) as server:
                server.cursor().execute(f"CREATE DATABASE IF NOT EXISTS {name}")
        call_command("migrate", database=alias, verbosity=0)
    call_command("createcachetable", verbosity=0)
