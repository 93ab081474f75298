from __future__ import annotations

import json
from functools import partial
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, DatabaseError

from vault.adoption import AdoptionRefused, Columns, Mode, Report, State, run
from vault.exceptions import VaultError
from vault.management.operators import OperatorCommand
from vault.management.progress import progress
from vault.pace import Pace
from vault.stdout import taken

_LEFT: Final = "Rows are left."
_DATABASE: Final = "The database did not do a batch. Everything before it is done: run the command again."
_OUT_OF_RANGE: Final = "A batch has 1 to 1000 rows, the rate is above zero, and no fewer than no rows are listed."
_MAX_BATCH: Final = 1000

_SENTENCES: Final = {
    State.EMPTY: "empty, skipped",
    State.WAITING: "to adopt",
    State.ADOPTED: "adopted",
    State.AGREES: "agree",
    State.WIPED: "wiped",
    State.INVALID: "no card number",
    State.MISSING: "not adopted",
    State.DIFFERS: "differ",
    State.CHANGED: "changed meanwhile",
}


class Command(OperatorCommand):
    help = (
        "Turn a column of plain card numbers into a PANField, while the application runs; see docs/adopt.md. Ends with "
        "0 if nothing is left, 2 if rows are left, 1 if it could not go on. Run it again as often as you like."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("column", metavar="APP.MODEL.FIELD", help="the old column: shop.Invoice.card_number")
        parser.add_argument("--to", metavar="FIELD", help="the PANField; may be left out if the model has one")
        parser.add_argument("--database", metavar="ALIAS", default=DEFAULT_DB_ALIAS)
        mode = parser.add_mutually_exclusive_group()
        for option, value, text in (
            ("--dry-run", Mode.PREVIEW, "count what would be adopted; write nothing, call no vault"),
            ("--refresh", Mode.REFRESH, "adopt rows again whose old value was changed after their adoption"),
            ("--check", Mode.CHECK, "hold the old column against the new one and list what differs"),
            ("--wipe", Mode.WIPE, "empty the old column of rows in which both columns agree"),
        ):
            mode.add_argument(option, dest="mode", action="store_const", const=value, default=Mode.ADOPT, help=text)
        parser.add_argument("--batch", metavar="ROWS", type=int, default=200)
        parser.add_argument("--rate", metavar="ROWS", type=float, help="at most so many rows a second")
        parser.add_argument("--list", metavar="ROWS", type=int, default=1000, help="how many rows to list; all count")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        rate = options["rate"]
        if not 1 <= options["batch"] <= _MAX_BATCH or (rate is not None and rate <= 0) or options["list"] < 0:
            raise CommandError(_OUT_OF_RANGE)
        with taken():
            report = self._report(options)
        (self._json if options["format"] == "json" else self._text)(report)
        if report.left:
            raise CommandError(_LEFT, returncode=2)

    @staticmethod
    def _report(options: dict[str, Any]) -> Report:
        mode = options["mode"]
        try:
            columns = Columns.named(options["column"], options["to"], alias=options["database"])
            pace = Pace(options["rate"])
            with progress(unit="rows", total=partial(columns.count, waiting=mode.is_of_waiting_rows)) as seen:

                def advance(rows: int) -> None:
                    seen(rows)
                    pace.spend(rows)

                return run(columns, mode, batch=options["batch"], listed=options["list"], progress=advance)
        except AdoptionRefused as error:
            raise CommandError(str(error)) from None
        except VaultError as error:
            raise CommandError(f"{error.message} {error.aws_answer}".strip()) from None
        except DatabaseError as error:
            # What a database says of an error may quote the row; its number does not.
            number = next((each for each in error.args if isinstance(each, int)), "")
            raise CommandError(f"{_DATABASE} ({type(error).__name__} {number})".replace(" )", ")")) from None

    def _text(self, report: Report) -> None:
        for finding in report.findings:
            self.stdout.write(f"{finding.pk}  {finding.state}  {finding.reason}")
        if unlisted := report.left - len(report.findings):
            self.stdout.write(f"{unlisted} more are not listed.")
        counts = [f"{report.counts[state]} {text}" for state, text in _SENTENCES.items() if report.counts[state]]
        self.stdout.write(f"Rows: {', '.join(counts) or 'none'}.")

    def _json(self, report: Report) -> None:
        findings = [{"pk": each.pk, "state": each.state.value, "reason": each.reason} for each in report.findings]
        self.stdout.write(json.dumps({"counts": report.exported(), "left": report.left, "rows": findings}, indent=2))
