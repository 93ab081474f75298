"""Real processes: an adoption that is killed again and again, while another process goes on writing."""

import json
import subprocess

import pytest
from django.conf import settings

from tests.leaks import Sink
from tests.processes import installation, kill_after

pytestmark = [
    pytest.mark.killed,
    pytest.mark.django_db(transaction=True),
    # Of the settings with a shop.
    pytest.mark.parametrize("installation", [{"DJANGO_SETTINGS_MODULE": "billing.settings.test"}], indirect=True),
]
__all__ = ["installation"]

NUMBERS, ROWS = 40, 240
is_mysql = settings.DATABASES["default"]["ENGINE"].endswith("mysql")

# Each script gets its numbers on stdin: neither an argument nor a file may hold them.
BEGIN = """
import json, random, sys, time
from django.conf import settings
from django.db import OperationalError
from tests.shop.models import Invoice
from vault.backend import current_vault
from vault.exceptions import AuditUnavailable, VaultUnavailable
from vault.models import Card
from vault.pan import PAN
from vault import services
numbers = sys.stdin.read().split()
"""
FILL = f"""
Invoice.objects.bulk_create(Invoice(card_number=numbers[i % len(numbers)]) for i in range({ROWS}))
print("filled")
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
    except (AuditUnavailable, VaultUnavailable):
        # Files of SQLite have one writer at a time, and on a busy machine nobody's turn is certain to come in time.
        pass
    except OperationalError as error:
        # The database may pick this transaction as the victim of a deadlock.
        assert error.args[0] == 1213 or "locked" in str(error), error
    time.sleep(0.02)
"""
LOOK = """
scan = current_vault().session.dynamodb().get_paginator("scan").paginate(TableName=current_vault().config.TABLE)
items = [key for page in scan for item in page["Items"] for value in item.values() if (key := value.get("S", "")).startswith("tok1_")]
tokens = {number: token.text for number in numbers if (token := services.find(PAN(number)))}
rows = list(Invoice.objects.values_list("card_number", "card", "card_brand", "card_last4"))
print(json.dumps({
    "rows": len(rows),
    "wrong": sum((tokens[n], "visa", n[-4:]) != (token, brand, last4) for n, token, brand, last4 in rows),
    "tokens": len(set(tokens.values())), "numbers": len(tokens), "cards": Card.objects.count(), "items": len(set(items)),
}))
"""
COUNT = """
import sys
from tests.shop.models import Invoice
for condition in sys.argv[1:]:
    print(Invoice._base_manager.extra(where=[condition]).count())
"""


class Shop:
    """Processes that work on an installation with a shop."""

    def __init__(self, installation):
        self._installation = installation

    def adopt(self, *arguments):
        """The exit code and the report."""
        process = self._start("--format=json", *arguments, stdout=subprocess.PIPE)
        out, said = process.communicate(timeout=120)
        return process.returncode, json.loads(out or "null") or said

    def adopt_at_last(self):
        """As somebody does who has read that after a 1 it is simply run again."""
        for _ in range(5):
            code, said = self.adopt()
            if code != 1:
                break
        assert code in {0, 2}, said

    def kill_adopting(self, *arguments, operation, batches):
        """Kill the command when it is about to ask the vault for the cards of so many batches, and a little more."""
        process = self._start("--batch=7", *arguments)
        said = []
        for line in process.stderr:
            said.append(line)
            if f'"operation": "{operation}"' in line and '"intent"' in line:
                batches -= 1
            if not batches:
                break
        assert kill_after(process, 0.05), "".join(said)
        process.communicate()

    def writer(self, numbers):
        process = self._installation.script(BEGIN + WRITE, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdin.write("\n".join(numbers))
        process.stdin.close()
        process.stdin = None
        return process

    def stop(self, writer):
        (self._installation.folder / "stop").touch()
        _, said = writer.communicate(timeout=60)
        assert writer.returncode == 0, said[-2000:]

    def script(self, text, numbers):
        return self._installation.run(BEGIN + text, stdin="\n".join(numbers))

    def count(self, condition):
        return int(self._installation.run(COUNT, condition))

    def _start(self, *arguments, **options):
        command = ["vault_adopt", "shop.Invoice.card_number", *arguments]
        return self._installation.start(*command, stderr=subprocess.PIPE, text=True, **options)


@pytest.fixture
def shop(installation):
    installation.manage("migrate", "--run-syncdb", "--verbosity=0")
    return Shop(installation)


def test_an_adoption_that_is_killed_again_and_again_ends_as_if_it_had_not_been(installation, shop, canary, leaks):
    numbers = [canary("old column") for _ in range(NUMBERS)]
    shop.script(FILL, numbers)
    writer = shop.writer(numbers)
    try:
        for _ in range(4):
            shop.kill_adopting("--rate=40", operation="tokenize", batches=3)
        assert shop.count("card IS NULL") > 0
        shop.adopt_at_last()
    finally:
        shop.stop(writer)

    # Old code has had its last say; what it wrote into rows that were adopted differs, and is found.
    code, report = shop.adopt()
    assert (code, report["left"]) == (0, 0)
    assert shop.adopt("--check")[1]["counts"]["differs"] > 0
    assert shop.adopt("--refresh")[0] == 0
    code, report = shop.adopt("--check")
    assert (code, list(report["counts"])) == (0, ["agrees"])

    found = json.loads(shop.script(LOOK, numbers))
    assert found["rows"] == report["counts"]["agrees"] > ROWS
    assert found["wrong"] == 0
    # One token and one item for each number, however often it was handed in.
    assert found["tokens"] == found["numbers"] == found["cards"] == found["items"] == NUMBERS

    for database in ("default", "audit"):
        events = installation.manage("dumpdata", "vault", "--database", database)
        leaks.record(Sink.TABLE, events, f"vault in {database}")

    shop.kill_adopting("--wipe", "--rate=40", operation="find", batches=3)
    assert shop.count("card_number = ''") > 0
    assert shop.count("card_number <> ''") > 0
    code, report = shop.adopt("--wipe")
    assert (code, report["left"]) == (0, 0)
    assert shop.count("card_number <> '' OR card IS NULL") == 0
