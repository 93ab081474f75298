"""A plugin of pytest for `make mutants`: what a session of tests needs to begin is made once.

mutmut runs the tests once by itself and then forks for each mutant, with a session of its own in each fork. What is
made here in the first session, every fork has in its memory: the migrated databases and a provisioned vault.
"""

import shutil
import sqlite3
import tempfile
from pathlib import Path

_databases: dict[str, sqlite3.Connection] = {}
_vaults: list[Path] = []
_originals: dict = {}


def pytest_sessionstart(session) -> None:
    # A plugin is imported before there are settings.
    from django.db.backends.sqlite3.creation import DatabaseCreation

    from tests import vaults

    if not _originals:
        _originals.update(create_test_db=DatabaseCreation.create_test_db, fill=vaults.fill)
        DatabaseCreation.create_test_db = _create_test_db
        vaults.fill = _fill


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
