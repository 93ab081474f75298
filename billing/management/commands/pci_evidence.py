from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from django.utils.dateparse import parse_date

from billing.pci.evidence import Evidence, PeriodRefused, period, write
from billing.pci.folder import FolderUnusable
from vault.exceptions import VaultError
from vault.management.operators import OperatorCommand
from vault.stdout import taken

NO_DATE: Final = "--from and --to take days, such as 2026-01-31."
_FOUND: Final = "The evidence is written, and not all of it is as it should be."


class Command(OperatorCommand):
    help = (
        "Write the evidence for PCI DSS of a period into a new folder: a file for each proof, evidence.json that says "
        "which requirement each is for, and SHA256SUMS. Opens no card. Ends with 0 if all is as it should be, 1 if the "
        "evidence names something that is not, 2 if it could not be written."
    )
    not_understood = 2

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="first", metavar="DATE", required=True, help="the first day, in UTC")
        parser.add_argument("--to", dest="last", metavar="DATE", required=True, help="the last day, in UTC")
        parser.add_argument("dir", metavar="DIR", type=Path, help="a new or an empty folder")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with taken():
                when = period(_day(options["first"]), _day(options["last"]))
                evidence = write(when, Path(options["dir"]))
        except (PeriodRefused, FolderUnusable) as error:
            raise CommandError(str(error), returncode=2) from None
        except VaultError as error:
            raise CommandError(f"{error.message} {error.aws_answer}".strip(), returncode=2) from None
        if options["format"] == "json":
            self.stdout.write(json.dumps(asdict(evidence), indent=2))
        else:
            self._tell(evidence)
        if evidence.findings:
            raise CommandError(_FOUND, returncode=1)

    def _tell(self, evidence: Evidence) -> None:
        for name, sentences in evidence.findings.items():
            for sentence in sentences:
                self.stdout.write(self.style.ERROR(f"{name}  {sentence}"))
        self.stdout.write(f"{evidence.files} files; SHA-256 of evidence.json {evidence.index_sha256}")


def _day(text: str) -> date:
    # A time is a day to Python as well, and would be cut without a word.
    try:
        day = parse_date(str(text))
    except ValueError:
        day = None
    if day is None or str(text) != day.isoformat():
        raise CommandError(NO_DATE, returncode=2)
    return day
