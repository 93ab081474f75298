"""A real scan, killed in the middle and started again: nothing is missed, nothing is counted twice."""

import json
import time

import pytest
from django.conf import settings

from tests.processes import installation, kill_after

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.killed]
__all__ = ["installation"]
ROWS = 3_000
EVERY = 10
is_mysql = settings.DATABASES["default"]["ENGINE"].endswith("mysql")
FILL = """
import sys
from django.db import connection
digits = sys.stdin.read().strip()
notes = [(f"card {digits}" if number % int(sys.argv[2]) == 0 else "fine",) for number in range(int(sys.argv[1]))]
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE foreign_notes (id INTEGER PRIMARY KEY " + sys.argv[3] + ", note TEXT)")
    cursor.executemany("INSERT INTO foreign_notes (note) VALUES (%s)", notes)
print("filled")
"""
READ = """
import json
from vault.models import Incident, Run
print(json.dumps([
    list(Incident.objects.values_list("source", "found")),
    [place for incident in Incident.objects.all() for place in incident.strays.values_list("place", flat=True)],
    list(Run.objects.order_by("pk").values_list("state", "counts")),
]))
"""


def state(installation):
    return json.loads(installation.run(READ))


@pytest.fixture
def notes(installation, canary, leaks):
    """The number in the rows of a table that no model knows."""
    digits = canary("foreign notes")
    leaks.allow("foreign notes", sink="file", reason="planted for the scan to find")
    installation.run(FILL, ROWS, EVERY, "AUTO_INCREMENT" if is_mysql else "", stdin=digits)
    return digits


def in_the_middle(installation, scan):
    """Wait until a scan committed something more of the table, and has more to come. False if it was over first."""
    found = sum(count for _, count in state(installation)[0])
    deadline = time.monotonic() + 60
    while scan.poll() is None and time.monotonic() < deadline:
        now = sum(count for _, count in state(installation)[0])
        if found < now < ROWS // EVERY:
            return True
    return False


def test_a_scan_that_is_killed_misses_nothing_and_counts_nothing_twice(installation, notes):
    kills = 0
    for _ in range(3):
        scan = installation.start("vault_scan", "--rate=300")
        in_the_middle(installation, scan)
        kills += kill_after(scan, 0)
    said = installation.manage("vault_scan", code=2)
    assert kills
    incidents, places, runs = state(installation)
    assert incidents == [["default.foreign_notes.note", ROWS // EVERY]]
    assert sorted(places) == sorted(f"default.foreign_notes.note id={number + 1}" for number in range(0, ROWS, EVERY))
    assert [state for state, _ in runs] == ["done"], runs
    assert runs[0][1]["found"] == ROWS // EVERY
    assert "It went on where it had been stopped." in said
    assert notes[:12] not in said


def test_two_scans_at_once_count_nothing_twice(installation, notes):
    scan = installation.start("vault_scan", "--rate=300")
    assert in_the_middle(installation, scan)
    assert installation.manage("vault_scan", code=1) == ""
    # Somebody who insists has it; the other one gives up.
    installation.manage("vault_scan", "--restart", code=2)
    assert scan.wait(timeout=60) == 1
    assert state(installation)[0] == [["default.foreign_notes.note", ROWS // EVERY]]
