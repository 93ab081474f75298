from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import is_naive, make_aware

from vault import alarms
from vault.audit import audited
from vault.audit.chain import EXPORTED
from vault.audit.standing import WHOLE, note
from vault.audit.verification import Verification, export, seal, verify, verify_export
from vault.backend import current_vault
from vault.exceptions import RecordTampered, VaultError
from vault.management.operators import OperatorCommand
from vault.models import AuditEvent
from vault.stdout import taken

_BROKEN: Final = "The audit log does not hold together."
_BROKEN_SEALS: Final = "The seals of the audit log do not hold together."
_NO_EXPORT: Final = "This is not an export of the audit log."
_SHOWN: Final = 20


class Command(OperatorCommand):
    help = "Prove that the audit log is as it was written, seal it, or hand it out. Exit 2 if it was changed."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        verifying = actions.add_parser("verify", help="name the first row that was changed, deleted, inserted or moved")
        verifying.add_argument("--file", metavar="FILE", help="verify an export instead, without database and seals")
        verifying.add_argument("--format", choices=["text", "json"], default="text")
        actions.add_parser("seal", help="fix what was written so far with a MAC of KMS; run it every few minutes")
        exporting = actions.add_parser("export", help="JSON lines on standard output, oldest first")
        exporting.add_argument("--since", metavar="TIME", type=_moment, help="2026-11-24 or 2026-11-24T12:00:00Z")
        exporting.add_argument("--until", metavar="TIME", type=_moment, help="up to and without this time")

    def handle(self, *args: Any, **options: Any) -> None:
        action = {"verify": self._verify, "seal": self._seal, "export": self._export}[options["action"]]
        try:
            with taken():
                action(options)
        except RecordTampered:
            sentence = _BROKEN if options["action"] == "export" else _BROKEN_SEALS
            if options["action"] != "export":
                note(WHOLE, timezone.now(), str(sentence))
            alarms.sound("audit.broken", sentence)
            raise CommandError(sentence, returncode=2) from None
        except VaultError as error:
            raise CommandError(f"{error.message} {error.aws_answer}".strip()) from None

    def _verify(self, options: dict[str, Any]) -> None:
        if options["file"]:
            result = verify_export(_lines(options["file"]))
        else:
            started_at = timezone.now()
            with audited("audit.verify") as outcome:
                result = verify(current_vault().seals)
                outcome |= {"events": result.events, "seals": result.seals, "breaks": len(result.breaks)}
            note(WHOLE, started_at, result)
        if options["format"] == "json":
            self.stdout.write(json.dumps(asdict(result), indent=2, default=str))
        else:
            self._tell(result)
        if result.breaks:
            if not options["file"]:
                alarms.sound("audit.broken", _BROKEN, first_row=result.breaks[0].row)
            raise CommandError(_BROKEN, returncode=2)

    def _tell(self, result: Verification) -> None:
        for each in result.breaks[:_SHOWN]:
            row = "no row " if each.row is None else f"row {each.row}"
            self.stdout.write(self.style.ERROR(f"{row}  chain {each.chain} number {each.number}: {each.problem}"))
        if len(result.breaks) > _SHOWN:
            self.stdout.write(f"and {len(result.breaks) - _SHOWN} more")
        self.stdout.write(f"{result.events} events in {result.chains} chains, {result.seals} seals")
        if result.sealed_until:
            self.stdout.write(f"sealed until {result.sealed_until:%Y-%m-%d %H:%M:%S} UTC")
        if not result.breaks:
            self.stdout.write(self.style.SUCCESS("The audit log holds together."))

    def _seal(self, options: dict[str, Any]) -> None:
        for each in seal(current_vault().seals):
            self.stdout.write(f"seal {each.number}: {len(each.heads)} chains, digest {each.digest().hex()}")

    def _export(self, options: dict[str, Any]) -> None:
        events = AuditEvent.objects.all()
        if since := options["since"]:
            events = events.filter(time__gte=since)
        if until := options["until"]:
            events = events.filter(time__lt=until)
        count = 0
        with audited("audit.export", since=_text(since), until=_text(until)) as outcome:
            for line in export(events):
                self.stdout.write(line)
                count += 1
            outcome["events"] = count


def _lines(path: str) -> Iterator[dict[str, Any]]:
    """The events in a file, or on standard input. Raises `CommandError` for what is no export."""
    try:
        with sys.stdin if path == "-" else Path(path).open(encoding="utf-8") as file:
            for line in file:
                event = json.loads(line)
                if not isinstance(event, dict) or event.keys() != EXPORTED:
                    raise CommandError(_NO_EXPORT)
                yield event
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise CommandError(_NO_EXPORT) from None


def _moment(text: str) -> datetime:
    """A date or a time; without a zone it is in settings.TIME_ZONE."""
    moment = parse_datetime(text)
    if moment is None:
        date = parse_date(text)
        if date is None:
            raise ValueError
        moment = datetime(date.year, date.month, date.day)  # noqa: DTZ001 - the zone comes next
    return make_aware(moment) if is_naive(moment) else moment


def _text(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""
