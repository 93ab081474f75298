from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from billing.cardscripts.inventory import Drift, drift_of_files, read, renew
from billing.cardscripts.live import Browser, NotExamined, examine
from vault.management.operators import OperatorCommand

_DRIFTED: Final = "Not everything is as in the inventory of scripts."


class Command(OperatorCommand):
    help = (
        "Hold the scripts of pages that have a card number against the committed inventory: the files of this "
        "installation and, at the addresses given, what is delivered now, with inline scripts, handlers and headers. "
        "Ends with 0 if all is as in the inventory, 1 if something is not, 2 if that could not be found out."
    )
    not_understood = 2

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("urls", nargs="*", metavar="URL", help="a page of the inventory on a live server")
        parser.add_argument(
            "--cookies", metavar="FILE", help="cookies of somebody signed in, as `curl --cookie-jar` writes them"
        )
        parser.add_argument(
            "--write", action="store_true", help="take the hashes of this installation over, after a change of scripts"
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, urls: list[str], **options: Any) -> None:
        if options["write"]:
            self.stdout.write("\n".join([*renew(), "The inventory is written. Look at what changed, and commit it."]))
        inventory = read()
        drift = list(drift_of_files(inventory))
        try:
            browser = Browser(options["cookies"])
            for url in urls:
                drift += examine(url, inventory, browser)
        except NotExamined as error:
            raise CommandError(str(error), returncode=2) from None
        if options["format"] == "json":
            self.stdout.write(json.dumps([asdict(each) for each in drift], indent=2))
        else:
            self._tell(drift)
        if drift:
            raise CommandError(_DRIFTED, returncode=1)

    def _tell(self, drift: list[Drift]) -> None:
        for each in drift:
            self.stdout.write(self.style.ERROR(f"{each.where}  {each.what}: {each.problem}"))
        if not drift:
            self.stdout.write(self.style.SUCCESS("All is as in the inventory of scripts."))
