"""Trial C4: a server that does 70 % of what it can, for long: nothing of it grows."""

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import pytest
from django.db import connection as database

from tests.cards import CANARY_BIN, with_check_digit
from tests.load.memory import open_files, resident
from tests.load.scale import IS_FULL, scaled, tell
from tests.servers import Server, free_port, make_account

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.killed,
    pytest.mark.skipif(database.vendor != "mysql", reason="what is measured is a shop on a server"),
]

SECONDS = scaled("LOAD_SECONDS", few=18, full=1800)
FINDING = scaled("LOAD_FINDING", few=4, full=30)
CLIENTS = 8
SHARE = 0.7
MEGABYTE = 1024 * 1024
RIGHTS = (
    "orders.add_order",
    "orders.view_order",
    "vault.tokenize_pan",
    "vault.detokenize_pan",
    "vault.detokenize_unattended",
)
_numbers = itertools.count(5_000_000)
_lock = threading.Lock()


@dataclass
class Load:
    """What was sent, and what came back: when, and after how many seconds."""

    port: int
    token: str
    tokens: list[str] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    failures: list[tuple[str, int]] = field(default_factory=list)

    def work(self, due):
        """One of the clients: a request at each moment that `due` gives, each as somebody of a shop would send it."""
        dice = random.Random(threading.get_ident())  # noqa: S311 - who asks for what
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
        for moment in due:
            time.sleep(max(0.0, moment - time.perf_counter()))
            method, path, body = self.choose(dice)
            # From when it was due: a server that falls behind does not slow down those who come.
            began = moment or time.perf_counter()
            wire.request(method, path, json.dumps(body) if body else None, headers)
            answer = wire.getresponse()
            content = answer.read()
            ended = time.perf_counter()
            if answer.status >= 300:
                self.failures.append((path, answer.status))
            elif path == "/api/v1/tokens/":
                self.tokens.append(json.loads(content)["token"])
            self.spans.append((ended, ended - began))
        wire.close()

    def choose(self, dice):
        """Four of ten look at orders, two read what is known of a card, two keep one, one pays, one reads a number."""
        act = dice.random()
        if act < 0.2 or not self.tokens:
            with _lock:
                number = next(_numbers)
            return "POST", "/api/v1/tokens/", {"pan": with_check_digit(f"{CANARY_BIN}{number:07d}")}
        token = dice.choice(self.tokens)
        if act < 0.6:
            return "GET", "/api/v1/orders/", None
        if act < 0.8:
            return "GET", f"/api/v1/tokens/{token}/", None
        if act < 0.9:
            return "POST", "/api/v1/orders/", {"name": "Jug", "amount": "24.90", "currency": "EUR", "token": token}
        return "POST", f"/api/v1/tokens/{token}/detokenize/", {"purpose": "settlement", "reason": "load"}

    def run(self, moments):
        """All clients at once; `moments` gives the moments of each."""
        threads = [threading.Thread(target=self.work, args=(moments(number),)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads


@contextlib.contextmanager
def serving(shop):
    """A gunicorn with two workers, as a shop runs it."""
    port = free_port()
    log = shop.folder / f"steady-{port}.log"
    command = [sys.executable, "-m", "gunicorn", "--config", "billing/gunicorn_conf.py", "billing.wsgi"]
    environment = shop.environment | {"PORT": str(port), "WEB_CONCURRENCY": "2", "WEB_THREADS": "4"}
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
    server = Server(process, port, log)
    try:
        server.wait_until_ready()
        yield server
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def workers_of(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True)
    return [int(each) for each in found.stdout.split()]


def connections_of(shop):
    """How many connections the shop's databases have."""
    names = {
        shop.environment[name].rpartition("/")[2].partition("?")[0] for name in ("DATABASE_URL", "AUDIT_DATABASE_URL")
    }
    with database.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE db IN %s", [sorted(names)])
        return cursor.fetchone()[0]


def until(end):
    """Moments that are due at once, until the end."""
    while time.perf_counter() < end:
        yield 0.0


def paced(number, rate, begin, seconds):
    """The moments of one client, of which all clients together have `rate` in a second."""
    step = CLIENTS / rate
    count = int(seconds / step)
    return (begin + (index + number / CLIENTS) * step for index in range(count))


def p99(spans):
    return statistics.quantiles(spans, n=100)[98] * 1000


def test_nothing_grows_at_70_percent(shop):
    """Memory, open files, connections and the slowest of a hundred are in the last third what they were in the first."""
    token = make_account(shop, f"steady{os.getpid()}", *RIGHTS)
    with serving(shop) as server:
        load = Load(server.port, token)
        # The first requests import, connect and unwrap keys: they count for nothing.
        for seconds in (2, FINDING):
            load.spans.clear()
            end = time.perf_counter() + seconds
            for thread in load.run(lambda _, end=end: until(end)):
                thread.join()
        full = len(load.spans) / FINDING
        load.spans.clear()
        begin = time.perf_counter() + 0.1
        threads = load.run(lambda number: paced(number, full * SHARE, begin, SECONDS))
        workers, samples = workers_of(server.process.pid), []
        while any(thread.is_alive() for thread in threads):
            state = [sum(map(resident, workers)), sum(map(open_files, workers)), connections_of(shop)]
            samples.append((time.perf_counter(), *state))
            time.sleep(SECONDS / 100)
        assert workers_of(server.process.pid) == workers, "A worker died."
    assert load.failures == []
    thirds = [third_of(load.spans, samples, begin, number) for number in range(3)]
    tell(f"100 %: {full:.0f} requests/s; {SHARE:.0%} for {SECONDS} s, {len(load.spans):,} requests")
    for number, (memory, files, links, slow) in enumerate(thirds, start=1):
        tell(
            f"third {number}: {memory / MEGABYTE:.1f} MB, {files:.0f} files, {links:.0f} connections, p99 {slow:.0f} ms"
        )
    (memory, files, links, slow), _, (memory_later, files_later, links_later, slow_later) = thirds
    # A process takes a while until it has all that it keeps: less than a tenth more, for long less than a fiftieth.
    assert memory_later < memory * (1.02 if IS_FULL else 1.1)
    assert files_later <= files + 4
    assert links_later <= links + 2
    # In a few seconds the slowest of a hundred are a handful, and tell how busy the machine is.
    if IS_FULL:
        assert slow_later < max(slow * 1.5, slow + 50)


def third_of(spans, samples, begin, number):
    """The medians of memory, open files and connections in one third of the time, and the 99th percentile of a request."""
    first, last = (begin + SECONDS * each / 3 for each in (number, number + 1))
    taken = [state for moment, *state in samples if first <= moment < last]
    slow = p99([span for ended, span in spans if first <= ended < last])
    return (*(statistics.median(column) for column in zip(*taken, strict=True)), slow)
