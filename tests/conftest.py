"""Fixtures for every test. The leak scanner is on for each of them: see `tests.leaks`."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from django.db import connections
from django.test import override_settings
from django.utils import translation

from tests.browsers import chromium, complaints, visit
from tests.cards import NUMBERS
from tests.faults import Faults
from tests.leaks import LeakFound, Scanner, Sink, remains, sinks
from tests.trail import trail
from tests.vaults import any_vault, provisioned_folder, vault, vault_settings
from tests.wire import wire
from vault.audit import triggers

__all__ = [
    "any_vault",
    "chromium",
    "complaints",
    "provisioned_folder",
    "trail",
    "vault",
    "vault_settings",
    "visit",
    "wire",
]

# It collects the literals of what it runs, the numbers of tests/cards.py among them, and would keep them in a file.
hypothesis.configuration.set_hypothesis_home_dir(os.devnull)
# No database: examples would be kept as well. No deadline: a busy machine is no bug.
hypothesis.settings.register_profile("tests", database=None, deadline=None)
# For `make mutants`: that it fails is all that is asked of a test, and the same examples each time.
hypothesis.settings.register_profile(
    "mutants",
    database=None,
    deadline=None,
    derandomize=True,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile("tests")

SCANNER = pytest.StashKey[Scanner]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Let every test with a database have both connections: nothing happens to a card without an audit event."""
    for item in items:
        if item.get_closest_marker("django_db") or _DATABASE_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            nearest = item.get_closest_marker("django_db")
            options = {"databases": "__all__"} | (nearest.kwargs if nearest else {})
            item.add_marker(pytest.mark.django_db(*(nearest.args if nearest else ()), **options), append=False)
        else:
            item.add_marker("either")


# A vault among them: the first use of its store unwraps the fingerprint key, and that is audited.
_DATABASE_FIXTURES = frozenset({"db", "transactional_db", "live_server", "vault", "any_vault"})


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Tests that commit are followed by a flush of all tables, which the triggers of the audit log would refuse."""
    with django_db_blocker.unblock():
        triggers.drop(connections["audit"])


@pytest.fixture(scope="session", autouse=True)
def data_dir(tmp_path_factory) -> Iterator[Path]:
    """The folder for data of this test run; nothing is written into the repository's own."""
    folder = tmp_path_factory.mktemp("data")
    with override_settings(DATA_DIR=folder, MEDIA_ROOT=folder / "media"):
        yield folder


@pytest.fixture(scope="session", autouse=True)
def leak_sinks() -> Iterator[None]:
    """Everything through which digits could leave is listened to while tests run."""
    with sinks.installed():
        yield


@pytest.fixture(autouse=True)
def leaks(request, leak_sinks) -> Iterator[Scanner]:
    """The leak scanner of this test: `leaks.watch(digits, label=...)`, `leaks.allow(label, sink=..., reason=...)`."""
    scanner = request.node.stash[SCANNER] = Scanner(seed=request.node.nodeid)
    with sinks.feeding(scanner):
        yield scanner


@pytest.fixture(autouse=True)
def no_language() -> Iterator[None]:
    """The language of the last request does not stay for the next test."""
    yield
    translation.deactivate()


@pytest.fixture
def canary(leaks) -> Callable[[str], str]:
    """`canary("order form")` is a fresh card number that must not turn up anywhere; the label says where it goes in."""
    return leaks.canary


@pytest.fixture
def card(leaks) -> Callable[[str], str]:
    """`card("amex")` is a published test number of that brand, watched like a canary."""
    return lambda brand: leaks.watch(NUMBERS[brand][0], label=f"{brand} test card")


@pytest.fixture
def faults() -> Iterator[Faults]:
    """`faults.add("fail:ThrottlingException before call Decrypt #*")`; name it before `vault` and `wire`."""
    with Faults().installed() as faults:
        yield faults


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item):
    """Search for leaks when the test has passed, and while its database still stands."""
    result = yield
    if (scanner := item.stash.get(SCANNER, None)) and scanner.is_armed:
        _record_captured_output(item, scanner)
        folders = [item.funcargs[name] for name in ("data_dir", "tmp_path") if name in item.funcargs]
        remains.collect(scanner, folders)
        _fail_on_leaks(item, scanner)
    return result


def _fail_on_leaks(item, scanner: Scanner) -> None:
    try:
        scanner.check()
    except LeakFound:
        # Pytest shows what a failed test printed, and that may be the leak.
        item._report_sections.clear()
        raise


def _record_captured_output(item, scanner: Scanner) -> None:
    # This hook is outside pytest's capture, so the output of set-up and call has been filed by now.
    for _, kind, content in item._report_sections:
        if kind in (Sink.STDOUT, Sink.STDERR):
            scanner.record(Sink(kind), content)
