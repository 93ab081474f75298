"""How gunicorn serves this project: `gunicorn --config billing/gunicorn_conf.py billing.wsgi`."""

import gc
import os
import signal
import ssl
from collections.abc import Callable
from typing import Any

from billing import core_dumps
from billing.logs import seal
from billing.settings.environment import env
from billing.settings.logging import IS_LAPTOP, LOGGING
from billing.start import refuse_incomplete

bind = f"{env.text('BIND', default='127.0.0.1')}:{env.number('PORT', default=8000, most=65535)}"

# Sync views in threads. AWS clients are built after the fork, in each worker, so nothing is preloaded.
worker_class = "gthread"
workers = env.number("WEB_CONCURRENCY", default=2)
threads = env.number("WEB_THREADS", default=4)
preload_app = False
# The longest request is a batch of cards; it must end by itself well before its worker is replaced.
timeout = 60
graceful_timeout = 30
# Longer than the 60 idle seconds of an AWS load balancer, which otherwise meets a closed connection now and then.
keepalive = 75
# Workers say there that they live, by changing the time of a file. A disk could keep one waiting until it is killed.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a file without a name
# No second way in: gunicorn would open a control socket in the user's home.
control_socket_disable = True

# What is logged is what Django logs, from the first line on; what it says of a request is in `billing.server_log`.
logger_class = "billing.server_log.Logger"
logconfig_dict = LOGGING

if env.choice("WEB_TLS", default="none", among=("none", "ephemeral")) == "ephemeral":
    from billing.task_tls import ephemeral_context

    # Before the workers are forked: all answer under one key.
    _context = ephemeral_context()
    # It takes a file for gunicorn to speak TLS. It never reads this one: `ssl_context` has what it needs.
    certfile = os.devnull

    def ssl_context(config: Any, default_ssl_context_factory: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """The same for every connection."""
        return _context


def on_starting(server: Any) -> None:
    """Make exceptions of the master, and warnings, lines of the log; say what is missing; let no core be written."""
    seal()
    refuse_incomplete()
    # Those who work on this project may want to look into it.
    if not IS_LAPTOP:
        core_dumps.forbid()


def post_fork(server: Any, worker: Any) -> None:
    """Set, for the application that a worker loads next, what is good for requests and not for commands."""
    # An AWS that hangs leaves one thread for pages that do not need it. However the number of threads was given.
    os.environ.setdefault("VAULT_CALLS_AT_ONCE", str(max(worker.cfg.threads - 1, 1)))
    # Whoever waits for an answer does not wait for KMS as well.
    os.environ.setdefault("VAULT_DATA_KEY_AHEAD", "true")
    # Well below `timeout`, which is of no help here: a worker of threads says that it lives while all of them hang.
    os.environ.setdefault("DATABASE_READ_TIMEOUT", "20")


def post_worker_init(worker: Any) -> None:
    """Say that a worker starts, and leave Ctrl-C to the master, which then stops its workers.

    A terminal sends it to all of them. A worker that has both signals to handle at once can wait for a lock of its own,
    until it is killed after `graceful_timeout`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What the application is made of stays until the end. Looking it over again and again for garbage takes a twentieth
    # of the time of a batch of cards.
    gc.collect()
    gc.freeze()
    _record("process.start")


def worker_exit(server: Any, worker: Any) -> None:
    """Say that a worker stops. One that is killed cannot; its chain in the audit log ends."""
    _record("process.stop")


def _record(operation: str) -> None:
    # There is no Django before the application is loaded, nor if that failed.
    try:
        from billing.access_log import record_process
    except Exception:  # noqa: BLE001 - whatever stopped the application from loading has been reported
        return
    record_process(operation)
