"""A real scan, killed in the middle and started again: nothing is missed, nothing is counted twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = 3_000
EVERY = 10
is_mysql = settings.DATABASES["default"]["ENGINE"].endswith("mysql")
FILL = """
import sys, django
django.setup()
from django.db import connection
digits = sys.stdin.read().strip()
notes = [(f"card {digits}" if number % int(sys.argv[2]) == 0 else "fine",) for number in range(int(sys.argv[1]))]
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE foreign_notes (id INTEGER PRIMARY KEY " + sys.argv[3] + ", note TEXT)")
    cursor.executemany("INSERT INTO foreign_notes (note) VALUES (%s)", notes)
"""
READ = """
import json, sys, django
django.setup()
from vault.models import Incident, Run
print(json.dumps([
    list(Incident.objects.values_list("source", "found")),
    [place for incident in Incident.objects.all() for place in incident.strays.values_list("place", flat=True)],
    list(Run.objects.order_by("pk").values_list("state", "counts")),
]))
"""


@pytest.fixture
def environment(tmp_path):
    """The environment of processes with databases of their own."""
    environment = {
        "DJANGO_SETTINGS_MODULE": "billing.settings.local",
        "DATA_DIR": str(tmp_path),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONWARNINGS": "ignore",
    }
    name = f"scan_{os.getpid()}"
    if is_mysql:
        sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        server, socket = os.environ["DATABASE_URL"].split("?")
        environment["DATABASE_URL"] = f"{server.rpartition('/')[0]}/{name}?{socket}"
    for alias in ("default", "audit"):
        run(environment, "manage.py", "migrate", "--database", alias, "--verbosity", "0")
    yield environment
    if is_mysql:
        sql(f"DROP DATABASE {name}")


def sql(statement):
    with connections["default"].cursor() as cursor:
        cursor.execute(statement)


def run(environment, *arguments, code=0, text=None):
    result = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, input=text
    )
    assert result.returncode == code, result.stderr[-2000:]
    return result.stdout


def state(environment):
    import json

    return json.loads(run(environment, "-c", READ))


def test_a_scan_that_is_killed_misses_nothing_and_counts_nothing_twice(environment, canary, leaks, tmp_path):
    digits = canary("foreign notes")
    leaks.allow("foreign notes", sink="file", reason="planted for the scan to find")
    run(environment, "-c", FILL, str(ROWS), str(EVERY), "AUTO_INCREMENT" if is_mysql else "", text=digits)
    kills = 0
    for _ in range(3):
        command = ["manage.py", "vault_scan", "--rate=1500"]
        scan = subprocess.Popen(
            [sys.executable, *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        found = sum(count for _, count in state(environment)[0])
        deadline = time.monotonic() + 60
        # In the middle of the table: something more was committed, and more is to come.
        while scan.poll() is None and time.monotonic() < deadline:
            incidents, _, _ = state(environment)
            if (now := sum(count for _, count in incidents)) > found and now < ROWS // EVERY:
                break
        if scan.poll() is None:
            scan.send_signal(signal.SIGKILL)
            kills += 1
        scan.wait()
    said = run(environment, "manage.py", "vault_scan", code=2)
    assert kills
    incidents, places, runs = state(environment)
    assert incidents == [["default.foreign_notes.note", ROWS // EVERY]]
    assert sorted(places) == sorted(f"default.foreign_notes.note id={number + 1}" for number in range(0, ROWS, EVERY))
    assert [state for state, _ in runs] == ["done"], runs
    assert runs[0][1]["found"] == ROWS // EVERY
    assert "It went on where it had been stopped." in said
    assert digits[:12] not in said
