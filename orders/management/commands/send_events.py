from __future__ import annotations

from dataclasses import asdict
from math import inf
from typing import Any

from django.core.management.base import CommandError, CommandParser

from orders.feed import deliveries, sending
from vault.management.operators import OperatorCommand
from vault.stdout import taken


class Command(OperatorCommand):
    help = (
        "Send what happened to orders and cards to the endpoints of the accounts that may know, and end when nothing "
        "is due. To be started each minute; several at once share the work, and one that is killed is made up for. "
        "--check sends nothing and ends with 2 if something has been due for more than 15 minutes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, metavar="N", help="end after N attempts")
        parser.add_argument(
            "--for", type=float, default=0, dest="seconds", metavar="SECONDS", help="go on for so long: less to wait"
        )
        parser.add_argument("--check", action="store_true", help="count what is late")

    def handle(self, *args: Any, limit: int | None, seconds: float, check: bool, **options: Any) -> None:
        if (limit is not None and limit < 1) or not 0 <= seconds < inf:
            raise CommandError("--limit takes a positive number, --for a number of seconds.")
        with taken():
            if check:
                self._check()
                return
            sent = sending.run(limit=limit, seconds=seconds)
            self.stdout.write(", ".join(f"{count} {name}" for name, count in asdict(sent).items()))

    def _check(self) -> None:
        late = deliveries.count_late()
        self.stdout.write(f"{late} late")
        if late:
            raise CommandError("Events are not being sent. Is send_events started each minute?", returncode=2)
