from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from vault import exportruns, exports
from vault.audit import record
from vault.exceptions import AccessDenied, VaultError
from vault.management.operators import OperatorCommand
from vault.management.progress import progress
from vault.models import Card, ExportRequest
from vault.pace import Pace
from vault.stdout import taken

_INCOMPLETE = "Some cards could not be exported."
_NO_REQUEST = "There is no export request with this number."
_RATE = "The rate must be above zero."
_OUTPUT = "Name the file: --output FILE."


class Command(OperatorCommand):
    help = (
        "Run an approved export request: seal its cards to the recipient's key, into one file. Started again after a "
        "stop it goes on. Ends with 0 if it is done, 2 if some cards could not be exported, 1 if it could not go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", metavar="NUMBER", type=int, help="the number of the request in the admin")
        parser.add_argument("--output", metavar="FILE", help="a new file, or the one that this export began in")
        parser.add_argument("--dry-run", action="store_true", help="say what would be exported, and open nothing")
        parser.add_argument("--rate", metavar="CARDS", type=int, help="at most so many cards a second")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rate"] is not None and options["rate"] < 1:
            raise CommandError(_RATE)
        if not options["output"] and not options["dry_run"]:
            raise CommandError(_OUTPUT)
        with taken():
            try:
                asked = ExportRequest.objects.get(pk=options["number"])
                report = self._plan(asked) if options["dry_run"] else self._run(asked, options)
            except ExportRequest.DoesNotExist:
                raise CommandError(_NO_REQUEST) from None
            except VaultError as error:
                raise CommandError(f"{_sentence(error)} {error.aws_answer}".strip()) from None
        self._write(report, options["format"])
        if report.get("failed"):
            raise CommandError(_INCOMPLETE, returncode=2)

    def _plan(self, asked: ExportRequest) -> dict[str, Any]:
        record("export.plan", **exports.about_of(asked))
        cards = exports.selected(asked)
        erased = cards.filter(status=Card.Status.ERASED).count()
        return _report(asked) | {"cards": cards.count(), "erased": erased}

    def _run(self, asked: ExportRequest, options: dict[str, Any]) -> dict[str, Any]:
        path, rate = Path(options["output"]), options["rate"]
        with progress(unit="cards", total=lambda: exports.selected(asked).count()) as seen:
            counts = exportruns.run(asked, path, at_once=rate, progress=seen, spend=Pace(rate).spend)
        return _report(asked) | asdict(counts)

    def _write(self, report: dict[str, Any], form: str) -> None:
        if form == "json":
            self.stdout.write(json.dumps(report, indent=2))
            return
        for name, value in report.items():
            if isinstance(value, dict):
                for token, reason in value.items():
                    self.stdout.write(f"  {token}  {reason}")
            else:
                self.stdout.write(f"{name}: {value}")


def _sentence(error: VaultError) -> str:
    return error.reason.message if isinstance(error, AccessDenied) else error.message


def _report(asked: ExportRequest) -> dict[str, Any]:
    return {
        "request": asked.pk,
        "state": asked.state,
        "recipient": asked.recipient,
        "thumbprint": asked.key_thumbprint,
    }
