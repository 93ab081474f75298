"""Is any card of a run anywhere on the disk? Tables, items and files are searched by the scanner that every test has.

Of the cards that are known to all workers the first ones are looked for in every spelling; of the rest digits are, in
every disguise and packing.
"""

import time
from pathlib import Path

from django.db import connections

from tests.leaks import Scanner, Sink
from tests.leaks.remains import _collect_tables
from vault.backend import current_vault

#: Each of these goes through every operation many times; one more is a tenth of the time again.
FULLY = 3
_CHUNK = 4 * 1024 * 1024
# What stands across the border of two chunks is in both.
_OVERLAP = 4096
_EMPTY = bytes(4096)


class Search:
    """Looks for the cards of a run."""

    def __init__(self, seed: str, numbers: dict[str, int]) -> None:
        """`numbers` has the label of each."""
        self.scanner = Scanner(seed, fully=FULLY)
        self.size = 0
        self.seconds = 0.0
        self.leaks: list[str] = []
        for digits in sorted(numbers, key=numbers.__getitem__):
            self.scanner.watch(digits, label=f"card {numbers[digits]}")

    def everywhere(self, places: list[Path]) -> None:
        """Fill `leaks`: which card, where, and how it was spelled."""
        started = time.monotonic()
        self.tables()
        self.items()
        for place in places:
            self.files(place)
        self.leaks = self.scanner.leaks()
        self.seconds = round(time.monotonic() - started, 1)

    def tables(self) -> None:
        for alias in connections:
            _collect_tables(self.scanner, alias)

    def items(self) -> None:
        """As DynamoDB hands them out, seals and wrapped keys among them."""
        pages = (
            current_vault().session.dynamodb().get_paginator("scan").paginate(TableName=current_vault().config.TABLE)
        )
        for page in pages:
            self.scanner.record(Sink.DYNAMODB, page["Items"])

    def files(self, folder: Path) -> None:
        for path in [folder, *folder.rglob("*")] if folder.is_dir() else [folder]:
            self.scanner.record(Sink.FILE, path.name, "names")
            if path.is_file():
                self._file(path)

    def _file(self, path: Path) -> None:
        with path.open("rb") as stream:
            before = b""
            while chunk := stream.read(_CHUNK):
                self.size += len(chunk)
                # Files of databases are made in advance: most of some is nothing.
                text = chunk.replace(_EMPTY, b"\0\0")
                self.scanner.record(Sink.FILE, before + text, path.name)
                before = text[-_OVERLAP:]
