"""An import that is killed again and again, as a process of its own; and one of many rows in little memory."""

import json
import random
import subprocess
import time

import pytest

from tests.cards import CANARY_BIN, NUMBERS, with_check_digit
from tests.processes import installation, kill_after
from tests.vault.importing_files import read_lines, read_table, write_csv, write_jsonl

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.killed]
__all__ = ["installation"]

ROWS = 2000
# Each of these is no card.
BAD = frozenset(range(50, ROWS, 97))
MEGABYTE = 1024 * 1024


COUNT = """
from vault.backend import current_vault
from vault.models import Card
pages = current_vault().session.dynamodb().get_paginator("scan").paginate(TableName=current_vault().config.TABLE)
keys = [item["token"]["S"] for page in pages for item in page["Items"]]
print(Card.objects.count(), sum(key.startswith("tok1_") for key in keys))
"""
PEAK = """
import re, sys
from django.core.management import execute_from_command_line as run
try:
    run(["manage.py", "vault_import", sys.argv[1], "--dry-run", "--report=json"])
except SystemExit:
    # Of this program alone: what the process was forked from counts in ru_maxrss.
    print(re.search(r"VmHWM:\\s+([0-9]+) kB", open("/proc/self/status").read())[1])
"""


def count_cards(installation):
    """How many cards SQL knows, and how many the vault has."""
    return tuple(map(int, installation.run(COUNT).split()))


def settled(journal):
    """The last row that a journal has whole, or 0."""
    lines = journal.read_text().splitlines(keepends=True)[1:] if journal.exists() else []
    return max((json.loads(line)["row"] for line in lines if line.endswith("\n")), default=0)


def kill_now_and_then(begin, journal, *, times):
    """Kill an import at `times` random moments of its work, after each of which it has come further."""
    moments = random.Random(11)  # noqa: S311 - moments
    for _ in range(times):
        before = settled(journal)
        process = begin()
        deadline = time.monotonic() + 60
        while settled(journal) == before and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert kill_after(process, moments.uniform(0, 0.12)), "It was over before it was killed."


@pytest.mark.parametrize("kind", ["csv", "jsonl", "stdin"])
def test_a_killed_import_goes_on_and_has_each_row_once(installation, tmp_path, canary, kind):
    numbers = [with_check_digit(f"{NUMBERS['visa'][0][:8]}{number:07d}") for number in range(ROWS)]
    # One is looked for. More of one BIN would be found in SQLite's file, where BIN and last four stand side by side.
    numbers[700] = canary("import row")
    rows = [("0" if n in BAD else digits, "02/30", f"r{n}") for n, digits in enumerate(numbers)]
    if kind == "csv":
        path, output, first = write_csv(tmp_path / "in.csv", rows), tmp_path / "tokens.csv", 2
    else:
        objects = [dict(zip(("number", "expires", "reference"), row, strict=True)) for row in rows]
        path, output, first = write_jsonl(tmp_path / "in.jsonl", objects), tmp_path / "tokens.jsonl", 1
    name = "-" if kind == "stdin" else path
    arguments = [name, f"--format={path.suffix[1:]}", f"--output={output}"]

    def begin():
        with path.open("rb") as stream:
            return installation.start("vault_import", *arguments, stdin=stream if kind == "stdin" else None)

    kill_now_and_then(begin, output.with_name(f"{output.name}.journal"), times=3)
    with path.open("rb") as stream:
        said = installation.manage("vault_import", *arguments, "--report=json", code=2, stdin=stream)

    kept = read_table(output) if kind == "csv" else read_lines(output)
    rejects = read_lines(output.with_suffix(".rejects.jsonl"))
    assert [int(line["row"]) - first for line in kept] == [number for number in range(ROWS) if number not in BAD]
    assert [line["row"] - first for line in rejects] == sorted(BAD)
    assert [(line["last4"], line["reference"]) for line in kept] == [
        (digits[-4:], reference) for number, (digits, _, reference) in enumerate(rows) if number not in BAD
    ]
    assert len({line["token"] for line in kept}) == ROWS - len(BAD)
    assert count_cards(installation) == (ROWS - len(BAD), ROWS - len(BAD))
    # Before leaks are looked for: this is the one file that may have digits.
    path.unlink()
    counts = json.loads(said)
    assert (counts["rows"], counts["rejected"]) == (ROWS, len(BAD))
    assert counts["created"] + counts["existing"] == ROWS - len(BAD)


def test_memory_does_not_grow_with_the_file(installation, tmp_path):
    path = tmp_path / "many.csv"
    peaks = []
    for count in (500, 50_000):
        with path.open("w") as file:
            file.write("number,reference\n")
            for number in range(count):
                file.write(f"{with_check_digit(f'{CANARY_BIN}{number:07d}')},r{number}\n")
            # A line that would be 30 MB in memory.
            file.write("4" * 30 * MEGABYTE + "\n")
        peaks.append(peak_of_a_dry_run(installation, path, rows=count + 1))
    assert peaks[1] < 250 * MEGABYTE
    assert peaks[1] - peaks[0] < 8 * MEGABYTE


def peak_of_a_dry_run(installation, path, *, rows):
    """The most memory, in bytes, that the process had."""
    process = installation.script(PEAK, path, stdout=subprocess.PIPE, text=True)
    report, peak = process.communicate()[0].splitlines()
    assert (json.loads(report)["rows"], json.loads(report)["rejected"]) == (rows, 1)
    return int(peak) * 1024
