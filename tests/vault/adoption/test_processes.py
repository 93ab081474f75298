"""Real processes: an adoption that is killed again and again, while another process goes on writing."""

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

pytestmark = pytest.mark.django_db(transaction=True)

NUMBERS, ROWS = 40, 240
is_mysql = settings.DATABASES["default"]["ENGINE"].endswith("mysql")

# Each script gets its numbers on stdin: neither an argument nor a file may hold them.
BEGIN = """
import json, random, sys, time, django
django.setup()
from pathlib import Path
from django.conf import settings
from django.db import OperationalError
from tests.shop.models import Invoice
from vault.backend import current_vault
from vault.models import Card
from vault.pan import PAN
from vault import services
numbers = sys.stdin.read().split()
"""
FILL = f"""
Invoice.objects.bulk_create(Invoice(card_number=numbers[i % len(numbers)]) for i in range({ROWS}))
"""
WRITE = """
def old_code(number, row):
    if row is None:
        return Invoice.objects.create(card_number=number)
    Invoice.objects.filter(pk=row.pk).update(card_number=number)

def new_code(number, row):
    row = row or Invoice()
    row.card_number = row.card = number
    row.save()

while not (settings.DATA_DIR / "stop").exists():
    row = random.choice([None, Invoice.objects.order_by("?").first()])
    try:
        random.choice([old_code, new_code])(random.choice(numbers), row)
    except OperationalError as error:
        # The database may pick this transaction as the victim of a deadlock.
        assert error.args[0] == 1213, error
    time.sleep(0.02)
"""
LOOK = """
scan = current_vault().session.dynamodb().get_paginator("scan").paginate(TableName=current_vault().config.TABLE)
items = [key for page in scan for item in page["Items"] for value in item.values() if (key := value.get("S", "")).startswith("tok1_")]
tokens = {number: token.text for number in numbers if (token := services.find(PAN(number)))}
rows = list(Invoice.objects.values_list("card_number", "card", "card_brand", "card_last4"))
sys.stderr.write("look " + json.dumps({
    "rows": len(rows),
    "wrong": sum((tokens[n], "visa", n[-4:]) != (token, brand, last4) for n, token, brand, last4 in rows),
    "tokens": len(set(tokens.values())), "numbers": len(tokens), "cards": Card.objects.count(), "items": len(set(items)),
}))
"""
COUNT = """
import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])
"""


class Shop:
    """A database, a vault and an audit log on their own, and processes that work on them."""

    def __init__(self, environment, database):
        self._environment = environment
        self._database = database
        self.folder = Path(environment["DATA_DIR"])

    def manage(self, *arguments):
        return self._run([sys.executable, "manage.py", *arguments])

    def adopt(self, *arguments):
        """The exit code and the report."""
        result = self.manage("vault_adopt", "shop.Invoice.card_number", "--format", "json", *arguments)
        return result.returncode, json.loads(result.stdout or "null") or result.stderr

    def script(self, text, numbers):
        result = self._run([sys.executable, "-c", BEGIN + text], input="\n".join(numbers))
        assert result.returncode == 0, result.stderr
        return result.stderr

    def writer(self, numbers):
        process = self._start([sys.executable, "-c", BEGIN + WRITE], stdin=subprocess.PIPE)
        process.stdin.write("\n".join(numbers))
        process.stdin.close()
        process.stdin = None
        return process

    def kill_adopting(self, *arguments, condition):
        """Start the command, and kill it when the count of rows with `condition` has grown."""
        before = self.count(condition)
        process = self._start(
            [sys.executable, "manage.py", "vault_adopt", "shop.Invoice.card_number", "--batch", "7", *arguments]
        )
        deadline = time.monotonic() + 60
        while self.count(condition) < before + 5:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        assert process.returncode == -signal.SIGKILL

    def count(self, condition):
        place = f"{self._database}." if is_mysql else ""
        query = f"SELECT COUNT(*) FROM {place}shop_invoice WHERE {condition}"  # noqa: S608 - our own
        if not is_mysql:
            # Not by this process: the scanner would read the file, whose old column holds numbers.
            return int(self._run([sys.executable, "-c", COUNT, self._database, query]).stdout)
        with connections["default"].cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0]

    def _run(self, command, **options):
        return subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False, timeout=120, **options
        )

    def _start(self, command, **options):
        return subprocess.Popen(
            command,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )


@pytest.fixture
def shop(tmp_path, tmp_path_factory):
    """The scanner reads the files of vault and audit log, and not the shop's own database."""
    environment = {
        "DJANGO_SETTINGS_MODULE": "billing.settings.test",
        "DATA_DIR": str(tmp_path),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "PYTHONWARNINGS": "ignore",
    }
    if is_mysql:
        database = f"adoption_{os.getpid()}"
        server, socket = os.environ["DATABASE_URL"].split("?")
        environment["DATABASE_URL"] = f"{server.rpartition('/')[0]}/{database}?{socket}"
        sql(f"CREATE DATABASE {database} CHARACTER SET utf8mb4")
    else:
        database = str(tmp_path_factory.mktemp("shop") / "shop.sqlite3")
        environment["DATABASE_URL"] = f"sqlite:///{database}"
        environment["AUDIT_DATABASE_URL"] = f"sqlite:///{tmp_path / 'audit.sqlite3'}"
    shop = Shop(environment, database)
    for command in (["migrate", "--run-syncdb"], ["migrate", "--database", "audit"], ["vault_provision"]):
        result = shop.manage(*command, "--verbosity", "0")
        assert result.returncode == 0, result.stderr
    yield shop
    if is_mysql:
        sql(f"DROP DATABASE {database}")


def sql(statement):
    with connections["default"].cursor() as cursor:
        cursor.execute(statement)


def test_an_adoption_that_is_killed_again_and_again_ends_as_if_it_had_not_been(shop, canary):
    numbers = [canary("old column") for _ in range(NUMBERS)]
    shop.script(FILL, numbers)
    writer = shop.writer(numbers)
    try:
        for _ in range(4):
            shop.kill_adopting("--rate", "40", condition="card IS NOT NULL")
        assert shop.adopt()[0] in {0, 2}
    finally:
        (shop.folder / "stop").touch()
        _, said = writer.communicate(timeout=60)
    assert writer.returncode == 0, said

    # Old code has had its last say; what it wrote into rows that were adopted differs, and is found.
    code, report = shop.adopt()
    assert (code, report["left"]) == (0, 0)
    assert shop.adopt("--check")[1]["counts"]["differs"] > 0
    assert shop.adopt("--refresh")[0] == 0
    code, report = shop.adopt("--check")
    assert (code, list(report["counts"])) == (0, ["agrees"])

    found = json.loads(shop.script(LOOK, numbers).partition("look ")[2])
    assert found["rows"] == report["counts"]["agrees"] > ROWS
    assert found["wrong"] == 0
    # One token and one item for each number, however often it was handed in.
    assert found["tokens"] == found["numbers"] == found["cards"] == found["items"] == NUMBERS

    shop.kill_adopting("--wipe", "--rate", "40", condition="card_number = ''")
    assert shop.count("card_number <> ''") > 0
    code, report = shop.adopt("--wipe")
    assert (code, report["left"]) == (0, 0)
    assert shop.count("card_number <> '' OR card IS NULL") == 0
