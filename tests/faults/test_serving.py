"""What a real server does while AWS hangs (A4), when it is told to stop (A16), and on a full disk (A15)."""

import contextlib
import signal
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import mariadb
from tests.accounting.mototable import running_moto
from tests.faults.disks import small_disk
from tests.faults.sql import needs_mysql
from tests.load.scale import tell
from tests.processes import Installation, command, installation
from tests.servers import Server, free_port, make_account, rows_of, serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.killed]
__all__ = ["installation"]

ORDERS = "/api/v1/orders/"
CONTENT = {"name": "Milk jug", "amount": "24.90", "currency": "EUR"}
UNAVAILABLE, DATABASE_AWAY = (503, "vault_unavailable"), (503, "database_unavailable")
AWS = {
    "DJANGO_SETTINGS_MODULE": "tests.faults.settings_aws",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
}
# `serving` has eight threads.
PLACES, REQUESTS = 7, 16


@contextlib.contextmanager
def black_hole():
    """The address of somebody who takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_an_aws_that_hangs_holds_up_nobody_but_who_asks_for_it(installation, canary):
    """Real sockets, real time-outs, and more requests at once than there are threads. The first one asks for a key that
    the others need as well. A time is a time of a busy machine: it is compared with that of the request.
    """
    digits, token = canary("kept before"), make_account(installation, "shop", "orders.add_order")
    with serving(installation, 1) as [server]:
        assert server.post(ORDERS, CONTENT | {"pan": digits}, token=token).status_code == 201
    bodies = [CONTENT | {"pan": canary(f"new {number}")} for number in range(REQUESTS)]
    with black_hole() as address:
        installation.environment |= AWS | {"VAULT_ENDPOINT_URL": address, "VAULT_READ_TIMEOUT": "1"}
        with serving(installation, 1) as [server], ThreadPoolExecutor(REQUESTS) as pool:
            # What is loaded with the first request is loaded.
            server.get(ORDERS, token=token)
            start = time.monotonic()
            requests = [pool.submit(timed, server.post, ORDERS, body, token=token) for body in bodies]
            waits, shown = look_around(server, token, until=lambda: all(request.done() for request in requests))
            answers = sorted((request.result() for request in requests), key=lambda each: each[1])
            seconds = time.monotonic() - start
    say(waits, answers)
    assert [(answer.status_code, answer.json()["code"]) for answer, _ in answers] == [UNAVAILABLE] * REQUESTS
    assert {answer.headers["Retry-After"] for answer, _ in answers} == {"5"}
    # Four attempts of a second, and pauses of seven at most, between them.
    assert 4 <= seconds < 30
    assert len(waits) >= 3
    assert statistics.median(waits) < seconds / 10
    # One asks for the key. Nobody waits with it.
    assert answers[-2][1] < seconds / 2
    assert {(card["brand"], card["last4"]) for card in shown} == {("visa", digits[-4:])}


def test_when_it_answers_again_what_hung_goes_on_and_no_place_is_lost(installation, canary, tmp_path):
    """An AWS of its own process, which is stopped, and a server that has worked with it."""
    token = make_account(installation, "shop", "orders.add_order")
    bodies = [CONTENT | {"pan": canary(f"new {number}")} for number in range(REQUESTS)]
    with running_moto(tmp_path) as (address, aws):
        # Longer than the test stops it.
        installation.environment |= AWS | address | {"VAULT_CONNECT_TIMEOUT": "20", "VAULT_READ_TIMEOUT": "20"}
        installation.manage("vault_provision")
        with serving(installation, 1) as [server], ThreadPoolExecutor(REQUESTS) as pool:
            assert server.post(ORDERS, CONTENT | {"pan": canary("before")}, token=token).status_code == 201
            aws.send_signal(signal.SIGSTOP)
            start = time.monotonic()
            requests = [pool.submit(timed, server.post, ORDERS, body, token=token) for body in bodies]
            beyond = REQUESTS - PLACES
            waits, shown = look_around(
                server,
                token,
                until=lambda: time.monotonic() - start > 4 and sum(request.done() for request in requests) >= beyond,
            )
            seconds = time.monotonic() - start
            refused = [request.result() for request in requests if request.done()]
            aws.send_signal(signal.SIGCONT)
            hung = [request.result() for request in requests if request.result() not in refused]
            say(waits, [*refused, *hung])
            assert [(answer.status_code, answer.json()["code"]) for answer, _ in refused] == [UNAVAILABLE] * beyond
            assert {answer.headers["Retry-After"] for answer, _ in refused} == {"5"}
            assert statistics.median(waits) < seconds / 10
            assert statistics.median(took for _, took in refused) < seconds / 2
            assert [answer.status_code for answer, _ in hung] == [201] * PLACES
            # As a customer does who was asked to try again.
            again = [pool.submit(until_placed, server, body, token) for body in bodies]
            assert [request.result().status_code for request in again] == [201] * REQUESTS
    assert len(shown) >= 3


def timed(call, *arguments, **options):
    start = time.monotonic()
    answer = call(*arguments, **options)
    return answer, time.monotonic() - start


def look_around(server, token, *, until):
    """How long health and order history took, each time, until something is so; and the cards that were shown."""
    waits, shown = [], []
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        began = time.monotonic()
        assert server.get("/healthz").status_code == server.get("/readyz").status_code == 200
        orders = server.get(ORDERS, token=token)
        waits.append((time.monotonic() - began) / 3)
        assert orders.status_code == 200
        shown.append(orders.json()["results"][0]["card"])
    return waits, shown


def until_placed(server, body, token):
    for _ in range(20):
        answer = server.post(ORDERS, body, token=token)
        if answer.status_code != 503:
            break
        time.sleep(0.5)
    return answer


def say(waits, answers):
    tell(
        f"other pages: {len(waits)} times, median {statistics.median(waits):.3f} s, longest {max(waits):.3f} s; requests "
        + ", ".join(f"{answer.status_code} in {took:.2f} s" for answer, took in answers)
    )


def test_a_server_that_is_told_to_stop_finishes_what_it_began(installation, canary, tmp_path):
    token, held = make_account(installation, "shop", "orders.add_order"), tmp_path / "hold"
    held.touch()
    fault = f"hold:{held} before call GenerateDataKey"
    with serving(installation, 1, faults=[fault]) as [server], ThreadPoolExecutor(1) as pool:
        request = pool.submit(server.post, ORDERS, CONTENT | {"pan": canary("order")}, token=token)
        wait_for(held.with_name("hold.held").exists)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "Handling signal: term" in server.log.read_text())
        # The workers are told right after that.
        time.sleep(1)
        assert not request.done()
        held.unlink()
        assert request.result().status_code == 201
        assert server.process.wait(30) == 0
    assert rows_of(installation) == {"orders": 1, "cards": 1, "records": 1}


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- Disks and databases that go and come back --------------------------------------------------------------------------


@pytest.fixture
def on_small_disk(tmp_path):
    """An installation on SQLite alone, with all that it has on a disk that can be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder) as disk:
        made = Installation(folder)
        made.manage("migrate", "--verbosity=0")
        made.manage("migrate", "--database=audit", "--verbosity=0")
        made.manage("vault_provision")
        yield made, disk


def test_a_full_disk_is_503_and_everything_is_intact_when_there_is_room_again(on_small_disk, canary, tmp_path):
    installation, disk = on_small_disk
    token = make_account(installation, "shop", "orders.add_order")
    before, after = (CONTENT | {"pan": canary(name)} for name in ("before", "after"))
    with logging_elsewhere(installation, tmp_path) as server:
        assert server.post(ORDERS, before, token=token).status_code == 201
        disk.fill(*pids_of(server))
        refused = [server.post(ORDERS, after, token=token, **{"Idempotency-Key": "k"}) for _ in range(2)]
        assert {answer.status_code for answer in refused} == {503}
        assert server.get("/healthz").status_code == 200
        disk.free()
        answers = [server.post(ORDERS, after, token=token, **{"Idempotency-Key": "k"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()
    assert rows_of(installation) == {"orders": 2, "cards": 2, "records": 2}
    installation.manage("vault_fsck")
    installation.manage("vault_audit", "verify")


@contextlib.contextmanager
def logging_elsewhere(installation, folder):
    """A server whose log is not on the disk of its data: otherwise the log is what fails first."""
    log, port = folder / "server.log", free_port()
    environment = installation.environment | {"PORT": str(port), "WEB_CONCURRENCY": "1", "WEB_THREADS": "4"}
    with log.open("wb") as file:
        arguments = command("-m", "gunicorn", "--config", "billing/gunicorn_conf.py", "billing.wsgi")
        process = subprocess.Popen(arguments, env=environment, stdout=file, stderr=file, process_group=0)
    server = Server(process, port, log)
    try:
        server.wait_until_ready()
        yield server
    finally:
        process.terminate()
        process.wait()


def pids_of(server):
    """The processes of a server, of which the workers write."""
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, text=True, check=False
    )
    return [server.process.pid, *map(int, children.stdout.split())]


@pytest.fixture(scope="module")
def own_server(tmp_path_factory):
    """A database server that nobody else uses, and an installation on it."""
    with mariadb.serving(durable=True) as database:
        installation = Installation(tmp_path_factory.mktemp("own"), DATABASE_URL=database.url)
        subprocess.run([sys.executable, "-c", CREATE], env=installation.environment, check=True)
        installation.manage("migrate", "--verbosity=0")
        installation.manage("vault_provision")
        yield database, installation


@needs_mysql
def test_a_database_that_dies_and_comes_back_has_every_order_that_was_acknowledged(own_server, canary):
    """Killed as by a power cut, with an order on its way."""
    database, installation = own_server
    token, before = make_account(installation, "shop", "orders.add_order"), rows_of(installation)
    body, headers = CONTENT | {"pan": canary("order")}, {"Idempotency-Key": "k"}
    with serving(installation, 1) as [server]:
        first = server.post(ORDERS, CONTENT | {"pan": canary("before")}, token=token)
        assert first.status_code == 201
        database.kill()
        away = server.post(ORDERS, body, token=token, **headers)
        assert (away.status_code, away.headers["Retry-After"]) == (503, "5")
        assert server.get("/healthz").status_code == 200
        assert server.get("/readyz").status_code == 503
        database.start()
        answers = [server.post(ORDERS, body, token=token, **headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()
        assert server.get("/readyz").status_code == 200
        listed = server.get(ORDERS, token=token).json()["results"]
    assert {order["id"] for order in listed} == {first.json()["id"], answers[0].json()["id"]}
    assert rows_of(installation) == {name: number + 2 for name, number in before.items()}
    installation.manage("vault_fsck")


@needs_mysql
def test_a_database_that_takes_connections_and_never_answers_is_503(own_server, canary, tmp_path, monkeypatch):
    """Stopped in the middle of an order. Without a time-out its threads would hang for as long as the server does."""
    database, installation = own_server
    token, before = make_account(installation, "hanging", "orders.add_order"), rows_of(installation)
    body, held = CONTENT | {"pan": canary("order")}, tmp_path / "hold"
    held.touch()
    monkeypatch.setitem(installation.environment, "DATABASE_READ_TIMEOUT", "2")
    fault = f"hold:{held} before write of orders_order"
    with serving(installation, 1, faults=[fault]) as [server], ThreadPoolExecutor(4) as pool:
        requests = [pool.submit(timed, server.post, ORDERS, body, token=token)]
        wait_for(held.with_name("hold.held").exists)
        database.freeze()
        try:
            held.unlink()
            # Those that find a connection, and those that make one, and wait for the first word.
            requests += [pool.submit(timed, server.get, ORDERS, token=token) for _ in range(3)]
            assert server.get("/healthz").status_code == 200
            answers = [request.result() for request in requests]
            assert server.get("/readyz").status_code == 503
        finally:
            database.thaw()
        tell(", ".join(f"{answer.status_code} in {took:.2f} s" for answer, took in answers))
        assert [(answer.status_code, answer.json()["code"]) for answer, _ in answers] == [DATABASE_AWAY] * 4
        assert {answer.headers["Retry-After"] for answer, _ in answers} == {"5"}
        assert server.get(ORDERS, token=token).json()["results"] == []
        assert server.post(ORDERS, body, token=token).status_code == 201
        assert server.get("/readyz").status_code == 200
    assert rows_of(installation) == {name: number + 1 for name, number in before.items()}
    installation.manage("vault_fsck")


CREATE = """
import os, MySQLdb
socket = os.environ["DATABASE_URL"].partition("unix_socket=")[2]
connection = MySQLdb.connect(unix_socket=socket, user="root")
connection.cursor().execute("CREATE DATABASE billing CHARACTER SET utf8mb4")
"""
