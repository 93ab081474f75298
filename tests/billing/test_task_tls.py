"""A real server that speaks TLS under a key of its own, and the probe that asks it."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from billing.task_tls import ephemeral_context
from tests.billing.test_production import GOOD, GUNICORN, ROOT
from tests.servers import free_port

# What the image starts it with, where that is installed; not as process 1 here, so it is told to care for orphans.
INIT = [tini, "-s", "--"] if (tini := shutil.which("tini")) else []
PROBE = (sys.executable, "-m", "billing.probe")


def variables(folder, port, **more):
    urls = {"DATABASE_URL": f"sqlite:///{folder}/a", "AUDIT_DATABASE_URL": f"sqlite:///{folder}/b"}
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(folder), "PORT": str(port)}
    # As in a container, for the server and the probe alike.
    own |= {"BIND": "0.0.0.0", "WEB_CONCURRENCY": "2", "TMPDIR": str(folder / "tmp")}  # noqa: S104
    return own | GOOD | urls | {"DJANGO_SETTINGS_MODULE": "billing.settings.production"} | more


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server over TLS: its process, its environment and its folder."""
    with started(tmp_path_factory.mktemp("server")) as server:
        yield server


@contextmanager
def started(folder):
    (folder / "tmp").mkdir()
    environment = variables(folder, free_port(), WEB_TLS="ephemeral")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*INIT, sys.executable, *GUNICORN], env=environment, stdout=log, stderr=log, cwd=ROOT
        )
    try:
        for _ in range(300):
            if alive(environment):
                break
            time.sleep(0.1)
        yield process, environment, folder
    finally:
        process.terminate()
        process.wait(60)


def alive(environment):
    return subprocess.run(PROBE, env=environment, cwd=ROOT, check=False).returncode == 0


def connected(port, *, highest=ssl.TLSVersion.TLSv1_3):
    """A connection as a load balancer makes it, which looks at no name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = highest
    return closing(context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30)))


def handshake(port, **options):
    """The version that was agreed on and the certificate that was shown."""
    with connected(port, **options) as connection:
        return connection.version(), connection.getpeercert(binary_form=True)


def test_a_server_answers_over_tls_alone_under_one_key_that_is_in_no_file(server):
    _, environment, folder = server
    assert alive(environment)
    assert not alive(environment | {"WEB_TLS": "none"})
    shown = [handshake(int(environment["PORT"])) for _ in range(8)]
    assert {version for version, _ in shown} == {"TLSv1.3"}
    # Two workers, one key.
    assert len({certificate for _, certificate in shown}) == 1
    assert list((folder / "tmp").iterdir()) == []


def test_tls_is_1_2_or_later(server):
    assert handshake(int(server[1]["PORT"]), highest=ssl.TLSVersion.TLSv1_2)[0] == "TLSv1.2"
    assert ephemeral_context().minimum_version is ssl.TLSVersion.TLSv1_2


def test_every_start_has_a_key_of_its_own():
    assert certificate_of(ephemeral_context()) != certificate_of(ephemeral_context())


def certificate_of(context):
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as pool, ours, theirs:
        answering = pool.submit(context.wrap_socket, theirs, server_side=True)
        with client.wrap_socket(ours) as connection, answering.result():
            return connection.getpeercert(binary_form=True)


def test_a_request_that_has_begun_is_answered_before_the_server_ends(tmp_path):
    with started(tmp_path) as (process, environment, folder), connected(int(environment["PORT"])) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: billing.example.com\r\n")
        # The worker has it, and waits for the rest.
        time.sleep(1)
        process.terminate()
        wait_for(lambda: "Handling signal: term" in (folder / "log").read_text())
        assert process.poll() is None
        connection.sendall(b"Connection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert process.wait(30) == 0


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_word_that_is_none_is_refused(tmp_path):
    done = subprocess.run(
        [sys.executable, *GUNICORN],
        env=variables(tmp_path, free_port(), WEB_TLS="on"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "WEB_TLS: must be one of ephemeral, none" in done.stderr + done.stdout


def test_a_server_that_hangs_is_not_alive(server):
    process, environment, _ = server
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    )
    pids = [process.pid, *map(int, children.stdout.split())]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    try:
        assert not alive(environment)
        # Less than the health check of the image gives it, but for the start of the probe.
        assert time.monotonic() - start < 5
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
