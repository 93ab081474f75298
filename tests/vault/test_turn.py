import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from tests.clocks import clock
from vault.exceptions import VaultUnavailable
from vault.gate import PATIENCE, Gate, Turn

__all__ = ["clock"]


@contextmanager
def taken(turn, gate=None):
    """A turn that another thread has; with a gate, while it waits for AWS."""
    begun, end = threading.Event(), threading.Event()

    def hold():
        context = {}
        with turn:
            if gate is not None:
                gate.enter(context=context)
            begun.set()
            end.wait()
            if gate is not None:
                gate.leave(context=context)

    thread = threading.Thread(target=hold)
    thread.start()
    assert begun.wait(30)
    try:
        yield end.set
    finally:
        end.set()
        thread.join()


def test_nobody_waits_for_a_turn_of_somebody_whom_aws_holds_up(clock):
    gate = Gate(3, clock=clock)
    turn = Turn(gate)
    with taken(turn, gate):
        clock.now += PATIENCE
        with pytest.raises(VaultUnavailable), turn:
            pass
    with turn:
        pass


@pytest.mark.parametrize(
    ("places", "is_asking", "seconds"),
    [
        pytest.param(3, False, 60, id="works"),
        pytest.param(0, False, 60, id="works, without a limit"),
        pytest.param(3, True, 0, id="has just asked AWS"),
        pytest.param(0, True, 60, id="hangs in AWS, without a limit"),
    ],
)
def test_a_turn_is_waited_for_while_its_holder(clock, places, is_asking, seconds):
    gate = Gate(places, clock=clock)
    turn = Turn(gate)
    with taken(turn, gate if is_asking else None) as end, ThreadPoolExecutor(1) as thread:
        clock.now += seconds
        waiting = thread.submit(turn.__enter__)
        time.sleep(0.1)
        assert not waiting.done()
        end()
        waiting.result()


def test_a_turn_is_given_back_after_an_error_and_can_be_taken_twice(clock):
    turn = Turn(Gate(1, clock=clock))
    with suppress(OSError), turn, turn:
        raise OSError
    with ThreadPoolExecutor(1) as thread:
        thread.submit(turn.__enter__).result()
