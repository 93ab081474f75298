from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from vault.exceptions import VaultError
from vault.management.operators import OperatorCommand
from vault.management.progress import progress
from vault.models import IdempotentRequest, Run
from vault.purging import Purged, purge, verify
from vault.retention import due
from vault.stdout import taken

_OVERDUE: Final = "Cards are kept for too long."


class Command(OperatorCommand):
    help = (
        "Erase every card whose time is over and that no hold keeps, and prove that nothing overdue is left in either "
        "store. Ends with 0 if nothing is, 2 if something is, 1 if that could not be found out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what would be erased, and do nothing")
        parser.add_argument("--verify", action="store_true", help="erase nothing; verify, and store the result")
        parser.add_argument("--rate", type=int, default=0, metavar="N", help="N cards or items in a second at most")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rate"] < 0:
            raise CommandError("The rate must not be negative.")
        try:
            with taken():
                self._purge(options, today=timezone.localdate())
        except VaultError as error:
            raise CommandError(f"{error.message} {error.aws_answer}".strip()) from None

    def _purge(self, options: dict[str, Any], *, today: date) -> None:
        tokens: list[str] = []
        dry_run, rate = options["dry_run"], options["rate"]
        verb = "would be erased" if dry_run else "erased"
        is_json = options["format"] == "json"
        tell = tokens.append if is_json else lambda token: self.stdout.write(f"{token}  {verb}")
        purged = None
        if not options["verify"]:
            with progress(unit="cards", total=due(today).count()) as seen:
                purged = purge(today=today, rate=rate, dry_run=dry_run, tell=tell, progress=seen)
            if not dry_run:
                # What the API keeps for a day has no better time to go.
                IdempotentRequest.objects.forget_expired()
        run = None
        if not dry_run:
            with progress(unit="items", total=None) as seen:
                run = verify(today=today, rate=rate, progress=seen)
        if is_json:
            self._json(purged, tokens, run)
        else:
            self._text(purged, verb, run)
        if run and run.state == Run.State.FAILED:
            raise CommandError(_OVERDUE, returncode=2)

    def _json(self, purged: Purged | None, tokens: list[str], run: Run | None) -> None:
        report: dict[str, Any] = {}
        if purged:
            report["purged"] = asdict(purged) | {"tokens": tokens}
        if run:
            report["verification"] = {"run": run.pk, "state": run.state, **run.counts}
        self.stdout.write(json.dumps(report, indent=2))

    def _text(self, purged: Purged | None, verb: str, run: Run | None) -> None:
        if purged:
            self.stdout.write(
                f"{purged.erased} cards {verb}; {purged.dated} dated, {purged.finished} erasures finished, "
                f"{purged.in_use} used or held meanwhile and kept."
            )
        if run:
            for name, count in run.counts.items():
                self.stdout.write(f"{count:>8}  {name.replace('_', ' ')}")
            if run.state == Run.State.DONE:
                self.stdout.write(self.style.SUCCESS("Nothing is kept for too long."))
