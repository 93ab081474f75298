"""Eight processes write audit events at once: what the chain costs, and whether they wait for each other.

    python -m tests.mariadb --durable -- python -m benchmarks.audit_writers

Three ways to write the same rows, in turns in one run, so that only the ratios count:

- bare: no chain at all, each row committed; the floor
- branches: what the product does
- one chain: its head is locked, read and continued; the usual way
"""

import multiprocessing
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.settings.local")

import django
import MySQLdb

django.setup()

from django.core.management import call_command
from django.db import connections, transaction

from vault.audit import ledger
from vault.audit.chain import NOTHING, digest, written_time
from vault.models import AuditEvent

EVENTS = int(os.environ.get("EVENTS", "200"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
WRITERS = (1, 8)


def content():
    return ledger.blank("tokenize", outcome="intent", actor="7", actor_name="shop", source="10.0.0.1", cards=1)


def bare():
    return lambda number: AuditEvent(
        **content(), chain=f"b{os.getpid()}", number=number, previous=NOTHING, digest=NOTHING
    ).save(using="audit")


def branches():
    mine = ledger.Ledger("audit")
    return lambda _: mine.append(content())


def one_chain():
    def write(_):
        with transaction.atomic(using="audit"), connections["audit"].cursor() as cursor:
            cursor.execute("SELECT number, digest FROM head FOR UPDATE")
            last, previous = cursor.fetchone()
            values = content() | {"chain": "one", "number": last + 1}
            values["digest"] = digest(previous, values | {"time": written_time(values["time"])})
            AuditEvent(**values, previous=previous).save(using="audit")
            cursor.execute("UPDATE head SET number = %s, digest = %s", [last + 1, values["digest"]])

    return write


WAYS = {"bare": bare, "branches": branches, "one chain": one_chain}


def work(way, ready, times):
    connections.close_all()
    write = WAYS[way]()
    write(0)  # the connection, and the branch
    ready.wait()
    spans = []
    for number in range(1, EVENTS + 1):
        started = time.perf_counter()
        write(number)
        spans.append(time.perf_counter() - started)
    times.put(spans)


def measure(way, writers):
    """Events per second of all writers, and how long one of them takes: median and 99th percentile."""
    empty()
    # Forked, so that starting is not what is measured.
    context = multiprocessing.get_context("fork")
    ready, times = context.Barrier(writers + 1), context.Queue()
    processes = [context.Process(target=work, args=(way, ready, times)) for _ in range(writers)]
    for process in processes:
        process.start()
    ready.wait()
    started = time.perf_counter()
    spans = [span for _ in processes for span in times.get(timeout=120)]
    took = time.perf_counter() - started
    for process in processes:
        process.join()
    connections.close_all()
    return writers * EVENTS / took, statistics.median(spans), statistics.quantiles(spans, n=100)[98]


def empty():
    with connections["audit"].cursor() as cursor:
        cursor.execute("TRUNCATE TABLE vault_auditevent")
        cursor.execute("CREATE TABLE IF NOT EXISTS head (number BIGINT, digest CHAR(64))")
        cursor.execute("DELETE FROM head")
        cursor.execute("INSERT INTO head VALUES (0, %s)", [NOTHING])
    connections.close_all()


def make_database():
    options = connections["default"].get_connection_params()
    name = options.pop("database")
    with MySQLdb.connect(**options) as connection:
        connection.cursor().execute(f"CREATE DATABASE IF NOT EXISTS {name}")
    call_command("migrate", verbosity=0)


def main():
    make_database()
    results = {(way, writers): [] for way in WAYS for writers in WRITERS}
    for _ in range(ROUNDS):
        for (way, writers), found in results.items():
            found.append(measure(way, writers))
    rate = {key: statistics.median(each[0] for each in found) for key, found in results.items()}
    print(f"{'':<12}{'writers':>8}{'events/s':>10}{'median ms':>11}{'p99 ms':>9}{'of bare':>9}")
    for (way, writers), found in results.items():
        median, late = (statistics.median(each[index] for each in found) * 1000 for index in (1, 2))
        share = rate[way, writers] / rate["bare", writers]
        print(f"{way:<12}{writers:>8}{rate[way, writers]:>10.0f}{median:>11.2f}{late:>9.2f}{share:>9.2f}")
    for way in WAYS:
        print(f"{way}: 8 writers write {rate[way, 8] / rate[way, 1]:.2f} times what one writes")


if __name__ == "__main__":
    main()
