"""Web servers of one installation, each a process on a port of its own."""

import contextlib
import json
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import httpx

from tests.processes import command

_START_SECONDS = 60

ACCOUNT = """
import sys
from knox.models import AuthToken
from tests.factories import make_user
print(AuthToken.objects.create(make_user(*sys.argv[1:]))[1])
"""


class Server:
    """One process that answers the API on `port`."""

    def __init__(self, process: subprocess.Popen, port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        raise AssertionError(self.log.read_text()[-2000:])

    def post(self, path: str, body: object, *, token: str, **headers: str) -> httpx.Response:
        """The answer to one request, on a connection of its own. Raises `httpx.TransportError` if there is none."""
        with httpx.Client(timeout=60, trust_env=False) as client:
            headers = {"Authorization": f"Token {token}", **headers}
            return client.post(f"http://127.0.0.1:{self.port}{path}", json=body, headers=headers)

    def get(self, path: str, *, token: str = "") -> httpx.Response:
        """The answer to one request, on a connection of its own."""
        with httpx.Client(timeout=60, trust_env=False) as client:
            headers = {"Authorization": f"Token {token}"} if token else {}
            return client.get(f"http://127.0.0.1:{self.port}{path}", headers=headers)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def serving(
    installation, count: int, *, script: str = "", arguments: tuple[str, ...] = (), faults: tuple[str, ...] = ()
):
    """So many gunicorns with one worker each, or as many scripts that are given a port and `arguments`.

    With `faults`, they happen to each of them: see `tests.faults`.
    """
    servers = [_start(installation, script, arguments, faults) for _ in range(count)]
    try:
        for server in servers:
            server.wait_until_ready()
        yield servers
    finally:
        for server in servers:
            server.stop()


def _start(installation, script: str, arguments: tuple[str, ...], faults: tuple[str, ...]) -> Server:
    port = free_port()
    log = installation.folder / f"server-{port}.log"
    with log.open("wb") as file:
        if script:
            process = installation.script(script, port, *arguments, faults=faults, stdout=file, stderr=file)
            return Server(process, port, log)
        gunicorn = command("-m", "gunicorn", "--config", "billing/gunicorn_conf.py", "billing.wsgi", faults=faults)
        environment = installation.environment | {"PORT": str(port), "WEB_CONCURRENCY": "1", "WEB_THREADS": "8"}
        process = subprocess.Popen(
            gunicorn, env=environment, cwd=installation.root, stdout=file, stderr=file, process_group=0
        )
        return Server(process, port, log)


def all_at_once(calls):
    """What came of calls that were made at the same time, in their order."""
    together = Barrier(len(calls))

    def begin(call, has_begun):
        has_begun.set()
        together.wait()
        return call()

    futures = []
    with ThreadPoolExecutor(len(calls)) as pool:
        for call in calls:
            # One thread after the other: coverage traces them, and Python 3.11 refuses to begin that for two at once.
            has_begun = Event()
            futures.append(pool.submit(begin, call, has_begun))
            has_begun.wait()
    return [future.result() for future in futures]


def make_account(installation, *name_and_rights: str) -> str:
    """The token of a new account."""
    return installation.run(ACCOUNT, *name_and_rights)


def rows_of(installation, count="") -> dict[str, int]:
    """How many orders and cards there are by now, and how many records the vault has; or what another script counts."""
    return json.loads(installation.run(count or COUNT))


COUNT = """
import json
from orders.models import Order
from vault.backend import current_vault
from vault.models import Card
pages = current_vault().session.dynamodb().get_paginator("scan").paginate(TableName=current_vault().config.TABLE)
keys = [item["token"]["S"] for page in pages for item in page["Items"]]
records = sum(key.startswith("tok1_") for key in keys)
print(json.dumps({"orders": Order.objects.count(), "cards": Card.objects.count(), "records": records}))
"""
