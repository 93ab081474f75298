"""Keeping and opening many cards, beside AWS's own table helper in a loop; and their cryptography beside bare AES.

    python -m tests.mariadb --durable -- python -m benchmarks.cards

AWS is played by `benchmarks.standin`. What stands beside each other takes turns, and the median of the turns counts.
"""

from __future__ import annotations

import gc
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import django

from benchmarks.clock import seconds
from benchmarks.table import Row, note, say

os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="bench-cards-"))
os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
# The stand-in looks at no signature.
os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}

CARDS: Final = int(os.environ.get("CARDS", "1000"))
TURNS: Final = int(os.environ.get("CARD_TURNS", "7"))
#: Of the loop in each turn: its time grows with the cards, and nothing else.
LOOPED: Final = CARDS // 5
#: Of each of two processes.
EACH: Final = 8 * CARDS
LATENCY: Final = float(os.environ.get("LATENCY_MS", "5")) / 1000


def cards(numbers: Iterator[int], count: int) -> list[Any]:
    """Cards that nobody has had before."""
    from tests.cards import CANARY_BIN, with_check_digit
    from vault.pan import PAN

    return [PAN(with_check_digit(f"{CANARY_BIN}{next(numbers):07d}")) for _ in range(count)]


def quietly() -> Any:
    """Audit events go nowhere: a terminal is no part of what is measured."""
    from vault.stdout import taken

    return taken(to=Path(os.devnull).open("w"))


def said(counts: Counter[str]) -> str:
    kms = sum(counts[name] for name in ("GenerateDataKey", "Decrypt"))
    return f"{kms} KMS, {counts.total() - kms} DynamoDB"


def compared(what: str, peer: str, ours: list[float], theirs: list[float], reach: float, counts: str) -> Row:
    """Seconds of each turn, for `CARDS` and for `LOOPED` cards."""
    mine = CARDS / statistics.median(ours)
    loop = LOOPED / statistics.median(theirs)
    note(f"{what}: {sorted(round(CARDS / each) for each in ours)} beside {sorted(round(LOOPED / e) for e in theirs)}")
    return Row(what, peer, f"{mine:,.0f}/s", f"{loop:,.0f}/s", mine / loop, reach, counts=counts)


def fresh_vault() -> None:
    """As after a start, with what opens the vault done: calls are counted from here, and times are taken later on."""
    from vault import backend

    backend._forget()  # noqa: SLF001 - as after a fork
    _ = backend.current_vault().store


def keeping(aws: Any, loop: Any, numbers: Iterator[int]) -> tuple[Row, list[str]]:
    """A row, and the tokens of the last cards that were kept."""
    from vault import services

    ours, theirs = [], []
    fresh_vault()
    aws.forget()
    services.tokenize_many(cards(numbers, CARDS))
    counts = said(aws.counts())
    for _ in range(TURNS):
        pans, others = cards(numbers, CARDS), cards(numbers, LOOPED)
        ours.append(seconds(services.tokenize_many, pans))
        theirs.append(seconds(loop.put, others))
    row = compared(
        f"tokenize {CARDS:,} new cards, one process", "EncryptedTable.put_item in a loop", ours, theirs, 35, counts
    )
    return row, [each.token.text for each in services.tokenize_many(pans)]


def opening(aws: Any, loop: Any, tokens: list[str], numbers: Iterator[int]) -> Row:
    from tests.factories import make_user
    from vault import services

    actor = make_user("bench", "vault.detokenize_pan", "vault.detokenize_unattended")
    theirs_tokens = loop.put(cards(numbers, LOOPED))
    ours, theirs = [], []

    def read() -> None:
        services.detokenize_many(tokens, actor=actor, purpose="settlement: benchmark")

    fresh_vault()
    aws.forget()
    read()
    counts = said(aws.counts())
    for _ in range(TURNS):
        ours.append(seconds(read))
        theirs.append(seconds(lambda: loop.get(theirs_tokens)))
    return compared(f"detokenize {CARDS:,}", "EncryptedTable.get_item in a loop", ours, theirs, 38, counts)


def in_two_processes(loop: Any, numbers: Iterator[int]) -> Row:
    """Two that keep cards as `vault_import` does, batch by batch, each of them cards of its own."""
    ours, theirs = [], []
    for _ in range(3):
        workers = []
        for _ in range(2):
            first = next(numbers)
            for _ in range(EACH):
                next(numbers)
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.cards", "worker", str(first)]
            workers.append(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                )
            )
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        ours.append(seconds(_run, workers))
        theirs.append(seconds(loop.put, cards(numbers, LOOPED)))
    mine, peer = 2 * EACH / statistics.median(ours), LOOPED / statistics.median(theirs)
    note(f"two processes: {[round(2 * EACH / each) for each in ours]}")
    return Row(
        "the same, two processes, as `vault_import` does it",
        "EncryptedTable.put_item in a loop, one process",
        f"{mine:,.0f}/s",
        f"{peer:,.0f}/s",
        mine / peer,
        60,
    )


def _run(workers: list[subprocess.Popen[str]]) -> None:
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        assert worker.wait() == 0


def work(first: int) -> None:
    """A worker of `in_two_processes`: says when it is ready, and begins when it is told to."""
    django.setup()
    from vault import services
    from vault.importing.running import BATCH

    with quietly():
        fresh_vault()
        pans = cards(itertools.count(first), EACH)
        gc.freeze()
        print("ready", file=sys.__stdout__, flush=True)
        sys.stdin.readline()
        for start in range(0, EACH, BATCH):
            services.tokenize_many(pans[start : start + BATCH])


def cryptography(numbers: Iterator[int]) -> Row:
    """Processor time of sealing a card item, through the item encryptor and bare."""
    from benchmarks.peers import Bare
    from vault.backend import current_vault
    from vault.records import CardRecord
    from vault.tokens import Token

    store = current_vault().store
    records = [
        CardRecord(Token.generate(), pan, store.fingerprints(pan), datetime.now(UTC)) for pan in cards(numbers, CARDS)
    ]
    items = [store._sealer.seal_card(record) for record in records]  # noqa: SLF001
    bare, ours, theirs = Bare(), [], []
    pairs = [(record.pan.expose().encode(), _signed(item)) for record, item in zip(records, items, strict=True)]
    for _ in range(TURNS):
        ours.append(_processor(lambda: [store._sealer.seal_card(record) for record in records]))  # noqa: SLF001
        theirs.append(_processor(lambda: [bare.seal(secret, signed) for secret, signed in pairs]))
    mine, peer = min(ours) / CARDS * 1e6, min(theirs) / CARDS * 1e6
    return Row(
        "crypto per card, processor time",
        "bare AES and HMAC of the same bytes",
        f"{mine:.0f} µs",
        f"{peer:.0f} µs",
        mine / peer,
    )


def _signed(item: dict[str, dict[str, Any]]) -> bytes:
    """What the signature of an item is over, but the ciphertext."""
    return b"".join(
        name.encode() + str(value["S" if "S" in value else "N"]).encode()
        for name, value in sorted(item.items())
        if "B" not in value
    )


def _processor(run: Callable[[], Any]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def main() -> None:
    from benchmarks.standin import running

    with running(LATENCY) as aws:
        os.environ["BENCH_AWS"] = aws.url
        django.setup()
        from django.conf import settings

        from benchmarks.databases import make
        from benchmarks.peers import Loop
        from vault.backend import current_vault

        make()
        os.environ["VAULT_MATERIALS"] = "reused"
        settings.VAULT |= {"MATERIALS": "reused"}
        numbers, loop = itertools.count(), Loop(aws.url)
        with quietly():
            current_vault().fingerprint_keys.create()
            # As workers of the server and commands do: see `billing.gunicorn_conf`.
            gc.freeze()
            row, tokens = keeping(aws, loop, numbers)
            say(row)
            say(opening(aws, loop, tokens, numbers))
            say(in_two_processes(loop, numbers))
            say(cryptography(numbers))


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        work(int(sys.argv[2]))
    else:
        main()
