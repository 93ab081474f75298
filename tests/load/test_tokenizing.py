"""Trials C1 and C2: many threads and processes that tokenize one card, and that read and write at the same time."""

import json
import subprocess

import pytest
from django.db import connection

from tests.cards import CANARY_BIN, with_check_digit
from tests.load.scale import scaled, tell

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.killed,
    pytest.mark.skipif(connection.vendor != "mysql", reason="SQLite has one writer at a time: 63 would wait in vain"),
]

THREADS, PROCESSES = 64, 4
CARDS = scaled("LOAD_CARDS", few=2, full=100)
OPERATIONS = scaled("LOAD_OPERATIONS", few=10, full=300)

# Every thread tokenizes every card, and all threads of all processes the same one at a time.
SAME_CARDS = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from django.db import connections
from vault import services
from vault.pan import PAN
threads = int(sys.argv[1])
numbers, together = sys.stdin.readline().split(), Barrier(threads)
def keep(_):
    tokens = []
    try:
        for digits in numbers:
            together.wait(60)
            tokens.append(services.tokenize(PAN(digits)).token.text)
    finally:
        connections.close_all()
    return tokens
sys.stdin.readline()
began = time.monotonic()
with ThreadPoolExecutor(threads) as pool:
    found = list(pool.map(keep, range(threads)))
print(json.dumps({"tokens": [sorted(set(each)) for each in zip(*found)], "seconds": time.monotonic() - began}))
"""
# One operation of ten keeps a card that nobody had before; the others read one that anybody has kept by then.
READS_AND_WRITES = """
import json, random, sys, time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from django.db import connections
from tests.cards import CANARY_BIN, with_check_digit
from tests.factories import make_user
from vault import services
from vault.pan import PAN
threads, operations, first = map(int, sys.argv[1:])
together = Barrier(threads)
rights = ("vault.detokenize_pan", "vault.detokenize_unattended")
actors = [make_user(f"reader{number}", *rights) for number in range(threads)]
kept, wrong, spans = [], [], {"read": [], "write": []}
def work(number):
    dice = random.Random(number)
    def write(count):
        digits = with_check_digit(f"{CANARY_BIN}{first + number * operations + count:07d}")
        kept.append((services.tokenize(PAN(digits)).token.text, digits))
    def read():
        token, digits = dice.choice(kept)
        if services.detokenize(token, actor=actors[number], purpose="settlement: load").expose() != digits:
            wrong.append(token)
    try:
        together.wait(60)
        for count in range(operations):
            began = time.perf_counter()
            kind = "read" if count % 10 else "write"
            write(count) if kind == "write" else read()
            spans[kind].append(time.perf_counter() - began)
    finally:
        connections.close_all()
began = time.monotonic()
with ThreadPoolExecutor(threads) as pool:
    list(pool.map(work, range(threads)))
took = time.monotonic() - began
print(json.dumps({"kept": kept, "wrong": wrong, "seconds": took, **{kind: sorted(each) for kind, each in spans.items()}}))
"""
# By a process that kept nothing itself.
READ_ALL = """
import json, sys
from django.contrib.auth.models import User
from vault import services
actor, right = User.objects.get(username="reader0"), 0
kept = [line.split() for line in sys.stdin]
for start in range(0, len(kept), 100):
    some = kept[start : start + 100]
    pans = services.detokenize_many([token for token, _ in some], actor=actor, purpose="settlement: load")
    right += sum(pan.expose() == digits for pan, (_, digits) in zip(pans, some))
print(right)
"""


def at_once(shop, numbers, *, processes, threads):
    """The tokens of each number, as all processes have them; they begin at the same moment."""
    begun = [
        shop.script(SAME_CARDS, threads, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in begun:
        process.stdin.write(" ".join(numbers) + "\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate("go\n", timeout=1800)[0].splitlines()[-1]) for process in begun]
    assert [process.returncode for process in begun] == [0] * processes
    seconds = max(answer["seconds"] for answer in answers)
    count = len(numbers) * processes * threads
    tell(
        f"{processes} × {threads} threads, {len(numbers)} cards: {count:,} calls in {seconds:.1f} s, {count / seconds:.0f}/s"
    )
    return [
        sorted({token for answer in answers for token in answer["tokens"][number]}) for number in range(len(numbers))
    ]


def of_cards(count):
    """What so many new cards add. Each has two items: its record, and that of its fingerprint."""
    return {"orders": 0, "cards": count, "records": count, "items": 2 * count}


def numbers_of(canary, label):
    # One is looked for. The others could be found by their BIN and last four, which stand side by side in a file.
    start = sum(map(ord, label)) * 1000
    return [canary(label), *(with_check_digit(f"{CANARY_BIN}{start + number:07d}") for number in range(1, CARDS))]


def test_threads_and_processes_that_tokenize_one_card_get_one_token(shop, added, canary):
    """C1: 64 threads of one process, and 16 each of four; every card has one token, one row and one record."""
    for number, (processes, threads) in enumerate([(1, THREADS), (PROCESSES, THREADS // PROCESSES)], start=1):
        numbers = numbers_of(canary, f"of {processes} processes")
        tokens = at_once(shop, numbers, processes=processes, threads=threads)
        assert [len(each) for each in tokens] == [1] * CARDS
        assert len({token for (token,) in tokens}) == CARDS
        assert added() == of_cards(number * CARDS)


def test_every_read_of_many_threads_equals_its_write(shop, added):
    """C2: and a process that comes later reads the same."""
    out = shop.run(READS_AND_WRITES, THREADS, OPERATIONS, 1_000_000)
    answer = json.loads(out)
    kept, count = answer["kept"], THREADS * OPERATIONS
    for kind in ("read", "write"):
        spans = answer[kind]
        tell(
            f"{kind}: {len(spans):,} of {count:,} in {answer['seconds']:.1f} s, median {spans[len(spans) // 2] * 1000:.0f} ms, "
            f"p99 {spans[len(spans) * 99 // 100] * 1000:.0f} ms"
        )
    assert answer["wrong"] == []
    assert (len(answer["read"]), len(answer["write"])) == (count * 9 // 10, count // 10)
    assert len({token for token, _ in kept}) == len({digits for _, digits in kept}) == count // 10
    assert added() == of_cards(count // 10)
    stdin = "".join(f"{token} {digits}\n" for token, digits in kept)
    assert int(shop.run(READ_ALL, stdin=stdin)) == count // 10
