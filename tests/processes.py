"""An installation of its own: a database, a vault, and the real processes that work with them."""

import atexit
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections

from tests.mariadb import program

#: Alias by the variable that names its database.
_SQL = {"DATABASE_URL": "default", "AUDIT_DATABASE_URL": "audit"}
_numbers = itertools.count()


class Installation:
    """Runs `manage.py` and scripts as processes, in an environment in which nothing else works."""

    #: The code that runs.
    root = Path(__file__).parents[1]

    def __init__(self, folder, **variables):
        self.folder = folder
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "billing.settings.local",
            "DATA_DIR": str(folder),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.root),
            "PYTHONWARNINGS": "ignore",
            **variables,
        }

    def manage(self, *arguments, code=0, faults=(), **options):
        """What a command printed on stdout; it must end with `code`."""
        done = subprocess.run(
            command("manage.py", *map(str, arguments), faults=faults),
            env=self.environment,
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        assert done.returncode == code, (done.returncode, done.stderr[-2000:])
        return done.stdout

    def start(self, *arguments, **options):
        """A command that runs beside the test; with `faults`, they happen to it."""
        return self._start("manage.py", *map(str, arguments), **options)

    def script(self, source, /, *arguments, **options):
        """A Python script that runs beside the test, with Django set up."""
        return self._start("-c", f"import django\ndjango.setup()\n{source}", *map(str, arguments), **options)

    def run(self, source, /, *arguments, stdin=""):
        """What a Python script printed on its last line."""
        process = self.script(source, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        out, _ = process.communicate(stdin)
        assert process.returncode == 0
        return out.splitlines()[-1]

    def _start(self, *arguments, faults=(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options):
        arguments = command(*arguments, faults=faults)
        around = {"env": self.environment, "cwd": self.root}
        return subprocess.Popen(arguments, stdout=stdout, stderr=stderr, **around | options)


def command(*arguments, faults=()):
    """The command that runs a Python program, in which faults happen: see `tests.faults`."""
    return [sys.executable, *(["-m", "tests.faults", *faults, "--"] if faults else []), *arguments]


def kill_after(process, seconds):
    """Kill a process with SIGKILL while it works; False if it was over before."""
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


@contextmanager
def installed(folder, **variables):
    """An installation with an empty, provisioned vault: on files, or on databases of its own on the private server."""
    with _databases(folder, variables) as made:
        for dump in _migrated().glob("*.sql"):
            _fill(made.environment[dump.stem], dump)
        Path(folder).mkdir(parents=True, exist_ok=True)
        for file in _migrated().glob("*.sqlite3"):
            shutil.copy(file, folder)
        made.manage("vault_provision")
        yield made


@cache
def _migrated():
    """A folder with migrated databases. To migrate takes longer than most tests with an installation of their own."""
    folder = Path(tempfile.mkdtemp(prefix="migrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with _databases(folder, {}) as made:
        for variable, alias in _SQL.items():
            made.manage("migrate", f"--database={alias}", "--verbosity=0")
            if variable in made.environment:
                url = made.environment[variable]
                dump = [program("mariadb-dump"), *_access(url), _name_of(url)]
                with (folder / f"{variable}.sql").open("wb") as file:
                    subprocess.run(dump, stdout=file, check=True)
    return folder


@contextmanager
def _databases(folder, variables):
    """An installation whose databases are empty; those of a server are dropped at the end."""
    made = Installation(folder, **variables)
    if not settings.DATABASES["default"]["ENGINE"].endswith("mysql"):
        yield made
        return
    for variable in _SQL:
        name = f"installation_{os.getpid()}_{next(_numbers)}"
        _sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        server, options = os.environ["DATABASE_URL"].split("?")
        made.environment[variable] = f"{server.rpartition('/')[0]}/{name}?{options}"
    try:
        yield made
    finally:
        for variable in _SQL:
            _sql(f"DROP DATABASE {_name_of(made.environment[variable])}")


def _fill(url, dump):
    with dump.open("rb") as file:
        subprocess.run([program("mariadb"), *_access(url), _name_of(url)], stdin=file, check=True)


def _access(url):
    return ["--no-defaults", "--user=root", f"--socket={url.rpartition('unix_socket=')[2]}"]


def _name_of(url):
    return url.partition("?")[0].rpartition("/")[2]


@pytest.fixture
def installation(tmp_path_factory, request):
    """See `installed`. `@pytest.mark.parametrize("installation", [{"VAULT_X": "1"}], indirect=True)` adds to its
    environment.
    """
    with installed(tmp_path_factory.mktemp("installation"), **getattr(request, "param", {})) as made:
        yield made


def _sql(statement):
    with connections["default"].cursor() as cursor:
        cursor.execute(statement)
