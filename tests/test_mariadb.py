"""The private server of the tests: it passes the command's result on and leaves nothing behind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import mariadb

needs_mariadb = pytest.mark.skipif(
    shutil.which("mariadbd", path=mariadb.SEARCH_PATH) is None, reason="MariaDB is not installed"
)


@pytest.fixture
def folder(tmp_path_factory) -> Path:
    """A folder with a short name: the path of a socket may have 107 characters."""
    return tmp_path_factory.mktemp("m")


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "TMPDIR": str(folder)}
    arguments = [sys.executable, "-m", "tests.mariadb", "--", *command]
    return subprocess.run(arguments, env=environ, capture_output=True, text=True, check=False, timeout=120)


@needs_mariadb
def test_the_command_gets_the_url_and_its_exit_code_is_passed_on(folder):
    result = run("sh", "-c", "echo $DATABASE_URL; exit 7", folder=folder)

    assert result.returncode == 7
    assert result.stdout.startswith("mysql://root@localhost/billing?unix_socket=")


@needs_mariadb
def test_only_this_user_can_reach_the_server(folder):
    result = run("sh", "-c", f"stat -c %a {folder}/mariadb-*; ls {folder}/mariadb-*/socket", folder=folder)

    assert result.stdout.splitlines()[0] == "700"
    assert result.returncode == 0


@needs_mariadb
def test_nothing_is_left_behind(folder):
    run("false", folder=folder)

    assert list(folder.iterdir()) == []


def test_a_missing_server_is_said_in_one_line(monkeypatch, capfd, folder):
    monkeypatch.setattr(mariadb, "SEARCH_PATH", str(folder))

    code = mariadb.main(["--", "true"])

    assert code == 1
    assert capfd.readouterr().err == (
        "mariadbd was not found. Run this first: sudo apt-get install -y mariadb-server\n"
    )
