"""A real server that speaks TLS under a key of its own, and the probe that asks it."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from billing import gunicorn_conf
from billing.task_tls import ephemeral_context
from tests.billing.test_production import GOOD, GUNICORN, ROOT
from tests.servers import free_port

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
    folder = tmp_path_factory.mktemp("server")
    (folder / "tmp").mkdir()
    environment = variables(folder, free_port(), WEB_TLS="ephemeral")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *GUNICORN], env=environment, stdout=log, stderr=log, cwd=ROOT)
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


def handshake(port, *, highest=ssl.TLSVersion.TLSv1_3):
    """The version that was agreed on and the certificate that was shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = highest
    with closing(context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10))) as connection:
        return connection.version(), connection.getpeercert(binary_form=True)


def test_a_server_answers_over_tls_alone_under_one_key_that_is_in_no_file(server):
    _, environment, folder = server
    assert alive(environment)
    assert not alive(environment | {"WEB_TLS": ""})
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
    assert gunicorn_conf.TLS_UNKNOWN in done.stderr


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
