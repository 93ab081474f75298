"""Every benchmark beside its peer, one after the other, in one run: the table of docs/benchmarks.md.

    python -m tests.mariadb --durable -- python -m benchmarks [NAME ...]

Names alone run those, and write nothing. Each benchmark is a process of its own with databases of its own names.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.table import HEADINGS, Row, heard

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "benchmarks.md"
NAMES: Final = ("cards", "http_orders", "lists", "starts", "imports", "growth")
_OF_THE_WRAPPER: Final = ("DATABASE_URL", "AUDIT_DATABASE_URL")


def run(name: str) -> list[Row]:
    """The rows of one benchmark. Raises `CalledProcessError` if it failed; its log is on standard error by then."""
    print(f"{datetime.now(UTC):%H:%M} {name}", file=sys.stderr, flush=True)
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}"]
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
        environment = os.environ | {"DATA_DIR": folder} | _databases(name)
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return heard(done.stdout.splitlines())


def _databases(name: str) -> dict[str, str]:
    """Those of the wrapper under names of this benchmark: what one leaves there is in no other's way."""
    server, _, options = os.environ["DATABASE_URL"].partition("?")
    base = server.rpartition("/")[0]
    return {
        "DATABASE_URL": f"{base}/bench_{name}?{options}",
        "AUDIT_DATABASE_URL": f"{base}/bench_{name}_audit?{options}",
    }


def costs() -> str:
    """What a million cards cost: counted calls, no times."""
    with tempfile.TemporaryDirectory(prefix="bench-costs-") as folder:
        environment = {name: value for name, value in os.environ.items() if name not in _OF_THE_WRAPPER}
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.costs"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment | {"DATA_DIR": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
    return done.stdout


def put(page: str, mark: str, text: str) -> str:
    """The page with this text between the two comments. Raises `ValueError` if it has none."""
    before, found, rest = page.partition(f"<!-- {mark} -->\n")
    _, end, after = rest.partition(f"<!-- end of {mark} -->")
    if not (found and end):
        raise ValueError(mark)
    return f"{before}{found}{text}\n{end}{after}"


def machine() -> str:
    """What it was measured on."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*([0-9]+)", Path("/proc/meminfo").read_text())
    gigabytes = int(memory[1]) / 1024**2 if memory else 0
    return (
        f"{os.cpu_count()} processors ({cpu[1] if cpu else platform.machine()}), {gigabytes:.0f} GB, "
        f"{platform.system()} {platform.release().partition('-')[0]}, Python {platform.python_version()}"
    )


def main(names: list[str]) -> None:
    began = time.monotonic()
    rows = [row for name in names or NAMES for row in run(name)]
    lines = "\n".join([HEADINGS, *map(str, rows)])
    minutes = (time.monotonic() - began) / 60
    table = f"{lines}\n\n{datetime.now(UTC):%Y-%m-%d}, in one run of {minutes:.0f} minutes, on {machine()}.\n"
    print(table)
    if not names:
        PAGE.write_text(put(put(PAGE.read_text(), "table", table), "costs", costs()))


if __name__ == "__main__":
    main(sys.argv[1:])
