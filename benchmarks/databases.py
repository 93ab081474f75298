"""The databases that a benchmark works in."""

from django.core.management import call_command
from django.db import connection


def migrate() -> None:
    """Make the databases of the settings if need be, with migrated tables, and what pages are served with."""
    import MySQLdb

    options = connection.get_connection_params()
    name = options.pop("database")
    with MySQLdb.connect(**options) as server:
        server.cursor().execute(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4")
    for database in ("default", "audit"):
        call_command("migrate", database=database, verbosity=0)
    call_command("createcachetable", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
