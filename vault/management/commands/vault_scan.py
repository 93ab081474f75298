from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from vault.exceptions import VaultError
from vault.management.operators import OperatorCommand
from vault.management.progress import progress
from vault.pace import Pace
from vault.pan import Brand, mask
from vault.scanning.pages import Sighting
from vault.scanning.scan import Scan
from vault.stdout import taken

_FOUND = "Card numbers were found where none belong."
_UNREADABLE = "Not every file could be read."
_COUNTS = ("tables", "rows", "files", "lines", "skipped", "unreadable", "found")


class Command(OperatorCommand):
    help = (
        "Find card numbers in every text column, in files and in logs, and open an incident for each column or file. "
        "Goes on where it was stopped. Ends with 0 if there are none, 2 if there are some, 1 if it could not go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--database", action="store_true", help="every table (the default without --path)")
        parser.add_argument(
            "--path", metavar="PATH", action="append", default=[], help="file or folder; - is stdin; repeatable"
        )
        parser.add_argument(
            "--exclude",
            metavar="PATTERN",
            action="append",
            default=[],
            help="file name, path, table or table.column, with * and ?; repeatable",
        )
        parser.add_argument(
            "--restart", action="store_true", help="begin anew instead of going on, even if another seems to run"
        )
        parser.add_argument("--rate", metavar="ROWS", type=float, help="read no more rows or lines a second")
        parser.add_argument("--dry-run", action="store_true", help="report, and write nothing to the database")
        parser.add_argument("--format", choices=["text", "json"], default="text", help="json is one object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rate"] is not None and options["rate"] <= 0:
            raise CommandError("The rate must be above zero.")
        scan = Scan(
            database=options["database"] or not options["path"],
            paths=options["path"],
            excluded=options["exclude"],
            writes=not options["dry_run"],
        )
        is_json = options["format"] == "json"
        pace = Pace(options["rate"], sleep=scan.rest)
        with taken():
            try:
                with progress(unit="rows") as seen:
                    for page, name in scan.sightings(restart=options["restart"]):
                        seen(page.read, at=name)
                        for sighting in page.sightings:
                            self.stdout.write(json.dumps(_row(sighting)) if is_json else _line(sighting))
                        pace.spend(page.read)
            except VaultError as error:
                raise CommandError(error.message) from None
            self._sum_up(scan, is_json=is_json)

    def _sum_up(self, scan: Scan, *, is_json: bool) -> None:
        counts = {name: scan.counts[name] for name in _COUNTS}
        if is_json:
            self.stdout.write(json.dumps({"resumed": scan.is_resumed, **counts}))
        else:
            resumed = " It went on where it had been stopped." if scan.is_resumed else ""
            self.stdout.write(", ".join(f"{count} {name}" for name, count in counts.items()) + "." + resumed)
        if counts["found"]:
            raise CommandError(_FOUND, returncode=2)
        if counts["unreadable"]:
            raise CommandError(_UNREADABLE)


def _row(sighting: Sighting) -> dict[str, str]:
    return {"place": sighting.place, "brand": sighting.brand, "number": mask(sighting.last4)}


def _line(sighting: Sighting) -> str:
    return f"{sighting.place}  {Brand(sighting.brand).label} {mask(sighting.last4)}"
