"""What the configuration of gunicorn sets for its workers; tests/faults/test_serving.py has the workers."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from billing import gunicorn_conf


@pytest.fixture
def environment(monkeypatch):
    # Taken back afterwards, whatever is set there.
    monkeypatch.setattr(os, "environ", environment := {})
    return environment


def fork(threads):
    gunicorn_conf.post_fork(None, SimpleNamespace(cfg=SimpleNamespace(threads=threads)))


def test_answers_of_the_database_take_less_than_the_time_of_a_worker(environment):
    fork(4)
    assert 0 < int(environment["DATABASE_READ_TIMEOUT"]) < gunicorn_conf.timeout / 2


@pytest.mark.parametrize(("threads", "calls"), [(8, "7"), (4, "3"), (2, "1"), (1, "1")])
def test_calls_of_aws_leave_one_thread(environment, threads, calls):
    fork(threads)
    assert environment["VAULT_CALLS_AT_ONCE"] == calls


def test_who_waits_for_an_answer_does_not_wait_for_kms(environment):
    fork(4)
    assert environment["VAULT_DATA_KEY_AHEAD"] == "true"


def test_what_the_operator_named_stays(environment):
    named = {"VAULT_CALLS_AT_ONCE": "0", "VAULT_DATA_KEY_AHEAD": "false", "DATABASE_READ_TIMEOUT": "0"}
    environment |= named
    fork(4)
    assert environment.items() >= named.items()


def test_what_is_loaded_is_no_garbage_to_look_for():
    script = (
        "import gc; from billing import gunicorn_conf; gunicorn_conf._record = print; "
        "gunicorn_conf.post_worker_init(None); print(gc.get_freeze_count() > 1_000)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["process.start", "True"]


# --- And what comes of it -----------------------------------------------------------------------------------------------

SETTINGS = """
import json
from billing.settings.test import DATABASES
print(json.dumps({alias: database["OPTIONS"] for alias, database in DATABASES.items()}))
"""


def options(tmp_path, url, **variables):
    """The options of both databases, in a process of its own."""
    variables |= {"DATABASE_URL": url, "DATA_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    return subprocess.run([sys.executable, "-c", SETTINGS], env=variables, capture_output=True, text=True, check=False)


MYSQL = "mysql://billing@db.example.com/billing"


def test_a_worker_gives_up_an_answer_and_a_lock_before_it(tmp_path):
    found = json.loads(options(tmp_path, MYSQL, DATABASE_READ_TIMEOUT="20").stdout)
    assert (found["default"]["read_timeout"], found["default"]["write_timeout"]) == (20, 20)
    assert found["default"]["init_command"].endswith(", innodb_lock_wait_timeout=10")
    assert found["audit"]["read_timeout"] == 5


def test_a_command_waits_for_as_long_as_it_takes(tmp_path):
    found = json.loads(options(tmp_path, MYSQL).stdout)
    assert not {"read_timeout", "write_timeout"} & found["default"].keys()
    assert "innodb_lock_wait_timeout" not in found["default"]["init_command"]


def test_sqlite_has_a_time_of_its_own(tmp_path):
    found = json.loads(options(tmp_path, f"sqlite:///{tmp_path}/db", DATABASE_READ_TIMEOUT="20").stdout)
    assert "read_timeout" not in found["default"]


@pytest.mark.parametrize("seconds", ["-1", "soon", ""])
def test_a_time_that_is_none_is_refused(tmp_path, seconds):
    done = options(tmp_path, MYSQL, DATABASE_READ_TIMEOUT=seconds)
    assert (done.returncode, done.stdout) == (1, "")
