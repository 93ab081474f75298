from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser

from vault import alarms
from vault.audit import record
from vault.audit.warrants import warrants
from vault.backend import current_vault
from vault.exceptions import VaultError
from vault.keylist import listed_arns
from vault.management.operators import OperatorCommand
from vault.reconciliation.matching import Finding, Keys, Reconciliation
from vault.reconciliation.trail import UnreadableTrail, read_decryptions
from vault.stdout import taken

_BYPASS = "Cards were decrypted round the application."
_COLUMNS = ("time", "principal", "source", "token", "event")


class Command(OperatorCommand):
    help = (
        "Hold CloudTrail's record of KMS against the audit log. Ends with 0 if every decryption was audited, 2 if one "
        "went round the application, 1 if that could not be found out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--cloudtrail",
            metavar="FILE",
            action="extend",
            nargs="+",
            required=True,
            help="log files as AWS delivers them, plain or gzip; - is standard input; repeatable",
        )
        parser.add_argument(
            "--window", metavar="SECONDS", type=int, default=120, help="how long after its intent a card is opened"
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["window"] < 1:
            raise CommandError("The window must be above zero.")
        with taken():
            self._reconcile(options)

    def _reconcile(self, options: dict[str, Any]) -> None:
        try:
            record("audit.read", subject="vault_reconcile")
            reconciliation = Reconciliation(_keys(), window=timedelta(seconds=options["window"]))
            for name in options["cloudtrail"]:
                with _opened(name) as stream:
                    for decryption in read_decryptions(stream):
                        reconciliation.add(decryption)
            findings = reconciliation.settle(warrants(*reconciliation.span) if reconciliation.span else [])
            if findings:
                alarms.sound("reconcile.bypass", _BYPASS, subject="vault_reconcile", count=len(findings))
        except VaultError as error:
            raise CommandError(f"{error.message} {error.aws_answer}".strip()) from None
        report = self._json if options["format"] == "json" else self._text
        report(reconciliation, findings)
        if findings:
            raise CommandError(_BYPASS, returncode=2)

    def _text(self, reconciliation: Reconciliation, findings: list[Finding]) -> None:
        rows = [_row(finding) for finding in findings]
        widths = [max(len(row[column]) for row in rows) for column in _COLUMNS] if rows else []
        for finding, row in zip(findings, rows, strict=True):
            line = "  ".join(row[column].ljust(width) for column, width in zip(_COLUMNS, widths, strict=True))
            others = "".join(f"; or it was {_printable(other)}" for other in finding.others)
            self.stdout.write(f"{line}  {finding.reason.sentence}{others}")
        self.stdout.write(
            f"{reconciliation.records} decryptions in the trail, {reconciliation.opened} of this vault: "
            f"{reconciliation.accounted} audited, {len(findings)} not."
        )
        for (code, principal), count in sorted(reconciliation.failed.items()):
            self.stdout.write(f"{count} failed and opened nothing: {_printable(code)} by {_printable(principal)}")

    def _json(self, reconciliation: Reconciliation, findings: list[Finding]) -> None:
        failed = [
            {"error": _printable(code), "principal": _printable(principal), "count": count}
            for (code, principal), count in sorted(reconciliation.failed.items())
        ]
        report = {
            "records": reconciliation.records,
            "opened": reconciliation.opened,
            "audited": reconciliation.accounted,
            "failed": failed,
            "findings": [
                _row(finding)
                | {"reason": finding.reason.value, "others": [_printable(other) for other in finding.others]}
                for finding in findings
            ],
        }
        self.stdout.write(json.dumps(report, indent=2))


def _keys() -> Keys:
    vault = current_vault()
    config = vault.config
    named = {vault.session.key_arn(config.CARD_KEY), vault.session.key_arn(config.FINGERPRINT_KEY)}
    return Keys(table=config.TABLE, arns=frozenset(named | listed_arns()))


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(name).open("rb") as stream:
            yield stream
    except OSError:
        raise UnreadableTrail from None


def _row(finding: Finding) -> dict[str, Any]:
    opening = finding.opening
    return {
        "time": _written(opening.time),
        "principal": _printable(opening.principal),
        "source": _printable(opening.source),
        "token": opening.token or "no token",
        "event": _printable(opening.event_id),
    }


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _printable(text: str) -> str:
    """A file may be anybody's: what would move the cursor of a terminal is not shown."""
    return "".join(character if character.isprintable() else "?" for character in text)
