"""The memory of an import of very many rows, as Linux counts it for `manage.py vault_import`.

    python -m tests.mariadb --durable -- python -m benchmarks.imports

The numbers are made up, of a BIN of test cards. AWS is played by `benchmarks.standin`, and the data key is reused, as
for so many cards it would be. Memory that grew with the rows would show between the decades.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.requests import installation, prepared
from benchmarks.table import Row, say

ROWS = int(os.environ.get("IMPORT_ROWS", "1000000"))
LATENCY_MS = float(os.environ.get("IMPORT_LATENCY_MS", "5"))
#: The product's promise (docs/import.md), in MB; and how much more the last tenth may take than the first.
MOST_MB = 250
MEGABYTE = 1024 * 1024
_LOOK_SECONDS = 0.05


@dataclass
class Seen:
    """What was seen of an import: memory and seconds when so many hundredths of the rows were settled."""

    peak: int = 0
    resident: dict[int, int] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)

    def rate(self, begin: int, end: int) -> float:
        """Rows a second between two hundredths."""
        return ROWS * (end - begin) / 100 / (self.seconds[end] - self.seconds[begin])


def write(path: Path) -> None:
    from tests.cards import CANARY_BIN, with_check_digit

    with path.open("w") as file:
        file.write("number,reference\n")
        for number in range(ROWS):
            file.write(f"{with_check_digit(f'{CANARY_BIN}{number:07d}')},r{number}\n")


def settled(journal: Path) -> int:
    """How many rows a journal has as settled; they follow a header."""
    with suppress(FileNotFoundError), journal.open("rb") as file:
        file.seek(max(0, journal.stat().st_size - 4096))
        lines = [line for line in file.read().splitlines(keepends=True) if line.startswith(b'{"row"')]
        if whole := [line for line in lines if line.endswith(b"\n")]:
            return int(json.loads(whole[-1])["row"]) - 1
    return 0


def watched(shop: Any, path: Path) -> Seen:
    """Import a file and look at the process all the while."""
    from tests.load.memory import peak, resident

    output = path.with_name("tokens.csv")
    command = [sys.executable, "-W", "ignore", "manage.py", "vault_import", str(path), f"--output={output}"]
    seen, waiting = Seen(), [10, 50, 100]
    began = time.perf_counter()
    with subprocess.Popen(
        [*command, f"--events={os.devnull}"], env=shop.environment, cwd=shop.root, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            done = settled(output.with_name(f"{output.name}.journal")) * 100 / ROWS
            # A process that has just ended has no memory any more.
            with suppress(FileNotFoundError):
                seen.peak = max(seen.peak, peak(process.pid))
                if waiting and done >= waiting[0] and (now := resident(process.pid)):
                    seen.resident[waiting[0]] = now
                    seen.seconds[waiting[0]] = time.perf_counter() - began
                    sys.stderr.write(f"{waiting.pop(0)} %: {now / MEGABYTE:.0f} MB\n")
            time.sleep(_LOOK_SECONDS)
    if process.returncode:
        raise SystemExit("The import failed.")
    return seen


def row_of(seen: Seen, counts: Any) -> Row:
    decades = ", ".join(f"{now / MEGABYTE:.0f} MB at {part} %" for part, now in seen.resident.items())
    kms = sum(counts[name] for name in ("GenerateDataKey", "Decrypt"))
    rates = f"{seen.rate(10, 50):.0f} and then {seen.rate(50, 100):.0f} rows/s" if len(seen.seconds) > 2 else ""
    return Row(
        what=f"memory of an import of {ROWS:,} rows: {decades}",
        peer=f"{MOST_MB} MB",
        ours=f"at most {seen.peak / MEGABYTE:.0f} MB",
        theirs=rates,
        ratio=seen.peak / MEGABYTE / MOST_MB,
        reach=1,
        is_at_most=True,
        counts=f"{kms} KMS, {counts.total() - kms} DynamoDB",
    )


def main() -> None:
    with installation("reused", latency=LATENCY_MS / 1000) as (shop, aws):
        prepared(shop)
        path = shop.folder / "cards.csv"
        write(path)
        aws.forget()
        seen = watched(shop, path)
        say(row_of(seen, aws.counts()))


if __name__ == "__main__":
    main()
