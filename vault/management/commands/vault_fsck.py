from __future__ import annotations

import json
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from vault.audit import audited
from vault.backend import current_vault
from vault.exceptions import VaultError
from vault.fsck.checking import Check, Options
from vault.fsck.findings import Finding
from vault.management.operators import OperatorCommand
from vault.management.progress import progress
from vault.stdout import taken

_LEFT: Final = "The two stores do not agree."
# A store that was lost has as many findings as cards; the counts have them all.
_LISTED: Final = 10_000


class Command(OperatorCommand):
    help = (
        "Prove that the items in DynamoDB, the rows in SQL and what refers to them agree; safe beside live traffic. "
        "Ends with 0 if they do or everything was repaired, 2 if something is left, 1 if it could not be found out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="put right what can be put right without guessing")
        parser.add_argument(
            "--dry-run", action="store_true", help="with --repair: say what it would do, and do nothing"
        )
        parser.add_argument("--quick", action="store_true", help="open no cards; then less is found, see docs")
        parser.add_argument("--resume", action="store_true", help="go on where the last run was killed, if one was")
        parser.add_argument("--rate", type=int, default=0, metavar="N", help="look at N things in a second at most")
        parser.add_argument("--segments", type=int, default=1, metavar="N", help="parts of the table side by side")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rate"] < 0 or not 1 <= options["segments"] <= _MOST_SEGMENTS:
            raise CommandError("The rate must not be negative, and the segments between 1 and 64.")
        with taken():
            self._check(options)

    def _check(self, options: dict[str, Any]) -> None:
        self._is_text, self._would = options["format"] == "text", options["repair"] and options["dry_run"]
        self._findings: list[dict[str, Any]] = []
        how = Options(
            opens=not options["quick"],
            repairs=options["repair"] and not options["dry_run"],
            rate=options["rate"],
            segments=options["segments"],
        )
        try:
            with progress(unit="items", total=current_vault().store.item_count()) as seen:
                check = Check(how, tell=self._tell, progress=seen, resume=options["resume"])
                with audited("fsck.run", repairs=how.repairs, run=check.run.pk) as outcome:
                    outcome.update(check().counts)
        except VaultError as error:
            raise CommandError(f"{error.message} {error.aws_answer}".strip()) from None
        self._report(check, how)
        if not check.is_clean:
            raise CommandError(_LEFT, returncode=2)

    def _tell(self, finding: Finding, is_repaired: bool) -> None:
        would = self._would and finding.is_repairable
        state = "repaired" if is_repaired else "would be repaired" if would else "found"
        if self._is_text:
            line = f"{finding.code:20}  {finding.token or '-':41}  {state}: {finding.code.sentence}  {finding.place}"
            self.stdout.write(line.rstrip())
        elif len(self._findings) < _LISTED:
            what = {"code": finding.code.value, "token": finding.token, "place": finding.place, "state": state}
            self._findings.append(what | {"is_repairable": finding.is_repairable, "message": finding.code.sentence})

    def _report(self, check: Check, how: Options) -> None:
        counts = check.run.counts
        if not self._is_text:
            report = {"run": check.run.pk, "opened_cards": how.opens, "counts": counts, "left": check.left}
            report["findings"] = self._findings
            self.stdout.write(json.dumps(report, indent=2))
            return
        seen = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("items", "rows", "references"))
        repaired, found = (sum(counts[name].values()) for name in ("repaired", "found"))
        self.stdout.write(f"{seen}: {found} findings, {repaired} repaired.")
        if not how.opens:
            self.stdout.write(_QUICK)


_MOST_SEGMENTS: Final = 64
_QUICK: Final = "No card was opened: signatures, brand and last four, and missing fingerprints were not checked."
