"""What the start page of the admin costs over a full month: 10,000 orders, 100,000 cards, 100,000 audit events.

    DATA_DIR=$(mktemp -d) python -m benchmarks.console
    DATA_DIR=$(mktemp -d) python -m tests.mariadb -- python -m benchmarks.console

Everything lies within the days that are shown, which is the worst case. Prints the median of the requests, and the
slowest queries of one.
"""

import os
import random
import statistics
import sys
import time
import uuid
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.settings.local")
os.environ.setdefault("LOG_LEVEL", "CRITICAL")

import django
import MySQLdb

django.setup()

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orders.models import Order
from vault.audit.ledger import blank
from vault.models import AuditEvent, Card, RevealRequest
from vault.stdout import taken
from vault.tokens import Token

EVENTS = int(os.environ.get("EVENTS", "100000"))
ORDERS = int(os.environ.get("ORDERS", "10000"))
CARDS = int(os.environ.get("CARDS", "100000"))
REQUESTS = 15
BATCH = 1_000
SHOWN = 6
# How often each is in a log, as intent and outcome.
OPERATIONS = ("tokenize",) * 6 + ("detokenize",) * 2 + ("find", "api.sign_in", "session.start", "reveal.show")
PURPOSES = ("settlement", "refund", "dispute", "fraud-investigation")
BRANDS = ("visa", "visa", "mastercard", "amex", "jcb")
dice = random.Random(7)  # noqa: S311 - the same data each time


def moment():
    return timezone.now() - timedelta(seconds=dice.randrange(30 * 86_400))


def event(number):
    operation = OPERATIONS[number // 2 % len(OPERATIONS)]
    outcome = "intent" if number % 2 else dice.choices(("done", "denied", "failed"), (95, 4, 1))[0]
    about = {"actor": str(number % 50), "cards": 1, "purpose": "", "details": {"tokens": [uuid.uuid4().hex]}}
    if operation == "detokenize":
        about["purpose"] = dice.choice(PURPOSES)
    content = blank(operation, outcome=outcome, is_alarm=dice.random() < 0.001, **about) | {"time": moment()}
    return AuditEvent(**content, chain=f"bench{number % 8}", number=number, previous="0" * 64, digest="0" * 64)


def card(number):
    today = timezone.localdate()
    status = "active" if number % 10 else "erased"
    return Card(
        token=Token.generate().text, brand=BRANDS[number % 5], bin="411111", last4="1111", status=status,
        item_version=1, item_digest="0" * 64, retain_until=today + timedelta(days=dice.randrange(-3, 900)),
    )  # fmt: skip


def fill(model, make, count):
    # Past the manager: the audit log takes events one at a time, and this many would take an hour.
    rows = QuerySet(model)
    with transaction.atomic(using=rows.db):
        for start in range(0, count, BATCH):
            rows.bulk_create([make(number) for number in range(start, min(start + BATCH, count))])


def prepare():
    if connection.vendor == "mysql":
        options = connection.get_connection_params()
        name = options.pop("database")
        with MySQLdb.connect(**options) as server:
            server.cursor().execute(f"CREATE DATABASE {name}")
    with taken():
        call_command("migrate", verbosity=0)
        call_command("createcachetable", verbosity=0)
        if connections["audit"].settings_dict["NAME"] != connection.settings_dict["NAME"]:
            call_command("migrate", database="audit", verbosity=0)
    settings.ALLOWED_HOSTS = ["testserver"]
    # Nobody has collected static files here.
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"


def main():
    prepare()
    staff = User.objects.create(username="bench", is_staff=True, is_superuser=True)
    staff.groups.set(Group.objects.all())
    began = time.perf_counter()
    fill(AuditEvent, event, EVENTS)
    fill(Card, card, CARDS)
    tokens = list(Card.objects.values_list("token", flat=True)[:100])
    of_all = {"customer": staff, "name": "x", "amount": 1}
    fill(Order, lambda number: Order(card=tokens[number % 100], placed_at=moment(), **of_all), ORDERS)
    of_all = {"requester": staff, "purpose": "refund", "reason": "x", "ticket": "T"}
    fill(RevealRequest, lambda number: RevealRequest(card_id=tokens[number % 100], expires_at=moment(), **of_all), 1000)
    print(f"{connection.vendor}: filled in {time.perf_counter() - began:.0f} s")
    client = Client()
    client.force_login(staff)
    times = []
    with taken():
        for _ in range(REQUESTS):
            began = time.perf_counter()
            answer = client.get("/admin/")
            times.append(time.perf_counter() - began)
        contexts = {alias: CaptureQueriesContext(connections[alias]) for alias in connections}
        for context in contexts.values():
            context.__enter__()
        client.get("/admin/")
        for context in contexts.values():
            context.__exit__(None, None, None)
    if answer.status_code != HTTPStatus.OK:
        sys.exit(f"The page answered {answer.status_code}.")
    queries = [query for context in contexts.values() for query in context]
    print(f"median {statistics.median(times) * 1000:.0f} ms, slowest {max(times) * 1000:.0f} ms, "
          f"{len(queries)} queries, {len(answer.content) // 1024} KiB")  # fmt: skip
    for query in sorted(queries, key=lambda query: -float(query["time"]))[:SHOWN]:
        print(f"  {float(query['time']) * 1000:5.0f} ms  {query['sql'][:110]}")


if __name__ == "__main__":
    main()
