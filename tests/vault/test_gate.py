import gc
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.clocks import clock
from tests.wire import Wire
from vault.aws import AWSSession, client_config
from vault.exceptions import PlaintextRefused, VaultUnavailable
from vault.gate import PATIENCE, TOO_MANY_CALLS, Gate

__all__ = ["clock"]


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as pool:
        yield pool


@contextmanager
def on_its_way(gate):
    """A call of another thread that is on its way; what is given ends it."""
    begun, end = threading.Event(), threading.Event()

    def call():
        context = {}
        gate.enter(context=context)
        begun.set()
        end.wait()
        gate.leave(context=context)

    thread = threading.Thread(target=call)
    thread.start()
    assert begun.wait(30)
    try:
        yield end.set
    finally:
        end.set()
        thread.join()


# --- Places -------------------------------------------------------------------------------------------------------------


def test_one_call_more_than_there_are_places_waits_until_one_ends(clock, pool):
    gate = Gate(2, clock=clock)
    with on_its_way(gate), on_its_way(gate) as end:
        # It could wait for a minute.
        clock.now -= 60
        waiting = pool.submit(gate.enter, context={})
        time.sleep(PATIENCE / 5)
        assert not waiting.done()
        end()
        waiting.result(30)


def test_when_none_ends_it_is_refused_after_a_moment(clock, caplog):
    gate = Gate(2, clock=clock)
    with on_its_way(gate), on_its_way(gate):
        start = time.monotonic()
        with pytest.raises(VaultUnavailable) as caught:
            gate.enter(context={})
    assert time.monotonic() - start >= PATIENCE
    assert caught.value.aws_answer == TOO_MANY_CALLS
    assert TOO_MANY_CALLS in caplog.text


def test_while_aws_hangs_nobody_waits_at_all(clock):
    """The moment is one for all: it is counted from when the last of the hanging calls began."""
    gate = Gate(2, clock=clock)
    with on_its_way(gate), on_its_way(gate):
        clock.now += PATIENCE
        start = time.monotonic()
        for _ in range(100):
            with pytest.raises(VaultUnavailable):
                gate.enter(context={})
        assert time.monotonic() - start < 100 * PATIENCE / 2


def test_a_slow_call_does_not_take_the_hope_that_a_quick_one_ends(clock, pool):
    gate = Gate(2, clock=clock)
    with on_its_way(gate):
        clock.now += 60
        with on_its_way(gate) as end:
            clock.now -= 50
            waiting = pool.submit(gate.enter, context={})
            time.sleep(PATIENCE / 5)
            end()
            waiting.result(5)


def test_whoever_waits_is_before_those_who_make_call_after_call(monkeypatch):
    """A thread that seals a batch is back at the gate before one that waits at it is awake."""
    monkeypatch.setattr("vault.gate.PATIENCE", 5)
    gate, begun, stop = Gate(1), [], threading.Event()

    def seal_a_batch():
        while not stop.is_set():
            context = {}
            gate.enter(context=context)
            begun.append(context)
            time.sleep(0.005)
            gate.leave(context=context)

    with ThreadPoolExecutor(1) as batches:
        batch = batches.submit(seal_a_batch)
        try:
            for _ in range(3):
                while not begun:
                    time.sleep(0.001)
                before, context = len(begun), {}
                gate.enter(context=context)
                # One may have begun between these two lines.
                assert len(begun) - before <= 1
                gate.leave(context=context)
        finally:
            stop.set()
        batch.result()


def test_there_is_hope_for_as_long_as_others_get_places(clock, pool, monkeypatch):
    monkeypatch.setattr("vault.gate.PATIENCE", 30)
    gate, contexts = Gate(1, clock=clock), [{}, {}]
    with on_its_way(gate) as end:
        # The hope that the first gives ends in two seconds.
        clock.now += 28
        waiting = {pool.submit(gate.enter, context=context): context for context in contexts}
        time.sleep(0.2)
        end()
        (first,), (second,) = wait(waiting, return_when=FIRST_COMPLETED)
        first.result()
        time.sleep(2)
        assert not second.done()
        gate.leave(context=waiting[first])
        second.result(5)


def test_a_place_that_was_given_back_is_taken_again(clock):
    gate = Gate(1, clock=clock)
    for _ in range(3):
        context = {}
        gate.enter(context=context)
        gate.leave(context=context)
    with on_its_way(gate):
        pass


def test_giving_back_twice_makes_no_second_place(clock):
    gate = Gate(1, clock=clock)
    context = {}
    gate.enter(context=context)
    gate.leave(context=context)
    gate.leave(context=context)
    with on_its_way(gate):
        clock.now += PATIENCE
        with pytest.raises(VaultUnavailable):
            gate.enter(context={})


def test_a_call_within_a_call_needs_no_second_place(clock):
    """As when credentials are asked for: two threads with a place each would wait for one another."""
    gate = Gate(1, clock=clock)
    outer, inner = {}, {}
    gate.enter(context=outer)
    clock.now += PATIENCE
    gate.enter(context=inner)
    gate.leave(context=inner)
    with ThreadPoolExecutor(1) as pool, pytest.raises(VaultUnavailable):
        pool.submit(gate.enter, context={}).result()


def test_without_a_limit_nobody_waits():
    gate = Gate(0)
    with on_its_way(gate), on_its_way(gate), on_its_way(gate):
        gate.enter(context={})


# --- Calls of botocore --------------------------------------------------------------------------------------------------

KEY = {"Description": "a key"}


@pytest.fixture
def gate(clock):
    return Gate(1, clock=clock)


@pytest.fixture
def session(gate, tmp_path, monkeypatch):
    # Retries without the pauses between them.
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    config = client_config(connect_timeout=1, read_timeout=1, max_attempts=2, max_connections=2)
    return AWSSession(region="eu-central-1", decrypt_key="", config=config, embedded_dir=tmp_path, gate=gate)


def throttled(session, wire):
    wire.fail("CreateKey", "ThrottlingException")
    session.kms().create_key(**KEY)


def broken(session, wire):
    wire.fail("CreateKey", "KMSInternalException", status=500)
    session.kms().create_key(**KEY)


def denied(session, wire):
    wire.fail("CreateKey", "AccessDeniedException")
    session.kms().create_key(**KEY)


def unanswered(session, wire):
    wire.fail("CreateKey", "Timeout")
    session.kms().create_key(**KEY)


def unreachable(session, wire):
    wire.fail("CreateKey", "Refused")
    session.kms().create_key(**KEY)


def answered(session, wire):
    session.kms().create_key(**KEY)


def stopped_by_the_guard(session, wire):
    session.dynamodb().put_item(TableName="t", Item={"pan": {"S": "x"}})


def impossible(session, wire):
    session.kms().create_key(Nonsense=1)


def answered_by_another_handler(session, wire):
    kms = session.kms()
    answer = type("Answer", (), {"status_code": 200})
    kms.meta.events.register_first("before-call.kms", lambda **_: (answer, {}))
    kms.create_key(**KEY)


def failed_by_a_handler_behind_it(session, wire):
    kms = session.kms()
    kms.meta.events.register("after-call", _raise(OSError))
    kms.create_key(**KEY)


def failed_between_gate_and_wire(session, wire):
    kms = session.kms()
    kms.meta.events.register_last("before-call", _raise(OSError))
    kms.create_key(**KEY)


def interrupted(session, wire):
    kms = session.kms()
    kms.meta.events.register_first("before-send.kms", _raise(KeyboardInterrupt))
    kms.create_key(**KEY)


def _raise(error):
    def handle(**_):
        raise error

    return handle


ENDED = [
    throttled,
    broken,
    denied,
    unanswered,
    unreachable,
    stopped_by_the_guard,
    impossible,
    failed_by_a_handler_behind_it,
]


@pytest.mark.parametrize("call", ENDED)
def test_a_call_that_failed_has_given_its_place_back(session, gate, clock, pool, call):
    """Here its error, with all its frames, is still being dealt with."""
    wire = Wire()
    wire.listen(session.botocore)
    with pytest.raises((BotoCoreError, ClientError, PlaintextRefused, OSError)) as caught:
        call(session, wire)
    clock.now += PATIENCE
    # Of another thread: this one would not need a place if it had one.
    pool.submit(gate.enter, context={}).result()
    assert caught.value


@pytest.mark.parametrize(
    "call", [*ENDED, answered, answered_by_another_handler, failed_between_gate_and_wire, interrupted]
)
def test_no_place_is_lost_however_calls_end(session, gate, clock, pool, call):
    wire = Wire()
    wire.listen(session.botocore)
    for _ in range(3):
        with suppress(BotoCoreError, ClientError, PlaintextRefused, OSError, KeyboardInterrupt):
            call(session, wire)
        # One that broke off without a word of botocore has its place until its frames are gone.
        gc.collect()
        clock.now += PATIENCE
        pool.submit(gate.enter, context={}).result()


def test_every_client_of_a_session_takes_places(session, gate, clock):
    """Also the ones that AWS's own materials provider makes."""
    clients = [session.kms(), session.dynamodb(), session.botocore.create_client("kms")]
    with on_its_way(gate):
        clock.now += PATIENCE
        for client in clients:
            with pytest.raises(VaultUnavailable):
                client.list_tables() if hasattr(client, "list_tables") else client.create_key(**KEY)


def test_a_call_that_is_refused_is_not_made(session, gate, clock):
    wire = Wire()
    wire.listen(session.botocore)
    with on_its_way(gate):
        clock.now += PATIENCE
        with pytest.raises(VaultUnavailable):
            session.kms().create_key(**KEY)
    assert wire.calls.total() == 0
