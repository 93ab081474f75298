"""How long one waits: for a server to be ready, for its first page, and for `make run` from nothing.

    python -m tests.mariadb --durable -- python -m benchmarks.starts

The server is that of a laptop, on MariaDB. "Nothing" is a fresh clone of what is committed, in a temporary folder: the
requirements come from wherever pip gets them, which takes a network, or from its cache. STARTS_CLONE=0 leaves it out.
Whatever was started is ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.requests import set_up
from benchmarks.table import Row, say

ROOT = Path(__file__).parents[1]
STARTS = int(os.environ.get("STARTS", "5"))
IS_CLONED = os.environ.get("STARTS_CLONE", "1") != "0"
#: A first installation may have to build mysqlclient.
_LONGEST = 600
#: What tells the run of a clone where something is that is not its own.
_OF_OURS = ("AUDIT_DATABASE_URL", "DATABASE_URL", "DATA_DIR", "DJANGO_SETTINGS_MODULE", "PYTHONPATH", "VIRTUAL_ENV")


def answer(url: str) -> int:
    """The status that a page is answered with, redirects followed; 0 if nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=30) as page:  # noqa: S310 - of this machine
            page.read()
            return int(page.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def seconds_until(url: str, process: subprocess.Popen[Any]) -> float:
    """How long it takes until a page is answered with 200. Raises `SystemExit` if it never is."""
    began = time.perf_counter()
    while time.perf_counter() < began + _LONGEST:
        if answer(url) == 200:
            return time.perf_counter() - began
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise SystemExit("It did not start.")


@contextlib.contextmanager
def started(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[Any]]:
    """A process in a group of its own; the whole group is ended."""
    with (folder / "started.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def server() -> list[Row]:
    """A gunicorn with one worker, started again and again on the same data."""
    from tests.processes import installed
    from tests.servers import free_port

    set_up()
    ready, first, second = [], [], []
    with tempfile.TemporaryDirectory(prefix="bench-starts-") as folder, installed(Path(folder)) as shop:
        shop.manage("createcachetable", "--verbosity=0")
        shop.manage("collectstatic", "--no-input", "--verbosity=0")
        for _ in range(STARTS):
            port = free_port()
            # In a folder that is not the project's, Python finds it by its path.
            environment = shop.environment | {"PORT": str(port), "WEB_CONCURRENCY": "1"}
            command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "billing/gunicorn_conf.py")]
            page = f"http://127.0.0.1:{port}"
            with started([*command, "billing.wsgi"], Path(folder), environment) as process:
                ready.append(seconds_until(f"{page}/readyz", process))
                first.append(seconds_until(f"{page}/", process))
                second.append(seconds_until(f"{page}/", process))
    return [
        Row("start of the server until it is ready", "", f"{statistics.median(ready):.1f} s"),
        Row(
            "first page of a server that is ready",
            "the same page again",
            f"{statistics.median(first) * 1000:.0f} ms",
            f"{statistics.median(second) * 1000:.0f} ms",
        ),
    ]


def clone() -> Row:
    """`make run` in a fresh clone, until its page is answered."""
    from tests.servers import free_port

    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name not in _OF_OURS} | {"PORT": str(port)}
    with tempfile.TemporaryDirectory(prefix="bench-run-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "copy"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
        with started(["make", "run"], copy, environment) as process:
            took = seconds_until(f"http://127.0.0.1:{port}/", process)
    return Row("`make run` from nothing until its page is there", "", f"{took:.0f} s")


def main() -> None:
    for row in server():
        say(row)
    if IS_CLONED:
        say(clone())


if __name__ == "__main__":
    main()
