"""What a request costs: processor time of the web server and of the database, queries, calls of AWS, bytes kept.

    python -m tests.mariadb --durable -- python -m benchmarks.requests

One gunicorn worker answers over HTTP, one request after the other, with AWS played by `benchmarks.standin`. Processor
time is what the kernel counted for the worker and for MariaDB, so a busy machine changes it little.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
import MySQLdb

from benchmarks import standin
from benchmarks.standin import StandIn

ROOT = Path(__file__).parents[1]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.settings.local")
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="bench-requests-"))
REQUESTS = int(os.environ.get("REQUESTS", "300"))
WARM_UP = 20
HEADINGS = "web, ms CPU | database, ms CPU | clock, ms | queries | audit events | KMS | DynamoDB"
PLACING = "order with a new card"
#: Orders of which the bytes are measured: InnoDB grows by pages, and larger tables by megabytes.
KEPT = 4 * REQUESTS
RIGHTS = (
    "orders.add_order",
    "orders.view_order",
    "vault.tokenize_pan",
    "vault.detokenize_pan",
    "vault.detokenize_unattended",
)
TICKS = os.sysconf("SC_CLK_TCK")
PREPARE = """
import django
django.setup()
from vault.backend import current_vault
current_vault().fingerprint_keys.create()
import sys
from knox.models import AuthToken
from tests.factories import make_user
print(AuthToken.objects.create(make_user("bench", *sys.argv[1:]))[1])
"""


@dataclass(frozen=True)
class Cost:
    """Of one request: milliseconds of processor and of the clock, queries, audit events, calls of AWS by service."""

    web: float
    database: float
    clock: float
    queries: float
    events: float
    kms: float
    dynamodb: float

    def __str__(self) -> str:
        return (
            f"{self.web:.1f} | {self.database:.1f} | {self.clock:.0f} | {self.queries:.0f} "
            f"| {self.events:.3g} | {self.kms:.3g} | {self.dynamodb:.3g}"
        )


def processor_seconds(pid: int) -> float:
    """What a process and its threads have used, in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Bench:
    """A shop on this machine's MariaDB, and what it costs to ask it something."""

    def __init__(self, shop: Any, aws: Any, port: int, worker: int, token: str) -> None:
        self.shop = shop
        self.aws, self.port, self.worker, self.token = aws, port, worker, token
        url, _, options = shop.environment["DATABASE_URL"].partition("?")
        self.schema = url.rpartition("/")[2]
        self.audit = shop.environment["AUDIT_DATABASE_URL"].partition("?")[0].rpartition("/")[2]
        self.database = MySQLdb.connect(user="root", unix_socket=options.partition("unix_socket=")[2], autocommit=True)
        self.server = int(Path(self.sql("SELECT @@pid_file")[0][0]).read_text())
        self.wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def sql(self, query: str) -> Any:
        cursor = self.database.cursor()
        cursor.execute(query)
        return cursor.fetchall()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
        self.wire.request(method, path, json.dumps(body) if body else None, headers)
        answer = self.wire.getresponse()
        content = answer.read()
        assert answer.status < 300, (path, answer.status, content)
        return json.loads(content)

    def cost(self, request: Callable[[], Any]) -> Cost:
        for _ in range(WARM_UP):
            request()
        self.aws.forget()
        web, database, questions = processor_seconds(self.worker), processor_seconds(self.server), self.questions()
        events, spans = self.events(), []
        for _ in range(REQUESTS):
            began = time.perf_counter()
            request()
            spans.append(time.perf_counter() - began)
        counts = self.aws.counts()
        kms = counts["GenerateDataKey"] + counts["Decrypt"]
        return Cost(
            web=(processor_seconds(self.worker) - web) * 1000 / REQUESTS,
            database=(processor_seconds(self.server) - database) * 1000 / REQUESTS,
            clock=statistics.median(spans) * 1000,
            queries=(self.questions() - questions) / REQUESTS,
            events=(self.events() - events) / REQUESTS,
            kms=kms / REQUESTS,
            dynamodb=(counts.total() - kms) / REQUESTS,
        )

    def questions(self) -> int:
        return int(self.sql("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'")[0][1]) + int(
            self.sql("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1]
        )

    def events(self) -> int:
        return int(self.sql(f"SELECT COUNT(*) FROM {self.audit}.vault_auditevent")[0][0])

    def stored(self) -> int:
        """Bytes of all tables and indexes in SQL, the audit log included."""
        where = f"WHERE table_schema LIKE '{self.schema.rpartition('_')[0]}%'"
        for schema, table in self.sql(f"SELECT table_schema, table_name FROM information_schema.tables {where}"):
            self.sql(f"ANALYZE TABLE `{schema}`.`{table}`")
        return int(self.sql(f"SELECT SUM(data_length + index_length) FROM information_schema.tables {where}")[0][0])


def set_up() -> None:
    """Django, with the database that those of an installation are made from."""
    url, _, options = os.environ["DATABASE_URL"].partition("?")
    with MySQLdb.connect(user="root", unix_socket=options.partition("unix_socket=")[2]) as server:
        server.cursor().execute(f"CREATE DATABASE IF NOT EXISTS {url.rpartition('/')[2]}")
    django.setup()


@contextlib.contextmanager
def installation(materials: str, *, latency: float = 0.005) -> Iterator[tuple[Any, StandIn]]:
    """An installation with a new vault and empty tables, whose AWS is the stand-in."""
    sys.path.insert(0, str(ROOT))
    from tests.processes import installed

    set_up()
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
    with installed(folder, VAULT_MATERIALS=materials, **keys) as shop, standin.running(latency) as aws:
        shop.environment |= {"DJANGO_SETTINGS_MODULE": "benchmarks.settings", "BENCH_AWS": aws.url}
        yield shop, aws


def prepared(shop: Any) -> str:
    """Make what a vault has before its first card, and a service account; its token."""
    command = [sys.executable, "-W", "ignore", "-c", PREPARE, *RIGHTS]
    done = subprocess.run(command, env=shop.environment, check=True, capture_output=True, text=True)
    return done.stdout.split()[-1]


@contextlib.contextmanager
def bench(materials: str, *, latency: float = 0.005) -> Iterator[Bench]:
    """A shop that serves, with a new vault and empty tables."""
    with installation(materials, latency=latency) as (shop, aws):
        from tests.servers import Server, free_port

        token = prepared(shop)
        port, log = free_port(), shop.folder / "web.log"
        environment = shop.environment | {"PORT": str(port), "WEB_CONCURRENCY": "1", "WEB_THREADS": "4"}
        command = [sys.executable, "-m", "gunicorn", "--config", "billing/gunicorn_conf.py", "billing.wsgi"]
        with log.open("wb") as file, subprocess.Popen(command, env=environment, stdout=file, stderr=file) as process:
            Server(process, port, log).wait_until_ready()
            worker = int(subprocess.check_output(["ps", "-o", "pid=", "--ppid", str(process.pid)]))
            try:
                yield Bench(shop, aws, port, worker, token)
            finally:
                process.terminate()


def requests_of(shop: Bench, numbers: Iterator[str]) -> dict[str, Callable[[], Any]]:
    """What is asked, by what it is called in the table."""
    order = {"name": "Jug", "amount": "24.90", "currency": "EUR"}
    reading = {"purpose": "settlement", "reason": "benchmark"}
    tokens = [shop.ask("POST", "/api/v1/tokens/", {"pan": next(numbers)})["token"] for _ in range(10)]
    known = itertools.cycle(tokens)
    return {
        PLACING: lambda: shop.ask("POST", "/api/v1/orders/", order | {"pan": next(numbers)}),
        "order with a token": lambda: shop.ask("POST", "/api/v1/orders/", order | {"token": next(known)}),
        "tokenize a new card": lambda: shop.ask("POST", "/api/v1/tokens/", {"pan": next(numbers)}),
        "read a card": lambda: shop.ask("POST", f"/api/v1/tokens/{next(known)}/detokenize/", reading),
        "list of 25 orders": lambda: shop.ask("GET", "/api/v1/orders/"),
    }


def main() -> None:
    from tests.cards import CANARY_BIN, with_check_digit

    numbers = (with_check_digit(f"{CANARY_BIN}{number:07d}") for number in itertools.count())
    for materials in ("per-item", "reused"):
        with bench(materials) as shop:
            print(f"| `{materials}` | {HEADINGS} |")
            print("|---|---|---|---|---|---|---|---|")
            for name, request in requests_of(shop, numbers).items():
                print(f"| {name} | {shop.cost(request)} |", flush=True)
            print()
    with bench("reused") as shop:
        place, before = requests_of(shop, numbers)[PLACING], shop.stored()
        for _ in range(KEPT):
            place()
        grown = (shop.stored() - before) / KEPT
    print(f"An order with a new card takes {grown / 1000:.1f} kB in SQL, the audit log included.")


if __name__ == "__main__":
    main()
