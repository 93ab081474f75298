"""A plugin of pytest for `make mutants`: what a session of tests needs to begin is made once.

mutmut runs the tests once by itself and then forks for each mutant, with a session of its own in each fork. What is
made here in the first session, every fork has in its memory: the migrated databases and a provisioned vault. And the
tests that find most are tried first.
"""

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mutmut.runners.harness import BadTestExecutionCommandsException, PytestRunner
from mutmut.state import state

# To collect hundreds of tests takes longer than to run the few that find most mutants.
_FIRST: Final = 40
# A status of mutmut's.
_SUSPICIOUS: Final = 35

_databases: dict[str, sqlite3.Connection] = {}
_vaults: list[Path] = []
_originals: dict = {}


def pytest_sessionstart(session) -> None:
    # A plugin is imported before there are settings.
    from django.db.backends.sqlite3.creation import DatabaseCreation

    from tests import vaults

    if not _originals:
        _originals.update(create_test_db=DatabaseCreation.create_test_db, fill=vaults.fill)
        _originals.update(run_tests=PytestRunner.run_tests)
        DatabaseCreation.create_test_db = _create_test_db
        vaults.fill = _fill
        PytestRunner.run_tests = _run_tests


def pytest_runtest_setup() -> None:
    # What an earlier test folded was folded before there was a mutant.
    from vault.redaction import reading

    reading._FOLDING.clear()


def _run_tests(self: PytestRunner, *, mutant_name: str | None, tests: Iterable[str]) -> int:
    ordered = _ordered(tests)
    try:
        failed: int = _originals["run_tests"](self, mutant_name=mutant_name, tests=ordered[:_FIRST])
        if not failed and (rest := ordered[_FIRST:]):
            failed = _originals["run_tests"](self, mutant_name=mutant_name, tests=rest)
    except BadTestExecutionCommandsException:
        # A test that pytest does not find by its name would otherwise find every mutant.
        return _SUSPICIOUS
    return failed


def _ordered(tests: Iterable[str]) -> list[str]:
    """The short ones first, and one case of each before the next: what a test did not find, its next case seldom does."""
    durations = state().duration_by_test
    seen: Counter[str] = Counter()
    costs: dict[str, float] = {}
    for test in sorted(tests, key=lambda test: (durations[test], test)):
        name = test.partition("[")[0]
        seen[name] += 1
        costs[test] = durations[test] * seen[name]
    return sorted(costs, key=costs.__getitem__)


def _create_test_db(self, *args, **kwargs) -> str:
    from django.conf import settings

    alias = self.connection.alias
    if alias not in _databases:
        name = _originals["create_test_db"](self, *args, **kwargs)
        _databases[alias] = sqlite3.connect(":memory:")
        self.connection.connection.backup(_databases[alias])
        return name
    name = self._get_test_db_name()
    self.connection.close()
    settings.DATABASES[alias]["NAME"] = self.connection.settings_dict["NAME"] = name
    self.connection.ensure_connection()
    _databases[alias].backup(self.connection.connection)
    return name


def _fill(folder: Path) -> None:
    if not _vaults:
        template = Path(tempfile.mkdtemp()) / "vault"
        _originals["fill"](template)
        _vaults.append(template)
    shutil.copytree(_vaults[0], folder, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
