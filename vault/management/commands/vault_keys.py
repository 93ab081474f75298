from __future__ import annotations

import json
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from vault.backend import current_vault
from vault.exceptions import VaultError
from vault.inventory import InventoryEntry, exported, inventory
from vault.management.operators import OperatorCommand
from vault.management.progress import progress
from vault.stdout import taken

_HEAD: Final = ("purpose", "number", "state", "algorithm", "bits", "age", "until", "items", "key")


class Command(OperatorCommand):
    help = (
        "List the keys of the vault: purpose, algorithm, strength, age, end of the cryptoperiod, and how many items "
        "are under each, by a scan that opens nothing. Ends with 2 if a key in use is past its cryptoperiod, 1 if the "
        "list could not be made."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-items", action="store_true", help="do not scan the table")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with taken(), progress(unit="items") as seen:
                entries = list(inventory(current_vault(), counts=not options["no_items"], seen=seen))
        except VaultError as error:
            raise CommandError(f"{error.message} {error.aws_answer}".strip()) from None
        if options["format"] == "json":
            self.stdout.write(json.dumps([exported(entry) for entry in entries], indent=2))
        else:
            self._table(entries)
        if any(entry.is_overdue for entry in entries):
            raise CommandError("A key in use is past its cryptoperiod. Run vault_rotate.", returncode=2)

    def _table(self, entries: list[InventoryEntry]) -> None:
        rows = [_HEAD, *(_row(entry) for entry in entries)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
        for row in rows:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(entry: InventoryEntry) -> tuple[str, ...]:
    until = f"{entry.cryptoperiod_end}{' overdue' if entry.is_overdue else ''}"
    items = "" if entry.items is None else str(entry.items)
    strength = (entry.algorithm, str(entry.bits))
    return (entry.purpose, str(entry.number), entry.state, *strength, f"{entry.age} d", until, items, entry.key)
