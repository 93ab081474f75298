"""Many processes at once, some of them killed; and a database user who may only add."""

import getpass
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS = 8
WRITE = """
import sys, django
django.setup()
from vault.audit import record
for number in range(int(sys.argv[1])):
    event = record("open", subject=str(number))
    sys.stderr.write(f"acknowledged {event.pk}\\n")
    sys.stderr.flush()
"""

PREPARED = "import django; django.setup(); from vault.audit import record; from django.db import connections; "

is_mysql = settings.DATABASES["audit"]["ENGINE"].endswith("mysql")


@pytest.fixture
def audit_environment(tmp_path):
    """The environment of processes with an audit database of their own: a file, or one on the private server."""
    environment = {
        "DJANGO_SETTINGS_MODULE": "billing.settings.local",
        "DATA_DIR": str(tmp_path),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONWARNINGS": "ignore",
    }
    if is_mysql:
        name = f"audit_{os.getpid()}"
        sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        server, socket = os.environ["DATABASE_URL"].split("?")
        environment["AUDIT_DATABASE_URL"] = f"{server.rpartition('/')[0]}/{name}?{socket}"
        manage(environment, "migrate", "--database", "audit", "--verbosity", "0")
        yield environment
        sql(f"DROP DATABASE {name}")
    else:
        manage(environment, "migrate", "--database", "audit", "--verbosity", "0")
        yield environment


def sql(statement):
    with connections["default"].cursor() as cursor:
        cursor.execute(statement)


def manage(environment, *arguments, check=True):
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=check)


def start(environment, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, str(count)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def exported(environment, tmp_path):
    """The export, after it was verified as an auditor would: without the database, and without the key."""
    path = tmp_path / "export"
    path.write_text(manage(environment, "vault_audit", "export").stdout)
    assert "holds together" in manage(environment, "vault_audit", "verify", "--file", str(path)).stdout
    return path.read_text()


def acknowledged(text):
    return {int(line.split()[1]) for line in text.splitlines() if line.startswith("acknowledged")}


def test_eight_writers_do_not_fork_the_chain(audit_environment, tmp_path):
    writers = [start(audit_environment, 40) for _ in range(WRITERS)]
    rows = set()
    for writer in writers:
        _, said = writer.communicate(timeout=120)
        assert writer.returncode == 0, said
        rows |= acknowledged(said)
    assert len(rows) == WRITERS * 40
    lines = exported(audit_environment, tmp_path).splitlines()
    # Who ran it stands in each of them, with the command if there was one.
    assert any(f'"actor_name": "{getpass.getuser()} manage.py vault_audit"' in line for line in lines)
    assert len([line for line in lines if '"operation": "open"' in line]) == WRITERS * 40
    # Each has a branch, and met the others on the trunk only there. The export has one too.
    assert len([line for line in lines if '"audit.open"' in line]) == WRITERS + 1


def test_no_acknowledged_event_is_lost_when_its_writer_is_killed(audit_environment, tmp_path):
    writers = [start(audit_environment, 100_000) for _ in range(4)]
    time.sleep(4)
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
    rows = set().union(*(acknowledged(writer.communicate(timeout=30)[1]) for writer in writers))
    assert len(rows) > 20
    text = exported(audit_environment, tmp_path)
    kept = {int(line.split(",")[0].split(":")[1]) for line in text.splitlines()}
    assert rows <= kept


def in_process(environment, script, **options):
    return subprocess.run(
        [sys.executable, "-c", PREPARED + script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.skipif(not is_mysql, reason="SQLite has no connection that a server could close")
def test_a_connection_that_was_closed_meanwhile_is_replaced(audit_environment):
    script = (
        "record('open'); print('connection', connections['audit'].connection.thread_id(), flush=True); input(); "
        "print(record('open').number)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", PREPARED + script],
        env=audit_environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        # Events are on standard output too.
        connection = next(int(line.split()[1]) for line in process.stdout if line.startswith("connection"))
        sql(f"KILL {connection}")
        # The server closes it a moment after it answered; what is sent in between is lost, and rightly refused.
        while connection in open_connections():
            time.sleep(0.01)
        answer, said = process.communicate("\n", timeout=60)
    # The first event of a new branch: the old one's end is in doubt.
    assert answer.split()[-1] == "1", said


def open_connections():
    with connections["default"].cursor() as cursor:
        cursor.execute("SHOW PROCESSLIST")
        return {row[0] for row in cursor.fetchall()}


@pytest.mark.skipif(not is_mysql, reason="SQLite has no second connection that could hold the table")
def test_an_audit_log_that_does_not_answer_refuses_within_its_time_out(audit_environment):
    name = audit_environment["AUDIT_DATABASE_URL"].rpartition("/audit_")[2].partition("?")[0]
    with connections["default"].cursor() as cursor:
        cursor.execute(f"LOCK TABLES audit_{name}.vault_auditevent WRITE")
        try:
            started = time.monotonic()
            result = in_process(audit_environment, "record('open')", timeout=60)
        finally:
            cursor.execute("UNLOCK TABLES")
    assert "AuditUnavailable" in result.stderr
    # The time-out is 5 seconds; a second attempt would take ten.
    assert time.monotonic() - started < 9


@pytest.mark.skipif(not is_mysql, reason="SQLite has no users; there the triggers of the table are all there is")
def test_a_database_user_who_may_only_add_is_enough(audit_environment):
    server, _, rest = audit_environment["AUDIT_DATABASE_URL"].partition("root@")
    name = rest.partition("/")[2].partition("?")[0]
    user = f"u{os.getpid()}"
    sql(f"CREATE USER {user}@localhost IDENTIFIED BY 'secret'")
    sql(f"GRANT SELECT, INSERT ON {name}.* TO {user}@localhost")
    try:
        environment = audit_environment | {"AUDIT_DATABASE_URL": f"{server}{user}:secret@{rest}"}
        writer = start(environment, 3)
        assert len(acknowledged(writer.communicate(timeout=60)[1])) == 3
        for statement in ("UPDATE vault_auditevent SET actor = 'x'", "DELETE FROM vault_auditevent"):
            script = f"import django; django.setup(); from django.db import connections; connections['audit'].cursor().execute({statement!r})"
            result = subprocess.run(
                [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
            )
            assert "command denied" in result.stderr
    finally:
        sql(f"DROP USER {user}@localhost")
