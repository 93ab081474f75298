import threading
import time
from contextvars import ContextVar

import pytest

from vault.sidebyside import CALLS_AT_ONCE, side_by_side

pytestmark = pytest.mark.either
WHO = ContextVar("WHO", default="nobody")


class Calls:
    """Calls that end when they are let, and what was seen of them."""

    def __init__(self):
        self.begun = []
        self.most = 0
        self.lock = threading.Lock()
        self.running = 0

    def send(self, number):
        with self.lock:
            self.begun.append(number)
            self.running += 1
            self.most = max(self.most, self.running)
        # The later ones end first.
        time.sleep(0.05 - number * 0.004)
        with self.lock:
            self.running -= 1
        return number * 10


def test_answers_come_in_the_order_of_the_requests_with_a_few_on_their_way():
    calls = Calls()
    assert list(side_by_side(calls.send, range(10), is_one=False)) == [(each, each * 10) for each in range(10)]
    assert calls.most == CALLS_AT_ONCE


def test_a_request_is_made_in_the_thread_that_asks_and_not_before_there_is_a_place_for_it():
    calls, made = Calls(), []

    def requests():
        for number in range(10):
            made.append((threading.current_thread(), number - len(calls.begun)))
            yield number

    list(side_by_side(calls.send, requests(), is_one=False))
    assert {thread for thread, _ in made} == {threading.current_thread()}
    # Made and not begun: the one at hand, while a thread takes up those before.
    assert max(ahead for _, ahead in made) <= CALLS_AT_ONCE


def test_one_request_is_sent_where_it_is_made():
    def send(number):
        return threading.current_thread()

    assert [answer for _, answer in side_by_side(send, [1], is_one=True)] == [threading.current_thread()]


def test_threads_know_who_asks():
    token = WHO.set("somebody")
    try:
        answers = [answer for _, answer in side_by_side(lambda number: WHO.get(), [1, 2], is_one=False)]
    finally:
        WHO.reset(token)
    assert answers == ["somebody", "somebody"]


def test_after_a_failure_no_request_is_made_and_what_is_on_its_way_is_waited_for():
    ended, made = [], []

    def send(number):
        if number == 1:
            raise ConnectionError
        time.sleep(0.05)
        ended.append(number)

    def requests():
        for number in range(100):
            made.append(number)
            yield number

    with pytest.raises(ConnectionError):
        list(side_by_side(send, requests(), is_one=False))
    assert len(made) <= CALLS_AT_ONCE + 2
    assert sorted([*ended, 1]) == made[:-1] or sorted([*ended, 1]) == made


def test_a_failure_to_make_a_request_waits_for_those_on_their_way():
    ended = []

    def send(number):
        time.sleep(0.05)
        ended.append(number)

    def requests():
        yield from range(3)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        list(side_by_side(send, requests(), is_one=False))
    assert sorted(ended) == [0, 1, 2]
