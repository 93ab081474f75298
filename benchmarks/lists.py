"""What a list of 100 orders costs among a million, beside the same list of a model without `PANField`.

    python -m tests.mariadb --durable -- python -m benchmarks.lists

One process answers through all of Django but the web server: `django.test.Client`, one request after the other, each
beside its peer, which comes first every other time. Nobody listens where AWS should be: whoever asked it would fail.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any
from unittest.mock import patch

import django

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    # RFC 863, "discard": no machine of today answers there.
    os.environ["BENCH_AWS"] = "http://127.0.0.1:9"
    os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="bench-lists-"))
    django.setup()

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from benchmarks import bulk, databases, plain
from benchmarks.table import Row, note, say
from orders import views
from orders.models import Order
from orders.querysets import OrderQuerySet
from tests.factories import client_of, make_user
from vault.stdout import taken

ORDERS = int(os.environ.get("LISTS_ORDERS", "1000000"))
ROUNDS = int(os.environ.get("LISTS_ROUNDS", "100"))
#: A column of cProfile, such as tottime, by which it is printed where the time goes.
PROFILE = os.environ.get("LISTS_PROFILE", "")
SIZE = 100
#: The last page of a customer.
PAGE = ORDERS // SIZE
WARM_UP = 10
Get = Callable[[], Any]
Around = Callable[[], AbstractContextManager[Any]]


class Lists:
    """The list of a customer and that of the API, which shows everybody's, and how each is asked for."""

    def __init__(self) -> None:
        self.customer, self.other = make_user("customer"), make_user("other")
        self._browser = Client()
        self._browser.force_login(self.customer, backend=settings.AUTHENTICATION_BACKENDS[0])
        self._api = client_of(make_user("clerk", "orders.view_order"))
        for client in (self._browser, self._api):
            client.defaults["SERVER_NAME"] = "localhost"

    def page(self, query: str = "") -> Any:
        """What a customer sees, but that a page has 100 orders and not 25."""
        with patch.object(views, "PAGE_SIZE", SIZE):
            return _good(self._browser.get(f"/orders/{query}"))

    def json(self, query: str = "") -> Any:
        return _good(self._api.get(f"/api/v1/orders/?page_size={SIZE}{query}"))


def border_of(orders: OrderQuerySet, page: int) -> str:
    """The order that a page comes after."""
    return str(orders.newest_first().values_list("public_id", flat=True)[(page - 1) * SIZE - 1])


def _good(answer: Any) -> Any:
    assert answer.status_code == 200, answer.status_code
    return answer


def queries_of(get: Get) -> int:
    """The fewest of three, as each minute one notes that somebody came."""
    counts = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as queries:
            get()
        counts.append(len(queries))
    return min(counts)


def side_by_side(ours: Get, theirs: Get, *, around: Around = nullcontext) -> tuple[float, float]:
    """Milliseconds at the median of both, in turns; `around` holds while the peer answers."""
    sides: tuple[tuple[Get, Around, list[float]], ...] = ((ours, nullcontext, []), (theirs, around, []))
    for turn in range(WARM_UP + ROUNDS):
        for get, context, spans in sides if turn % 2 else reversed(sides):
            with context():
                began = time.perf_counter()
                get()
                took = time.perf_counter() - began
            if turn >= WARM_UP:
                spans.append(took * 1000)
    mine, peers = (statistics.median(spans) for _, _, spans in sides)
    return mine, peers


def row(what: str, peer: str, times: tuple[float, float], counts: str) -> Row:
    mine, peers = times
    return Row(what, peer, f"{mine:.1f} ms", f"{peers:.1f} ms", mine / peers, 1.1, is_at_most=True, counts=counts)


def beside_plain(name: str, get: Get, *, asks_for_erasures: bool) -> Row:
    around = partial(plain.served, asks_for_erasures=asks_for_erasures)
    with around():
        asked = queries_of(get)
    peer = "the same on a model without PANField" + ("" if asks_for_erasures else ", which knows of no erasure either")
    what = f"list of {SIZE} orders among {Order.objects.count():,}: {name}"
    counts = f"{queries_of(get)} queries, theirs {asked}; no call of AWS"
    return row(what, peer, side_by_side(get, get, around=around), counts)


def beside_page(number: int, name: str, far: Get, near: Get) -> Row:
    counts = f"{queries_of(far)} queries, page {number} {queries_of(near)}"
    return row(f"{name}, page {PAGE:,} of {SIZE} orders", f"page {number}", side_by_side(far, near), counts)


def profile(name: str, get: Get) -> None:
    profiler = cProfile.Profile()
    with profiler:
        for _ in range(ROUNDS):
            get()
    note(f"--- {name}, {ROUNDS} times")
    pstats.Stats(profiler, stream=sys.stderr).sort_stats(PROFILE).print_stats(30)


def main() -> None:
    databases.make()
    call_command("collectstatic", interactive=False, verbosity=0)
    lists = Lists()
    began = time.perf_counter()
    cards = max(1, ORDERS // 10)
    bulk.grow(bulk.make_cards, 0, cards)
    # So many of the customer, and those of the other besides.
    total = ORDERS * bulk.FOREIGN // (bulk.FOREIGN - 1)
    bulk.grow(partial(bulk.make_orders, customer=lists.customer, other=lists.other, cards=cards), 1, total + 1)
    bulk.settle()
    note(f"{total:,} orders in {time.perf_counter() - began:.0f} s")
    for name, get in {"page": lists.page, "API": lists.json}.items():
        say(beside_plain(name, get, asks_for_erasures=True))
        say(beside_plain(name, get, asks_for_erasures=False))
        if PROFILE:
            profile(name, get)
            with plain.served():
                profile(f"{name}, the peer", get)
    own, everybodys = Order.objects.for_customer(lists.customer), Order.objects.all()
    for name, get, before, orders in (
        ("list of a customer", lists.page, "?before=", own),
        ("list of the API", lists.json, "&cursor=older-", everybodys),
    ):
        far, second = (partial(get, before + border_of(orders, page)) for page in (PAGE, 2))
        say(beside_page(1, name, far, get))
        # Page 1 has no border to look up.
        say(beside_page(2, name, far, second))


if __name__ == "__main__":
    # The records of the audit log are not for whoever reads the rows.
    with taken():
        main()
