"""How fast a long command goes, and what it shows meanwhile."""

import io
import sys

import pytest

from vault.management.progress import progress
from vault.pace import Pace


class Clock:
    """Time that passes while somebody sleeps, and when it is told to."""

    def __init__(self):
        self.now = 0.0
        self.naps = []

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def paced(clock, rate):
    return Pace(rate, clock=lambda: clock.now, sleep=clock.sleep)


def test_a_pace_waits_for_what_is_due(clock):
    pace = paced(clock, 2)
    pace.spend(1)
    clock.now += 0.25
    pace.spend(1)
    assert clock.naps == [0.5, 0.25]


def test_lost_time_is_not_made_up_for(clock):
    pace = paced(clock, 1)
    clock.now += 60
    pace.spend(2)
    pace.spend(2)
    assert clock.naps == [2]


def test_no_rate_is_no_wait(clock):
    paced(clock, None).spend(1_000_000)
    assert clock.naps == []


def test_nothing_is_shown_or_counted_without_a_terminal(monkeypatch):
    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    with progress(unit="cards", total=lambda: pytest.fail("counted")) as seen:
        seen(1, total=2, at="here")
    assert err.getvalue() == ""


def test_a_terminal_shows_what_is_done_and_where(monkeypatch):
    err = io.StringIO()
    err.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", err)
    with progress(unit="cards", total=lambda: 4) as seen:
        seen(1)
        seen(1, total=2, at="here")
    assert "0/4" in err.getvalue()
    assert "here: 100%" in err.getvalue()
