"""A process is killed at a named point of its work, and what is left is put right by what comes next (trial A9)."""

import json
import signal
import time

import pytest

from tests.cards import CANARY_BIN, with_check_digit
from tests.processes import installation
from tests.servers import rows_of
from tests.vault.importing_files import read_lines, write_csv

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.killed]
__all__ = ["installation"]

# One process after the other, forked off one that has everything loaded. Each is told its fault, its work and how that
# should end; if it ends otherwise it is begun again for a minute.
FORKS = """
import json, os, sys, time
from django.core.management import call_command
from django.db import connections
from tests.faults import Faults

ORDERS = "/api/v1/orders/"

def place(pan, key):
    from tests.factories import client_of
    from django.contrib.auth.models import User
    content = {"name": "Milk jug", "amount": "24.90", "currency": "EUR", "pan": pan}
    answer = client_of(User.objects.get()).post(ORDERS, content, headers={"Idempotency-Key": key}, SERVER_NAME="localhost")
    return answer.status_code

def work(name, *arguments):
    if name == "place":
        return place(*arguments)
    try:
        call_command(name, *arguments, stdout=sys.stderr)
    except SystemExit as ended:
        return ended.code
    return 0

def run(fault, task):
    connections.close_all()
    child = os.fork()
    if not child:
        if fault:
            Faults([fault]).install()
        try:
            code = work(*task)
        except BaseException as error:
            code = getattr(error, "returncode", None) or 99
        os._exit(code % 256)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

codes = []
for fault, task, expected in json.load(sys.stdin):
    deadline = time.monotonic() + 60
    while (code := run(fault, task)) != expected and time.monotonic() < deadline:
        time.sleep(0.5)
    codes.append(code)
print(json.dumps(codes))
"""
CUSTOMER = """
from tests.factories import make_user
make_user("shop", "orders.add_order")
print("made")
"""
KILLED = -signal.SIGKILL
CREATED, DONE = 201, 0

# Where an order dies, and what is left of it then: orders, rows of cards, cards in the vault.
ORDER = {
    "kill after event tokenize intent": (0, 0, 0),
    "kill before call GenerateDataKey": (0, 0, 0),
    "kill after call GenerateDataKey": (0, 0, 0),
    "kill before call TransactWriteItems": (0, 0, 0),
    "kill after call TransactWriteItems": (0, 0, 1),
    "kill before COMMIT of vault_card": (0, 0, 1),
    "kill after COMMIT of vault_card": (0, 1, 1),
    "kill after event tokenize done": (0, 1, 1),
    "kill before COMMIT of orders_order": (0, 1, 1),
    "kill after COMMIT of orders_order": (1, 1, 1),
}


def run_each(installation, *work):
    """Run work in processes of its own, each of which has to end as is said."""
    ended = json.loads(installation.run(FORKS, stdin=json.dumps(work)))
    assert ended == [code for *_, code in work]


def fsck(installation, *arguments, code=0, grace=24 * 3600):
    installation.environment["VAULT_ORPHAN_GRACE"] = str(grace)
    return json.loads(installation.manage("vault_fsck", "--format=json", *arguments, code=code))


def found(report):
    return sorted(finding["code"] for finding in report["findings"])


def numbers(first, count):
    return [with_check_digit(f"{CANARY_BIN}{number:07d}") for number in range(first, first + count)]


def test_an_order_may_die_anywhere_and_nothing_is_left_that_nobody_can_explain(installation):
    installation.run(CUSTOMER)
    pans = numbers(0, len(ORDER))
    work = [
        [fault, ["place", pan, f"key-{number}"], KILLED]
        for number, (fault, pan) in enumerate(zip(ORDER, pans, strict=True))
    ]
    run_each(installation, *work)
    left = dict(zip(("orders", "cards", "records"), map(sum, zip(*ORDER.values(), strict=True)), strict=True))
    assert rows_of(installation) == left

    # Younger than the grace period is somebody's who is at work.
    assert fsck(installation, "--repair")["findings"] == []
    assert rows_of(installation) == left

    # Half of them come again, as another order: each card has the token that it has.
    run_each(
        installation, *[[None, ["place", pan, f"again-{number}"], CREATED] for number, pan in enumerate(pans[::2])]
    )
    tokens = json.loads(installation.run(TOKENS))
    assert len(set(tokens["orders"])) == len(tokens["orders"])
    assert set(tokens["orders"]) <= set(tokens["records"])

    time.sleep(1.5)
    # Of those that nothing refers to, the ones with a row go. One that died before its row was written gets it: that
    # its token was never given out is nothing that SQL, restored from an older backup perhaps, could know.
    repaired = fsck(installation, "--repair", grace=1)
    assert repaired["left"] == 0
    assert set(found(repaired)) == {"orphan", "unknown_item"}
    assert fsck(installation, grace=1)["findings"] == []
    after = json.loads(installation.run(TOKENS))
    assert set(after["orders"]) == set(tokens["orders"])
    assert set(after["records"]) == set(after["orders"]) | set(after["outside"])
    assert len(after["outside"]) == found(repaired).count("unknown_item")

    installation.run(DANGLE)
    dangling = fsck(installation, "--repair", code=2)
    assert found(dangling) == ["dangling_reference"]
    assert dangling["left"] == 1
    assert json.loads(installation.run(TOKENS))["records"] == after["records"]


# The tokens of orders, of the items in DynamoDB, and of cards that nothing here refers to.
TOKENS = """
import json
from orders.models import Order
from vault.backend import current_vault
from vault.models import Card
pages = current_vault().session.dynamodb().get_paginator("scan").paginate(TableName=current_vault().config.TABLE)
keys = [item["token"]["S"] for page in pages for item in page["Items"]]
orders = [order.card.token.text for order in Order.objects.all()]
outside = Card.objects.filter(status="active", is_external=True).exclude(token__in=orders)
print(json.dumps({
    "orders": sorted(orders),
    "records": sorted(key for key in keys if key.startswith("tok1_")),
    "outside": sorted(outside.values_list("token", flat=True)),
}))
"""
DANGLE = """
from django.db import connection
from orders.models import Order
from vault.tokens import Token
with connection.cursor() as cursor:
    order = Order.objects.order_by("pk").first()
    cursor.execute("UPDATE orders_order SET card = %s WHERE id = %s", [Token.generate().text, order.pk])
print("done")
"""

IMPORT = [
    "kill after event tokenize intent",
    "kill after call GenerateDataKey",
    "kill after call TransactWriteItems",
    "kill before COMMIT of vault_card #3",
    "kill after COMMIT of vault_card #5",
    "kill after event tokenize done",
]
REENCRYPTION = [
    "kill after event reencrypt intent",
    "kill after COMMIT of vault_itemchange",
    "kill after call TransactWriteItems #2",
    "kill before COMMIT of vault_card",
]
CHECK = [
    "kill after COMMIT of vault_run",
    "kill before COMMIT of vault_card",
    "kill after COMMIT of vault_card",
    "kill after call TransactWriteItems",
    "kill before COMMIT of vault_erasurecertificate",
    "kill after COMMIT of vault_erasurecertificate #2",
    "kill before COMMIT of vault_run #3",
]
# Notes of a killed run may be those of a living one for a few seconds, and a list of keys is good for one.
FAST = {"VAULT_KEYS_MAX_AGE": "1", "VAULT_CONNECT_TIMEOUT": "0.1", "VAULT_READ_TIMEOUT": "0.1"}
CARDS = 8


@pytest.mark.parametrize("installation", [FAST], indirect=True)
def test_work_on_many_cards_may_be_killed_at_each_of_its_points_and_goes_on(installation, tmp_path):
    """An import, then a re-encryption of what it kept, then a check that removes it."""
    pans = numbers(100, CARDS)
    table, output = tmp_path / "cards.csv", tmp_path / "tokens.jsonl"
    write_csv(table, [(pan, "02/40", f"r{number}") for number, pan in enumerate(pans)])
    task = ["vault_import", str(table), f"--output={output}"]
    run_each(installation, *[[fault, task, KILLED] for fault in IMPORT], [None, task, DONE])
    # The one file with digits; before leaks are looked for.
    table.unlink()
    lines = read_lines(output)
    assert [line["reference"] for line in lines] == [f"r{number}" for number in range(CARDS)]
    kept = {line["token"] for line in lines}
    assert len(kept) == CARDS
    assert rows_of(installation) == {"orders": 0, "cards": CARDS, "records": CARDS}

    installation.manage("vault_rotate", "card")
    time.sleep(1.5)
    task = ["vault_reencrypt"]
    # The notes of the one who was killed before hold for a few seconds.
    run_each(installation, *[[fault, task, KILLED] for fault in REENCRYPTION], [None, task, DONE])
    assert key_counts(installation) == {1: 0, 2: CARDS}
    assert fsck(installation)["findings"] == []

    installation.run(FORGET)
    time.sleep(1.5)
    installation.environment["VAULT_ORPHAN_GRACE"] = "1"
    task = ["vault_fsck", "--repair", "--resume"]
    run_each(installation, *[[fault, task, KILLED] for fault in CHECK])
    assert fsck(installation, "--repair", "--resume", grace=1)["left"] == 0
    # An erasure that was cut off may be somebody's who is at work, for a minute; the next check finds it.
    installation.run(AGE)
    assert set(found(fsck(installation, "--repair", grace=1))) == {"unfinished_erasure"}
    assert fsck(installation, grace=1)["findings"] == []
    assert rows_of(installation) == {"orders": 0, "cards": CARDS, "records": 0}


def key_counts(installation):
    listed = json.loads(installation.manage("vault_keys", "--format=json"))
    return {key["number"]: key["items"] for key in listed if key["purpose"] == "card"}


# From now on nobody outside has their tokens.
FORGET = """
from vault.models import Card
print(Card.objects.update(is_external=False))
"""
AGE = """
from datetime import timedelta
from django.db.models import F
from vault.models import Card
print(Card.objects.filter(status="erased").update(erased_at=F("erased_at") - timedelta(minutes=2)))
"""
