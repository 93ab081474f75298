"""Trial C3: an import of very many rows that is killed on its way."""

import json
import os
import pty
import re
import subprocess
import sys
import termios
import time
from contextlib import suppress

import pytest

from tests.cards import CANARY_BIN, with_check_digit
from tests.load.memory import peak
from tests.load.scale import scaled, tell
from tests.vault.importing_files import read_table

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.killed]

ROWS = scaled("LOAD_ROWS", few=2_000, full=1_000_000)
MEGABYTE = 1024 * 1024


def write(path, start, count):
    """A file of cards that nobody has kept yet."""
    with path.open("w") as file:
        file.write("number,reference\n")
        for number in range(start, start + count):
            file.write(f"{with_check_digit(f'{CANARY_BIN}{number:07d}')},r{number}\n")
    return path


def settled(journal):
    """The row up to which a journal has all that was settled, or 0."""
    if not journal.exists():
        return 0
    with journal.open("rb") as file:
        file.seek(max(0, journal.stat().st_size - 4096))
        lines = [
            line
            for line in file.read().splitlines(keepends=True)
            if line.startswith(b'{"row"') and line.endswith(b"\n")
        ]
    return json.loads(lines[-1])["row"] if lines else 0


def run(shop, path, output, *, until=None):
    """Run an import on a terminal; kill it once row `until` is settled. Its most memory, and what the terminal showed."""
    ours, theirs = pty.openpty()
    # One without columns has room for no progress.
    termios.tcsetwinsize(theirs, (24, 120))
    command = [
        sys.executable,
        "manage.py",
        "vault_import",
        str(path),
        f"--output={output}",
        f"--events={output}.events",
    ]
    process = subprocess.Popen(command, env=shop.environment, stdout=subprocess.DEVNULL, stderr=theirs, close_fds=True)
    os.close(theirs)
    os.set_blocking(ours, False)
    most, shown = 0, b""
    while process.poll() is None:
        with suppress(ProcessLookupError, FileNotFoundError):
            most = max(most, peak(process.pid))
        with suppress(BlockingIOError, OSError):
            shown = (shown + os.read(ours, 65536))[-4096:]
        if until is not None and settled(output.with_name(f"{output.name}.journal")) >= until:
            process.kill()
            break
        time.sleep(0.02)
    code = process.wait()
    os.close(ours)
    assert code == (0 if until is None else -9), shown[-500:]
    return most, shown.decode(errors="replace")


def test_a_killed_import_keeps_each_card_once_in_as_little_memory_as_a_tenth_of_it(shop, added, tmp_path):
    few = ROWS // 10
    little, _ = run(shop, write(tmp_path / "few.csv", 3_000_000, few), tmp_path / "few-tokens.csv")
    path, output = write(tmp_path / "many.csv", 4_000_000, ROWS), tmp_path / "tokens.csv"
    began = time.monotonic()
    before_the_kill, shown = run(shop, path, output, until=ROWS // 2)
    after_the_kill, shown_later = run(shop, path, output)
    seconds = time.monotonic() - began
    path.unlink()
    tell(
        f"{ROWS:,} rows in {seconds:.0f} s, killed at {ROWS // 2:,}; at most {little / MEGABYTE:.0f} MB for {few:,} rows, "
        f"{before_the_kill / MEGABYTE:.0f} MB until it was killed, {after_the_kill / MEGABYTE:.0f} MB after"
    )
    # What is left to do, and for how long: as tqdm writes it.
    assert re.search(r"\d+%.*\[\d+:\d+<\d+:\d+", shown), shown[-300:]
    assert re.search(r"\d+%.*\[\d+:\d+<\d+:\d+", shown_later), shown_later[-300:]
    kept = read_table(output)
    assert [int(line["row"]) for line in kept] == list(range(2, ROWS + 2))
    assert [line["reference"] for line in kept] == [f"r{number}" for number in range(4_000_000, 4_000_000 + ROWS)]
    assert len({line["token"] for line in kept}) == ROWS
    assert added() == {"orders": 0, "cards": ROWS + few, "records": ROWS + few, "items": 2 * (ROWS + few)}
    assert max(little, before_the_kill, after_the_kill) < 250 * MEGABYTE
    # Nine tenths more of the rows, and no more memory but for what an allocator does.
    assert max(before_the_kill, after_the_kill) - little < 12 * MEGABYTE
