"""How times grow with orders and cards, each from a thousand to a million.

    python -m tests.mariadb --durable -- python -m benchmarks.growth

One process asks through `django.test.Client` and `vault.services`, with AWS played by `benchmarks.standin`. What is
there already was written by `benchmarks.bulk`: SQL holds it, the stand-in and the audit log do not. What DynamoDB takes
is what the stand-in is told, however much it holds; so what grows here is the product and SQL.

Writes docs/growth.svg, or another file (GROWTH_PLOT).
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import django

from benchmarks import standin

if __name__ == "__main__":
    aws = standin.running(float(os.environ.get("GROWTH_LATENCY_MS", "5")) / 1000)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "BENCH_AWS": aws.__enter__().url,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
    }
    # To wait for KMS for each card takes longer than all that could grow.
    os.environ.setdefault("VAULT_MATERIALS", "reused")
    os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="bench-growth-"))
    django.setup()

from benchmarks import bulk, databases
from benchmarks.loglog import Line, plot
from benchmarks.table import Row, note, say
from orders.models import Order
from tests.cards import CANARY_BIN, with_check_digit
from tests.factories import client_of, make_user
from vault import services
from vault.backend import current_vault
from vault.pan import PAN
from vault.stdout import taken

MOST = int(os.environ.get("GROWTH_MOST", "1000000"))
ROUNDS = int(os.environ.get("GROWTH_ROUNDS", "40"))
BATCHES = int(os.environ.get("GROWTH_BATCHES", "3"))
PLOT = Path(os.environ.get("GROWTH_PLOT", "docs/growth.svg"))
FIRST = 1_000
BATCH = 1_000
READ = 100
ORDERS = "/api/v1/orders/"
_ORDER = {"name": "Jug", "amount": "24.90", "currency": "EUR"}
Measure = Callable[[], Any]


def milliseconds(measure: Measure, rounds: int) -> float:
    """At the median; the first times do not count."""
    for _ in range(1 + rounds // 4):
        measure()
    spans = []
    for _ in range(rounds):
        began = time.perf_counter()
        measure()
        spans.append((time.perf_counter() - began) * 1000)
    return statistics.median(spans)


class Shop:
    """What is asked of the product."""

    def __init__(self) -> None:
        self.customer, self.other = make_user("customer"), make_user("other")
        rights = ("orders.add_order", "orders.view_order", "vault.tokenize_pan")
        self._account = make_user("shop", *rights)
        self._reader = make_user("reader", "vault.detokenize_pan", "vault.detokenize_unattended")
        self._api = client_of(self._account)
        self._api.defaults["SERVER_NAME"] = "localhost"
        self._numbers: Iterator[str] = (with_check_digit(f"{CANARY_BIN}{number:07d}") for number in itertools.count())
        self._tokens: list[str] = []

    def ask(self, path: str, body: Any = None) -> None:
        answer = self._api.post(path, body) if body else self._api.get(path)
        assert answer.status_code < 300, (path, answer.status_code)

    def list(self) -> None:
        self.ask(f"{ORDERS}?page_size=100")

    def open(self, public_id: str) -> None:
        self.ask(f"{ORDERS}{public_id}/")

    def place(self) -> None:
        self.ask(ORDERS, _ORDER | {"pan": next(self._numbers)})

    def tokenize(self) -> None:
        pans = [PAN(number) for number in itertools.islice(self._numbers, BATCH)]
        kept = services.tokenize_many(pans)
        self._tokens = [each.token.text for each in kept[:READ]]

    def detokenize(self) -> None:
        services.detokenize_many(self._tokens, actor=self._reader, purpose="settlement: benchmark")


def main() -> None:
    databases.make()
    bulk.give_memory()
    with taken():
        current_vault().fingerprint_keys.create()
        shop = Shop()
        times: dict[str, list[tuple[int, float]]] = {}
        there = 0
        for decade in decades():
            began = time.perf_counter()
            bulk.grow(bulk.make_cards, there, decade)
            make = partial(bulk.make_orders, customer=shop.customer, other=shop.other, cards=FIRST)
            bulk.grow(make, there + 1, decade + 1)
            bulk.settle()
            there = decade
            note(f"{decade:,} cards and orders after {time.perf_counter() - began:.0f} s")
            middle = Order.objects.order_by("id").values_list("public_id", flat=True)[decade // 2]
            for name, measure, rounds in (
                ("tokenize 1,000 cards", shop.tokenize, BATCHES),
                ("detokenize 100 cards", shop.detokenize, ROUNDS),
                ("list of 100 orders", shop.list, ROUNDS),
                ("place an order", shop.place, ROUNDS),
                ("an order by its id", partial(shop.open, middle), ROUNDS),
            ):
                took = milliseconds(measure, rounds)
                times.setdefault(name, []).append((decade, took))
                note(f"{decade:>9,} {name:<22}{took:>9.1f} ms")
    lines = [Line(name, points) for name, points in times.items()]
    PLOT.write_text(plot(lines, across="cards and orders in SQL", up="milliseconds"))
    for line in lines:
        (few, first), (many, last) = line.points[0], line.points[-1]
        say(
            Row(
                f"{line.name}, with {many:,} there",
                f"with {few:,}",
                f"{last:.1f} ms",
                f"{first:.1f} ms",
                last / first,
                counts=f"slope {line.slope:+.2f}",
            )
        )


def decades() -> Iterator[int]:
    size = FIRST
    while size <= MOST:
        yield size
        size *= 10


if __name__ == "__main__":
    try:
        main()
    finally:
        aws.__exit__(None, None, None)
