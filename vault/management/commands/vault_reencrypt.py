from __future__ import annotations

import json
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from django.db import close_old_connections, connection

from vault.backend import current_vault
from vault.exceptions import VaultError
from vault.management.operators import OperatorCommand
from vault.management.progress import progress
from vault.models import Card
from vault.pace import Pace
from vault.reencryption import Reencryption
from vault.resealing import Outcome
from vault.stdout import taken

_LEFT: Final = "Cards are left. Run it again; those that stay are for vault_fsck."


class Command(OperatorCommand):
    help = (
        "Seal every card anew that is not under the keys of now, beside live traffic. Run it once for each segment, "
        "on as many machines as there are; killed, it goes on where it was. Ends with 0 if no card of the segment is "
        "left, 2 if some are, 1 if it could not go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--segment", metavar="I", type=int, default=0, help="from 0")
        parser.add_argument("--total-segments", metavar="N", type=int, default=1)
        parser.add_argument("--rate", metavar="N", type=float, help="at most so many cards in a second")
        parser.add_argument("--all", action="store_true", help="also cards under the keys of now: new data keys")
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        segment, total = options["segment"], options["total_segments"]
        if not 0 <= segment < total:
            raise CommandError("The segment must be below the number of segments.")
        if options["rate"] is not None and options["rate"] <= 0:
            raise CommandError("The rate must be above zero.")
        try:
            with taken():
                work = Reencryption(current_vault(), segment=segment, total_segments=total, everything=options["all"])
                counts = {} if options["dry_run"] else self._run(work, Pace(options["rate"]), total)
                left = work.left()
        except VaultError as error:
            raise CommandError(f"{error.message} {error.aws_answer}".strip()) from None
        if options["format"] == "json":
            self.stdout.write(json.dumps({"segment": segment, "of": total, "left": left, "counts": counts}, indent=2))
        else:
            done = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()) if count)
            self.stdout.write(f"Segment {segment} of {total}: {done or 'nothing done'}; {left} left.")
        if left and not options["dry_run"]:
            raise CommandError(_LEFT, returncode=2)

    @staticmethod
    def _run(work: Reencryption, pace: Pace, segments: int) -> dict[str, int]:
        about = Card.objects.filter(status=Card.Status.ACTIVE).count() // segments
        with progress(unit="cards", total=about) as seen:
            for outcomes in work.run():
                seen(outcomes.total())
                pace.spend(outcomes[Outcome.RESEALED])
                if not connection.in_atomic_block:
                    close_old_connections()
        return work.counts
