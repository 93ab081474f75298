"""What real processes log: servers, commands, threads, libraries. What one line says is in test_logs.py."""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from billing import logs, server_log
from billing.settings.logging import LEVEL_UNKNOWN, PINNED
from tests.cards import grouped
from tests.leaks import Sink
from tests.servers import free_port

ROOT = Path(__file__).parents[2]


def environment(folder, **more):
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "billing.settings.local",
        "DATA_DIR": str(folder),
        "LOG_FORMAT": "json",
        **more,
    }


def process(script, digits, folder, **more):
    """A process that worked with `digits`, at its end."""
    command = [sys.executable, "-c", f"import sys, django\ndjango.setup()\nDIGITS = sys.stdin.read()\n{script}"]
    variables = environment(folder, PYTHONIOENCODING="utf-8", **more)
    return subprocess.run(command, env=variables, input=digits, capture_output=True, encoding="utf-8", check=False)


def run(script, digits, folder, **more):
    """The lines that a process logged which worked with `digits`."""
    return [json.loads(line) for line in process(script, digits, folder, **more).stderr.splitlines()]


# --- Every way to stderr -------------------------------------------------------------------------------------------

WAYS = """
import gc, logging, threading, warnings
logging.getLogger("a.library").error("card %s", DIGITS)
warnings.warn(f"card {DIGITS}")
def fail():
    raise ValueError(f"card {DIGITS}")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
class Dying:
    def __del__(self):
        fail()
Dying()
gc.collect()
fail()
"""


def test_whatever_a_process_has_to_say_is_a_line_without_card_numbers(canary, tmp_path):
    digits = canary("process")
    lines = run(WAYS, digits, tmp_path)
    assert [line["logger"] for line in lines] == ["a.library", "py.warnings", *["billing.logs"] * 3]
    assert [line["message"] for line in lines[2:]] == [logs.UNHANDLED_IN_THREAD, logs.UNRAISABLE, logs.UNHANDLED]
    assert all(f"•••• {digits[-4:]}" in line.get("exception", line["message"]) for line in lines)
    assert "ValueError" in lines[-1]["exception"]


INTERRUPTED = """
try:
    raise ValueError(f"card {DIGITS}")
except ValueError:
    raise KeyboardInterrupt
"""


def test_a_process_that_is_interrupted_prints_no_card_number(canary, tmp_path):
    digits = canary("process")
    done = process(INTERRUPTED, digits, tmp_path)
    assert done.returncode == -signal.SIGINT
    assert f"•••• {digits[-4:]}" in done.stderr
    assert digits not in done.stderr
    assert done.stderr.endswith("\nKeyboardInterrupt\n")


PRINT_KEYS = """
import logging, os
from pathlib import Path
from vault.aws import AWSSession, client_config
config = client_config(connect_timeout=1, read_timeout=1, max_attempts=1, max_connections=1)
folder = Path(os.environ["DATA_DIR"]) / "vault"
kms = AWSSession(region="eu-central-1", decrypt_key="", config=config, embedded_dir=folder).kms()
key = kms.create_key()["KeyMetadata"]["KeyId"]
kms.generate_data_key(KeyId=key, KeySpec="AES_256")
logging.getLogger("orders").debug("This is at DEBUG.")
from django.db import connection
connection.force_debug_cursor = True
connection.cursor().execute("SELECT %s", [DIGITS])
"""


def test_the_level_of_a_laptop_does_not_open_what_prints_keys(canary, tmp_path):
    lines = run(PRINT_KEYS, canary("at DEBUG"), tmp_path, LOG_LEVEL="DEBUG")
    assert "This is at DEBUG." in [line["message"] for line in lines]
    assert [line for line in lines if line["logger"].startswith(tuple(PINNED))] == []


@pytest.mark.parametrize("name", PINNED)
def test_what_prints_keys_is_pinned(name):
    """In this process too, where the leak scanner has opened every other logger to the lowest level."""
    assert logging.getLogger(name).getEffectiveLevel() >= logging.WARNING
    assert logging.getLogger(f"{name}.some.part").getEffectiveLevel() >= logging.WARNING


# --- Servers -------------------------------------------------------------------------------------------------------

GUNICORN = ("-m", "gunicorn", "--config", "billing/gunicorn_conf.py", "billing.wsgi")
RUNSERVER = ("manage.py", "runserver", "--noreload")


class Server:
    """A server of the development machine, and what it has logged since the last look."""

    def __init__(self, command, folder):
        self.port = free_port()
        self.log = folder / "server.log"
        if "runserver" in command:
            command = [*command, str(self.port)]
        variables = environment(folder, PORT=str(self.port), WEB_CONCURRENCY="1")
        with self.log.open("wb") as file:
            self.process = subprocess.Popen([sys.executable, *command], env=variables, stdout=file, stderr=file)
        self.seen = 0
        self.ask(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", seconds=60)
        self.lines()

    def ask(self, request, *, seconds=0):
        """The answer to what is sent as it is."""
        deadline = time.monotonic() + seconds
        while True:
            with (
                contextlib.suppress(ConnectionRefusedError),
                socket.create_connection(("127.0.0.1", self.port)) as link,
            ):
                link.sendall(request)
                return b"".join(iter(lambda: link.recv(65_536), b"")).decode()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def lines(self):
        """What was logged since the last time, parsed, and as it is."""
        # The line about a request is written after its answer was sent.
        time.sleep(0.3)
        text = self.log.read_text()[self.seen :]
        self.seen += len(text)
        return [json.loads(line) for line in text.splitlines() if line.startswith('{"time"')], text


@pytest.fixture(scope="module", params=[GUNICORN, RUNSERVER], ids=["gunicorn", "runserver"])
def server(request, tmp_path_factory):
    server = Server(request.param, tmp_path_factory.mktemp("server"))
    yield server
    server.process.send_signal(signal.SIGTERM)
    server.process.wait()


def get(target, *headers):
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]).encode()


REQUESTS = {
    "query": lambda digits: get(f"/healthz?card={digits}"),
    "escaped query": lambda digits: get(f"/healthz?card={grouped(digits, '%20')}"),
    "path": lambda digits: get(f"/{digits}/"),
    "escaped path": lambda digits: get(f"/{grouped(digits, '%2D')}/"),
    "referer": lambda digits: get("/healthz", f"Referer: http://localhost/?q={digits}"),
    "user agent": lambda digits: get("/healthz", f"User-Agent: {grouped(digits, ' ')}"),
    "cookie": lambda digits: get("/healthz", f"Cookie: a={digits}"),
    "header name": lambda digits: get("/healthz", f"{digits}: 1"),
    "header that is none": lambda digits: get("/healthz", f"Bad {digits}: 1"),
    # Nothing collects static files here: the page of the error fails as well.
    "host": lambda digits: get("/healthz", f"Host: {digits}"),
    "method": lambda digits: get("/healthz").replace(b"GET", digits.encode()),
    "version": lambda digits: get("/healthz").replace(b"HTTP/1.1", digits.encode()),
    "no request at all": lambda digits: f"{digits}\r\n\r\n".encode(),
}


def test_a_server_logs_no_card_number_of_a_request(server, canary, leaks):
    for name, request in REQUESTS.items():
        server.ask(request(canary(name)))
    lines, text = server.lines()
    assert len(lines) >= len(REQUESTS) - 1
    leaks.record(Sink.SUBPROCESS, text, "log of a server")


def test_a_server_logs_no_query(server):
    server.ask(get("/healthz?word=harmless"))
    server.ask(get("/nowhere?word=harmless"))
    _, text = server.lines()
    assert "/healthz" in text
    assert "/nowhere" in text
    assert "harmless" not in text


def test_a_server_says_one_line_a_request_whatever_stands_in_it(server):
    server.ask(get("/a%0A%7B%22time%22%3A%20%22forged%22%7D%E2%80%A8%1B%5B2J"))
    lines, text = server.lines()
    assert all(line.isascii() and line.isprintable() for line in text.splitlines())
    assert not any(line["time"] == "forged" for line in lines)


@pytest.mark.parametrize("server", [GUNICORN], indirect=True, ids=["gunicorn"])
def test_an_access_line_has_the_id_of_the_answer(server):
    answer = server.ask(get("/healthz"))
    (line,) = [line for line in server.lines()[0] if line["logger"] == "gunicorn.access"]
    assert line.pop("time")
    assert line.pop("milliseconds") >= 0
    assert f"Request-Id: {line.pop('request_id')}" in answer
    assert line == {
        "level": "INFO",
        "logger": "gunicorn.access",
        "message": server_log.ANSWERED,
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/healthz",
        "status": 200,
        "bytes": 3,
    }


# --- Production ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [GUNICORN, ("manage.py", "check")], ids=["gunicorn", "manage.py"])
def test_production_does_not_start_at_debug(tmp_path, command):
    variables = environment(tmp_path, DJANGO_SETTINGS_MODULE="billing.settings.production", LOG_LEVEL="DEBUG")
    done = subprocess.run([sys.executable, *command], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert LEVEL_UNKNOWN in done.stderr
