"""How long the pages with lists of orders take when one customer has 10,000 of them.

    python -m benchmarks.pages
    python -m tests.mariadb --durable -- python -m benchmarks.pages

A gunicorn with one worker answers over HTTP, one request after the other. The pages take turns, so that whatever else
the machine does meets all of them. Beside the times stands its load: what waits for a processor is measured too.
"""

import contextlib
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.settings.local")
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="bench-pages-"))

import django

django.setup()

from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client

from benchmarks import databases
from orders.models import Order
from tests.cards import NUMBERS
from tests.factories import make_orders, make_saved_card, make_user, next_year
from tests.servers import free_port

ORDERS = int(os.environ.get("ORDERS", "10000"))
ROUNDS = int(os.environ.get("ROUNDS", "40"))
WARM_UP = 5
START_SECONDS = 60


def make_database():
    databases.make()
    with Path(os.devnull).open("w") as nowhere:
        call_command("vault_provision", stdout=nowhere)
    call_command("collectstatic", interactive=False, verbosity=0)


def make_people():
    """The cookies of a customer with all the orders, and of a clerk who may look at them in the admin."""
    customer, clerk = make_user(), make_user("clerk", "orders.view_order", is_staff=True)
    saved = make_saved_card(customer, NUMBERS["visa"][0], next_year())
    newest = make_orders(ORDERS, customer, saved.card)
    cookies = []
    for user in (customer, clerk):
        client = Client()
        client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
        cookies.append(f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}")
    middle = Order.objects.get(pk=newest[ORDERS // 2].pk).public_id
    return (*cookies, middle)


def addresses(customer, clerk, middle):
    return {
        "GET /": ("/", customer),
        "GET /orders/": ("/orders/", customer),
        "  in the middle": (f"/orders/?before={middle}", customer),
        "  every order matches": ("/orders/?q=milk&status=placed", customer),
        "  no order matches": ("/orders/?q=teapot", customer),
        "GET /admin/orders/order/": ("/admin/orders/order/", clerk),
    }


@contextlib.contextmanager
def serving():
    """The port of a gunicorn."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "billing/gunicorn_conf.py", "billing.wsgi"]
    environment = os.environ | {"PORT": str(port), "WEB_CONCURRENCY": "1"}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("The server did not start.")
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait()


def milliseconds(connection, address, cookie):
    started = time.perf_counter()
    connection.request("GET", address, headers={"Cookie": cookie})
    answer = connection.getresponse()
    answer.read()
    took = (time.perf_counter() - started) * 1000
    if answer.status != http.client.OK:
        raise SystemExit(f"{address}: {answer.status}")
    return took


def main():
    make_database()
    pages = addresses(*make_people())
    vendor = connection.vendor
    connections.close_all()
    times = {name: [] for name in pages}
    with serving() as port:
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for turn in range(WARM_UP + ROUNDS):
            for name, (address, cookie) in pages.items():
                took = milliseconds(wire, address, cookie)
                if turn >= WARM_UP:
                    times[name].append(took)
        wire.close()
    load, cores = os.getloadavg()[0], os.cpu_count()
    print(f"{vendor}, {ORDERS:,} orders, {ROUNDS} times each; load {load:.1f} on {cores} cores")
    print(f"{'':<26}{'median ms':>11}{'fastest':>9}{'p90':>9}")
    for name, spans in times.items():
        late = statistics.quantiles(spans, n=10)[8]
        print(f"{name:<26}{statistics.median(spans):>11.1f}{min(spans):>9.1f}{late:>9.1f}")


if __name__ == "__main__":
    main()
