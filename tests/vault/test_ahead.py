"""The data key of the next new card, drawn while DynamoDB is waited for."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cards import NUMBERS
from vault import ahead, services
from vault.ahead import Drawn, DrawnAhead
from vault.backend import Vault
from vault.exceptions import VaultUnavailable
from vault.pan import PAN
from vault.rotation import Rotation
from vault.tokens import Token

PANS = [PAN(numbers[0]) for numbers in NUMBERS.values()]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(ahead, "_HEAD_START", 0)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Source:
    """Draws, and counts; hangs while it is held."""

    def __init__(self):
        self.drawn = []
        self.let = threading.Event()
        self.let.set()
        self.begun = threading.Event()
        self.error = None

    def __call__(self):
        self.begun.set()
        assert self.let.wait(10)
        if self.error:
            raise self.error
        self.drawn.append(Drawn(Token.generate(), object()))
        return self.drawn[-1]


@pytest.fixture
def source():
    return Source()


def hanging(source):
    """One that is on its way and does not come before it is let."""
    spare = DrawnAhead(source, max_age=300)
    source.let.clear()
    spare.prepare()
    assert source.begun.wait(10)
    return spare


def drawn(spare):
    """Wait for what is being drawn."""
    spare._thread.submit(int).result(10)


def test_one_is_drawn_and_given_once(source):
    spare = DrawnAhead(source, max_age=300)
    assert spare.take() is None
    spare.prepare()
    spare.prepare()
    assert source.begun.wait(10)
    assert spare.take() is source.drawn[0]
    assert spare.take() is None
    assert len(source.drawn) == 1


def test_one_on_its_way_is_waited_for(source):
    spare = hanging(source)
    with ThreadPoolExecutor(1) as thread:
        taken = thread.submit(spare.take)
        assert not taken.done()
        source.let.set()
        assert taken.result(10) is source.drawn[0]


def test_one_behind_a_call_that_hangs_is_not_waited_for(source):
    spare = hanging(source)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(spare.take)
        deadline = time.monotonic() + 10
        while spare._next is not None:
            assert time.monotonic() < deadline
        spare.prepare()
        assert spare.take() is None
        source.let.set()
        assert waiting.result(10) is source.drawn[0]
    assert len(source.drawn) == 1


def test_nobody_waits_long_for_a_call_that_hangs(source, monkeypatch):
    monkeypatch.setattr(ahead, "PATIENCE", 0.01)
    spare = hanging(source)
    assert spare.take() is None
    source.let.set()


def test_a_process_that_may_have_no_more_threads_goes_without(source, monkeypatch):
    def refused(self):
        raise RuntimeError("can't start new thread")

    spare = DrawnAhead(source, max_age=300)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        spare.prepare()
        assert spare.take() is None
    spare.prepare()
    drawn(spare)
    assert spare.take() in source.drawn


def test_what_fails_says_nothing_and_is_tried_again(source):
    spare = DrawnAhead(source, max_age=300)
    source.error = VaultUnavailable()
    spare.prepare()
    assert source.begun.wait(10)
    assert spare.take() is None
    source.error = None
    source.begun.clear()
    spare.prepare()
    assert source.begun.wait(10)
    assert spare.take() is source.drawn[0]


@pytest.mark.parametrize(("age", "is_good"), [(299.9, True), (300, False)])
def test_one_is_good_for_as_long_as_a_data_key_is(source, age, is_good):
    clock = Clock()
    spare = DrawnAhead(source, max_age=300, clock=clock)
    spare.prepare()
    drawn(spare)
    clock.now = age
    assert (spare.take() is not None) is is_good


# --- In the vault --------------------------------------------------------------------------------------------------------


def forward(vault):
    """Have the vault draw ahead, as a server does. Otherwise not with the embedded engine, which waits for a disk alone."""
    vault.store._ahead = DrawnAhead(vault.store._draw, max_age=300)


def test_the_next_new_card_waits_for_kms_no_more(vault, wire):
    forward(vault)
    first = vault.store.keep(PANS[:1])
    drawn(vault.store._ahead)
    wire.calls.clear()
    ready = vault.store._ahead._next.result()[0]
    (second,) = vault.store.keep(PANS[1:2])
    # The one call is for the card after it.
    drawn(vault.store._ahead)
    assert dict(wire.calls) == {"BatchGetItem": 1, "TransactWriteItems": 1, "GenerateDataKey": 1}
    assert second.token == ready.token
    opened = vault.store.open([first[0].token, second.token])
    assert [each.record.pan for each in opened] == PANS[:2]
    assert opened[1].state == second.written


def test_known_cards_and_many_at_once_draw_none(vault, wire):
    forward(vault)
    vault.store.keep(PANS[:1])
    drawn(vault.store._ahead)
    ready = vault.store._ahead._next
    wire.calls.clear()
    vault.store.keep(PANS[:1])
    drawn(vault.store._ahead)
    assert dict(wire.calls) == {"BatchGetItem": 1}
    vault.store.keep(PANS[1:4])
    drawn(vault.store._ahead)
    assert wire.calls["GenerateDataKey"] == 3
    assert vault.store._ahead._next is ready


def test_what_kms_refuses_ahead_is_told_to_whom_it_is_refused(faults, vault, canary):
    faults.add("fail:AccessDeniedException before call GenerateDataKey #*")
    forward(vault)
    for _ in range(2):
        with pytest.raises(Exception, match="cannot be opened"):
            vault.store.keep([PAN(canary("refused"))])
        vault.store._ahead.prepare()
        drawn(vault.store._ahead)


@pytest.mark.django_db
def test_after_a_rotation_what_was_drawn_before_seals_nothing(vault):
    forward(vault)
    vault.store.keep(PANS[:1])
    drawn(vault.store._ahead)
    stale = vault.store
    Rotation(Vault(vault.config), sleep=lambda seconds: None).rotate_card_key()
    vault._read_at -= vault.config.KEYS_MAX_AGE
    with pytest.raises(VaultUnavailable):
        stale.keep(PANS[1:2])
    token = services.tokenize(PANS[1]).token
    assert vault.store.is_current(vault.store.read([token])[token])


@pytest.mark.parametrize(
    ("settings_of", "is_on"),
    [
        ({"DATA_KEY_AHEAD": True, "BACKEND": "aws"}, True),
        ({"DATA_KEY_AHEAD": True, "BACKEND": "aws", "MATERIALS": "reused"}, False),
        ({"DATA_KEY_AHEAD": False, "BACKEND": "aws"}, False),
        ({"DATA_KEY_AHEAD": True, "BACKEND": "aws", "CALLS_AT_ONCE": 1}, False),
        ({"DATA_KEY_AHEAD": True}, False),
    ],
    ids=["on", "one-key-for-many", "off", "one-call-at-once", "embedded"],
)
def test_it_is_for_those_who_wait_for_kms(vault, settings, monkeypatch, settings_of, is_on):
    from vault.conf import vault_config

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    ring, keys = vault.ring, vault._fingerprint_keys
    settings.VAULT = settings.VAULT | settings_of
    other = Vault(vault_config())
    other._fingerprint_keys = dict(keys)
    assert (other._build_store(ring)._ahead is not None) is is_on
