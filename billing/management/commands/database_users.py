from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Final

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from billing.database_users import Change, DatabaseAdministrator, UnfitNames, users_of
from billing.settings.environment import env
from vault.management.operators import OperatorCommand

MYSQL_ONLY: Final = "This is for MySQL; a file of SQLite has no users."
UNFIT: Final = (
    "There must be two databases and three users, those of DATABASE_URL, of AUDIT_DATABASE_URL and of migrations, with "
    "names of a-z, 0-9 and _."
)
NO_PASSWORD: Final = "Each of the users needs a password."  # noqa: S105 - a sentence
REFUSED: Final = "MySQL refused, or did not answer; nothing is said of how, as that could hold a password. Its code:"


class Command(OperatorCommand):
    help = (
        "Make the databases of the orders and of the audit log, and three users of MySQL with the rights they need: "
        "for the application, the audit log, migrations. Run it as often as you like: passwords and rights become "
        "those of the environment. DATABASE_ADMIN_URL and DATABASE_ADMIN_PASSWORD name who may do this."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what would be done and change nothing")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        administration = env.database(
            "DATABASE_ADMIN_URL",
            "DATABASE_ADMIN_PASSWORD",
            missing="an administrator, mysql://admin@db.example.com/mysql",
        )
        migrations = env.text("MIGRATE_DATABASE_USER", default="billing_migrate")
        password = env.needed("MIGRATE_DATABASE_PASSWORD", "what migrations sign in with; drawn at random")
        env.complete()
        orders, audit = settings.DATABASES["default"], settings.DATABASES["audit"]
        if {each["ENGINE"] for each in (administration, orders, audit)} != {"django.db.backends.mysql"}:
            raise CommandError(MYSQL_ONLY)
        try:
            users = users_of(orders, audit, migrations=migrations, migrations_password=password)
        except UnfitNames:
            raise CommandError(UNFIT) from None
        if not all(user.password for user in users):
            raise CommandError(NO_PASSWORD)
        # The administrator's address may have options of its own, such as that of a socket.
        connection = administration | {"OPTIONS": administration.get("OPTIONS", {}) | _tls(orders)}
        administrator = DatabaseAdministrator(connection, require_tls=bool(_tls(orders)), dry_run=options["dry_run"])
        changes: list[Change] = []
        try:
            for change in administrator.run(users):
                changes.append(change)
                if options["format"] == "text":
                    self.stdout.write(f"{change.action:<10} {change.resource}: {change.detail}")
        except DatabaseError as error:
            raise CommandError(f"{REFUSED} {error.args[0] if error.args else 'none'}.") from None
        if options["format"] == "json":
            report = {"dry_run": options["dry_run"], "changes": [asdict(change) for change in changes]}
            self.stdout.write(json.dumps(report, indent=2))


def _tls(database: dict[str, Any]) -> dict[str, Any]:
    """The options by which production reaches a database over TLS, and nothing elsewhere."""
    return {name: value for name, value in database["OPTIONS"].items() if name in {"ssl", "ssl_mode"}}
