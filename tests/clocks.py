"""Time that passes when a test says so."""

import pytest


class Clock:
    """Monotonic seconds: `clock.now += 60`."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()
