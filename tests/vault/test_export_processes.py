"""A real export, killed again and again, on a database and a vault of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections

from tests.leaks import Sink
from tests.vault.recipients import public_pem, thumbprint, unsealed

pytestmark = pytest.mark.django_db(transaction=True)
is_mysql = settings.DATABASES["default"]["ENGINE"].endswith("mysql")
CARDS = 300
KILLS = 4

# The numbers come on standard input: a command line is everybody's to read.
SET_UP = """
import sys, django
django.setup()
from django.contrib.auth.models import Permission, User
from vault import exports, services
from vault.envelopes import RecipientKey
from vault.pan import PAN
from vault.purposes import Purpose
key, *numbers = sys.stdin.read().split("|")
services.tokenize_many([PAN(number) for number in numbers])
people = {}
for name, right in (("ada", "request_export"), ("bob", "approve_export"), ("cleo", "approve_export")):
    people[name] = User.objects.create_user(name)
    people[name].user_permissions.add(Permission.objects.get(codename=right))
made = exports.request(
    actor=people["ada"], recipient="B", key=RecipientKey.parse(key), purpose=Purpose("settlement", "x"), ticket="T"
)
for name in ("bob", "cleo"):
    exports.approve(made, actor=people[name])
sys.stderr.write(f"request {made.pk}")
"""


@pytest.fixture
def environment(tmp_path_factory):
    # Not in tmp_path: in a raw file of SQLite a BIN and the next cell run together, and the scanner takes them for one.
    folder = tmp_path_factory.mktemp("export")
    environment = {
        "DJANGO_SETTINGS_MODULE": "billing.settings.local",
        "DATA_DIR": str(folder),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONWARNINGS": "ignore",
    }
    names = [f"{kind}_{os.getpid()}" for kind in ("export", "export_audit")] if is_mysql else []
    for name, variable in zip(names, ("DATABASE_URL", "AUDIT_DATABASE_URL"), strict=False):
        sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        server, socket = os.environ["DATABASE_URL"].split("?")
        environment[variable] = f"{server.rpartition('/')[0]}/{name}?{socket}"
    for arguments in (["migrate", "--verbosity", "0"], ["migrate", "--database", "audit", "--verbosity", "0"]):
        manage(environment, *arguments)
    manage(environment, "vault_provision")
    yield environment
    for name in names:
        sql(f"DROP DATABASE {name}")


def sql(statement):
    with connections["default"].cursor() as cursor:
        cursor.execute(statement)


def manage(environment, *arguments):
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def lines(path):
    """Whole lines alone."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_every_card_once_however_often_it_is_killed(environment, tmp_path, canary, leaks):
    numbers = [canary(f"card {number}") for number in range(CARDS)]
    sent = "|".join([public_pem("p-256"), *numbers])
    script = [sys.executable, "-c", SET_UP]
    done = subprocess.run(script, env=environment, input=sent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    request = done.stderr.rpartition(" ")[2]
    output = tmp_path / "out.jsonl"
    command = [sys.executable, "manage.py", "vault_export", request, "--output", str(output), "--rate", "20"]
    seen = []
    for _ in range(KILLS):
        before = lines(output)
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 40
        # At once after a batch: the next one is being opened, sealed or written.
        while lines(output) <= max(before, 1) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen.append(lines(output))
    assert seen == sorted(set(seen))
    assert seen[0] > 1
    assert seen[-1] < CARDS
    with output.open("ab") as file:
        file.write(b'{"token":"tok1_')
    said = manage(environment, "vault_export", request, "--output", str(output), "--format", "json")
    report = json.loads(said)
    assert (report["state"], report["exported"], report["failed"]) == ("done", CARDS, {})
    header, *cards = [json.loads(line) for line in output.read_text().splitlines()]
    assert header["thumbprint"] == thumbprint("p-256")
    assert Counter(unsealed("p-256", entry["jwe"])[1]["number"] for entry in cards) == Counter(numbers)
    assert "holds together" in manage(environment, "vault_audit", "verify")
    for database in ("default", "audit"):
        leaks.record(Sink.TABLE, manage(environment, "dumpdata", "vault", "--database", database), database)
    leaks.record(Sink.SUBPROCESS, said + output.read_text(), "export")
