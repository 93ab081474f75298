"""What the API adds to the calls of AWS that it cannot do without, and what a batch saves.

    python -m tests.mariadb --durable -- python -m benchmarks.http_orders

One gunicorn worker answers on one connection, with AWS played by `benchmarks.standin`. What stands beside each other
takes turns.
"""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Iterator
from typing import Any

from benchmarks.bare import Peer
from benchmarks.clock import seconds
from benchmarks.requests import Bench, bench
from benchmarks.table import Row, note, say

ORDERS = int(os.environ.get("HTTP_ORDERS", "300"))
BATCH = int(os.environ.get("HTTP_BATCH", "1000"))
BATCHES = int(os.environ.get("HTTP_BATCHES", "3"))
LATENCY_MS = float(os.environ.get("HTTP_LATENCY_MS", "5"))
WARM_UP = 20
COUNTED = 20
TURN = min(20, ORDERS)
_ORDER = {"name": "Jug", "amount": "24.90", "currency": "EUR"}


def orders(shop: Bench, numbers: Iterator[str]) -> Iterator[Row]:
    """An order with a new card beside the bare calls, in turns; and one that asks AWS for nothing."""
    peer = Peer(shop.shop.environment)
    try:

        def place() -> None:
            shop.ask("POST", "/api/v1/orders/", _ORDER | {"pan": next(numbers)})

        for _ in range(WARM_UP):
            place()
            peer.seconds()
        # What is counted is counted without the peer, whose calls the stand-in counts as well.
        shop.aws.forget()
        questions = shop.questions()
        for _ in range(COUNTED):
            place()
        queries = (shop.questions() - questions - 1) / COUNTED
        counts = shop.aws.counts()
        ours, theirs = [], []
        # Twenty and twenty: a server that serves is not one that has just been put aside for another process.
        for _ in range(ORDERS // TURN):
            ours += [seconds(place) for _ in range(TURN)]
            theirs += [peer.seconds() for _ in range(TURN)]
    finally:
        peer.stop()
    mine, bare = statistics.median(ours) * 1000, statistics.median(theirs) * 1000
    note(f"orders: fastest {min(ours) * 1000:.1f} ms beside {min(theirs) * 1000:.1f} ms")
    yield Row(
        what="one order over HTTP, per-item key",
        peer="the bare AWS calls it must make",
        ours=f"{mine:.1f} ms",
        theirs=f"{bare:.1f} ms",
        ratio=mine / bare,
        reach=1.3,
        is_at_most=True,
        counts=_counted(counts, COUNTED) + f", {queries:.0f} queries",
    )
    token = shop.ask("POST", "/api/v1/tokens/", {"pan": next(numbers)})["token"]

    def pay_again() -> None:
        shop.ask("POST", "/api/v1/orders/", _ORDER | {"token": token})

    for _ in range(WARM_UP):
        pay_again()
    shop.aws.forget()
    without = statistics.median(seconds(pay_again) for _ in range(ORDERS)) * 1000
    yield Row(
        what="the same, paid with a token: no call of AWS",
        peer="the order with a new card",
        ours=f"{without:.1f} ms",
        theirs=f"{mine:.1f} ms",
        ratio=without / mine,
        counts=_counted(shop.aws.counts(), ORDERS),
    )


def batches(shop: Bench, numbers: Iterator[str], materials: str) -> Row:
    """As many single requests beside one of all of them, in turns; the best of each."""

    def many() -> None:
        rows = [{"pan": next(numbers)} for _ in range(BATCH)]
        shop.ask("POST", "/api/v1/tokens/batch/", {"rows": rows})

    def singly() -> None:
        for _ in range(BATCH):
            shop.ask("POST", "/api/v1/tokens/", {"pan": next(numbers)})

    many()
    for _ in range(WARM_UP):
        shop.ask("POST", "/api/v1/tokens/", {"pan": next(numbers)})
    ours, theirs = [], []
    counts, queries = "", 0
    for _ in range(BATCHES):
        shop.aws.forget()
        questions = shop.questions()
        ours.append(seconds(many))
        queries = shop.questions() - questions - 1
        counts = _counted(shop.aws.counts(), 1)
        theirs.append(seconds(singly))
        note(f"batch of {BATCH:,}: {ours[-1]:.2f} s beside {theirs[-1]:.2f} s")
    return Row(
        what=f"POST /api/v1/tokens/batch/ of {BATCH:,}, {materials} key",
        peer=f"{BATCH:,} single POSTs",
        ours=f"{min(ours):.2f} s",
        theirs=f"{min(theirs):.1f} s",
        ratio=min(theirs) / min(ours),
        reach=25,
        counts=f"{counts}, {queries} queries",
    )


def _counted(counts: Any, requests: int) -> str:
    kms = sum(counts[name] for name in ("GenerateDataKey", "Decrypt"))
    return f"{kms / requests:.3g} KMS, {(counts.total() - kms) / requests:.3g} DynamoDB"


def main() -> None:
    from tests.cards import CANARY_BIN, with_check_digit

    numbers = (with_check_digit(f"{CANARY_BIN}{number:07d}") for number in itertools.count())
    with bench("per-item", latency=LATENCY_MS / 1000) as shop:
        for row in orders(shop, numbers):
            say(row)
    with bench("reused", latency=LATENCY_MS / 1000) as shop:
        say(batches(shop, numbers, "reused"))


if __name__ == "__main__":
    main()
