"""Real processes: killed in the middle and run again, and beside others that place orders."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections

from tests.cards import CANARY_BIN, with_check_digit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.killed]
is_mysql = settings.DATABASES["default"]["ENGINE"].endswith("mysql")

CARDS = 60
KEEP = """
import json, sys, django
django.setup()
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from orders import services as orders
from vault import services
from vault.models import Card
from vault.pan import PAN
from vault.stdout import taken
numbers, changes = json.load(sys.stdin)
with taken():
    cards = [result.card for result in services.tokenize_many([PAN(each) for each in numbers], is_external=False)]
    customer = User.objects.create(username="ada", email="ada@example.com")
    for number in numbers[::3]:
        orders.place(customer=customer, name="Jug", description="", amount=5, currency="EUR", card=PAN(number))
age = timedelta(days=4)
Card.objects.update(created_at=timezone.now() - age, used_at=timezone.now() - age, **changes)
print(json.dumps([card.token for card in cards]))
"""
PLACE = """
import json, random, sys, time, django
django.setup()
from django.contrib.auth.models import User
from orders import services as orders
from vault.pan import PAN
from vault.stdout import taken
customer, numbers = User.objects.get(), json.loads(sys.argv[1])
end = time.monotonic() + float(sys.argv[2])
with taken():
    while time.monotonic() < end and numbers:
        number = numbers.pop(random.randrange(len(numbers)))
        order = orders.place(customer=customer, name="Jug", description="", amount=5, currency="EUR", card=PAN(number))
        print("acknowledged", order.pk, number, flush=True)
"""
READ = """
import json, sys, django
django.setup()
from orders.models import Order
from vault.opening import open_cards
from vault.stdout import taken
with taken():
    print(json.dumps({order.pk: open_cards([order.card.token])[0].expose() for order in Order.objects.all()}))
"""


def numbers(count=CARDS):
    return [with_check_digit(f"{CANARY_BIN}{number:07}") for number in range(count)]


@pytest.fixture
def environment(tmp_path):
    """The environment of processes with a vault and a database of their own."""
    values = {
        "DJANGO_SETTINGS_MODULE": "billing.settings.local",
        "DATA_DIR": str(tmp_path),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "PYTHONWARNINGS": "ignore",
        "LOG_LEVEL": "WARNING",
    }
    name = f"fsck_{os.getpid()}"
    if is_mysql:
        sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        server, socket = os.environ["DATABASE_URL"].split("?")
        values["DATABASE_URL"] = f"{server.rpartition('/')[0]}/{name}?{socket}"
    databases = ["default"] if is_mysql else ["default", "audit"]
    for database in databases:
        manage(values, "migrate", "--database", database, "--verbosity", "0")
    manage(values, "vault_provision")
    yield values
    if is_mysql:
        sql(f"DROP DATABASE {name}")


def sql(statement):
    with connections["default"].cursor() as cursor:
        cursor.execute(statement)


def manage(environment, *arguments, check=True):
    command = [sys.executable, "manage.py", *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert not check or result.returncode == 0, result.stderr[-2000:]
    return result


def keep(environment, **changes):
    """Cards that were kept long ago, with an order for each third; their tokens."""
    command = [sys.executable, "-c", KEEP]
    given = json.dumps([numbers(), changes])
    result = subprocess.run(command, env=environment, input=given, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout)


def run_and_kill(environment, *arguments, lines):
    """Run a command until it has said so many lines, and kill it right then."""
    command = [sys.executable, "manage.py", *arguments]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
    )
    for _ in range(lines):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL


def report(environment, *arguments, check=True):
    result = manage(environment, *arguments, "--format", "json", check=check)
    return json.loads(result.stdout), result.returncode


def orders(environment):
    """The card number of each order, opened now."""
    result = subprocess.run([sys.executable, "-c", READ], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return {int(key): number for key, number in json.loads(result.stdout).items()}


def test_a_repair_that_is_killed_again_and_again_ends_clean(environment):
    keep(environment)
    environment["PYTHONUNBUFFERED"] = "1"
    for kill in range(3):
        run_and_kill(
            environment, "vault_fsck", "--repair", *(["--resume"] if kill else []), "--rate", "400", lines=1 + 3 * kill
        )
    ended, code = report(environment, "vault_fsck", "--repair", "--resume")
    assert code == 0, ended
    clean, code = report(environment, "vault_fsck")
    assert (clean["findings"], code) == ([], 0)
    assert sorted(orders(environment).values()) == sorted(numbers()[::3])


def test_a_purge_that_is_killed_again_and_again_ends_clean(environment):
    keep(environment, retain_until="2020-01-01", is_external=True)
    environment["PYTHONUNBUFFERED"] = "1"
    for kill in range(3):
        run_and_kill(environment, "vault_purge", "--rate", "100", lines=2 + 5 * kill)
    # What was cut off less than a minute ago may be somebody's who is at work.
    ended, code = report(environment, "vault_purge")
    assert (ended["verification"]["overdue"], code) == (0, 0)
    assert 0 < ended["purged"]["erased"] < CARDS
    left, code = report(environment, "vault_fsck", "--repair")
    assert code == 0, left


def test_nothing_that_is_acknowledged_is_lost_beside_a_repair(environment):
    keep(environment)
    environment["VAULT_ORPHAN_GRACE"] = "5"
    # Half of what is handed in is known, and most of that is about to be removed.
    given = numbers(2 * CARDS)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", PLACE, json.dumps(given[start::2]), "8"],
            env=environment,
            stdout=subprocess.PIPE,
            # Audit events; nobody reads them, and a full pipe would stop the writer.
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for start in range(2)
    ]
    time.sleep(1)
    while any(writer.poll() is None for writer in writers):
        report(environment, "vault_fsck", "--repair", check=False)
    acknowledged = {}
    for writer in writers:
        out, _ = writer.communicate(timeout=60)
        assert writer.returncode == 0
        acknowledged |= {int(line.split()[1]): line.split()[2] for line in out.splitlines()}
    assert len(acknowledged) > CARDS
    stored = orders(environment)
    assert {key: stored[key] for key in acknowledged} == acknowledged
    report(environment, "vault_fsck", "--repair")
    assert report(environment, "vault_fsck")[1] == 0
