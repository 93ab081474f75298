"""What can happen at a point. Each takes the moment, and what stands behind the colons of its line."""

import os
import signal
import threading
import time
from pathlib import Path

from django.db import OperationalError

from tests.wire import Fault


def kill(moment):
    """This process is no more, and could not do anything about it."""
    os.kill(os.getpid(), signal.SIGKILL)
    # The signal is for the process, and may meet another thread of it first.
    time.sleep(60)


def pause(moment, seconds):
    """Whatever is about to happen takes so long."""
    time.sleep(float(seconds))


def hold(moment, path):
    """Wait until there is no such file any more; `path.held` says that somebody waits."""
    Path(f"{path}.held").touch()
    while Path(path).exists():
        time.sleep(0.02)


def fail(moment, code, status="400"):
    """AWS answers with an error instead; `Timeout` and `Refused` raise what botocore raises then."""
    return Fault(code, int(status), 1).answer(moment.request)


def disconnect(moment):
    """The server closes the connection: before COMMIT, nothing of the transaction is left."""
    _close_by_server(moment.connection, moment.connection.connection.thread_id())


def lose(moment):
    """The connection breaks when the server has done what it was asked: the answer never arrives."""
    connection = moment.connection
    closing = threading.Timer(0.1, _close_by_server, [connection, connection.connection.thread_id()])
    closing.start()
    try:
        # The driver waits for an answer, and says itself that none came.
        with connection.wrap_database_errors:
            connection.connection.query("DO SLEEP(60)")
    finally:
        closing.join()


def deny(moment, number):
    """The server refuses a statement with an error of this number, and does nothing."""
    raise OperationalError(int(number), "injected")


def _close_by_server(connection, number):
    if connection.vendor != "mysql":
        raise NotImplementedError("There is no server that could close this connection.")
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("KILL %s", [number])
    finally:
        other.close()


ACTS = {act.__name__: act for act in (kill, pause, hold, fail, disconnect, lose, deny)}
