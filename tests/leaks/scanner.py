"""Compares what a test wrote with the card numbers that went into it, and reports label and sink, never digits."""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

import pytest

from tests.leaks import readings
from tests.leaks.canaries import Mint
from tests.leaks.needles import CELL, DigitRuns, Needle, Number, Suffix, needles

# Above this much a test's output is searched while it runs, so that a large one needs no large memory.
MAX_PENDING = 8 * 1024 * 1024
MAX_DEPTH = 8
FULLY_SOUGHT = 10
PACKED = "packed"
# The readings whose bytes are as they were written.
BINARY = ("", PACKED)


class Sink(StrEnum):
    """Where digits can leave a process, or stay behind in it."""

    LOG = "log"
    STDOUT = "stdout"
    STDERR = "stderr"
    COMMAND = "command output"
    SUBPROCESS = "subprocess output"
    WARNING = "warning"
    HTTP = "http"
    SQL = "sql"
    TABLE = "table"
    MAIL = "mail"
    CACHE = "cache"
    SESSION = "session"
    FILE = "file"
    DYNAMODB = "dynamodb"
    AWS = "aws"
    BROWSER = "browser"


class LeakFound(pytest.fail.Exception):
    """A card number of a test was found where none may be. It has no traceback: locals are digits."""

    def __init__(self, message: str) -> None:
        super().__init__(message, pytrace=False)


class Scanner:
    """The card numbers of one test, and everything that it wrote since the first of them.

    :param fully: so many numbers are looked for in every spelling; of the ones after them digits are, however disguised
    """

    def __init__(self, seed: str, *, fully: int = FULLY_SOUGHT) -> None:
        self.started = time.time()
        self.databases: set[str] = set()
        self.files: set[Path] = set()
        self._fully = fully
        self._mint = Mint(seed)
        self._digit_runs = DigitRuns()
        self._needles: dict[Number, list[Needle | Suffix]] = {}
        self._allowed: dict[tuple[str, Sink], str] = {}
        self._pending: dict[tuple[Sink, str], list[bytes]] = defaultdict(list)
        self._pending_size = 0
        self._streams: list[tuple[tuple[Sink, str], bytearray]] = []
        self._found: Counter[tuple[str, Sink, str, str]] = Counter()

    @property
    def is_armed(self) -> bool:
        """True once there is a number to look for. What was written before cannot hold it."""
        return bool(self._needles)

    def canary(self, label: str) -> str:
        """A fresh card number that is looked for from now on. `label` says where it goes in: "order form"."""
        return self.watch(self._mint.draw(), label=label)

    def watch(self, digits: str, *, label: str) -> str:
        """Look for this card number too; given back for use."""
        assert re.fullmatch("[0-9]{12,19}", digits), "Only card numbers can be watched."
        number = Number(label, digits)
        if number not in self._needles:
            # Of a hundred cards in one test the first ones show how they leak.
            in_crowd = len(self._needles) >= self._fully
            self._digit_runs.add(number, in_crowd=in_crowd)
            self._needles[number] = [] if in_crowd else needles(digits)
        return digits

    def allow(self, label: str, *, sink: Sink | str, reason: str) -> None:
        """Let the number of this label reach one sink, in a test whose subject that is. `reason` is for the reader."""
        assert reason.strip(), "An exemption needs a reason."
        assert any(number.label == label for number in self._needles), "Allow a label after its canary was made."
        self._allowed[label, Sink(sink)] = reason

    def record(self, sink: Sink, data: object, where: str = "") -> None:
        """Keep `data` to be searched: text, bytes, or anything nested of them. `where` says more about the sink."""
        if not self.is_armed:
            return
        pieces = [piece for value in _values(data) for piece in (value, CELL)]
        self._pending[sink, where] += pieces
        self._pending_size += sum(map(len, pieces))
        if self._pending_size > MAX_PENDING:
            self._search_pending()

    def record_stream(self, sink: Sink, where: str = "") -> bytearray:
        """A buffer for data that comes in pieces; it is searched as a whole at the end."""
        buffer = bytearray()
        if self.is_armed:
            self._streams.append(((sink, where), buffer))
        return buffer

    def leaks(self) -> list[str]:
        """One line for each leak found so far, without a digit of it."""
        self._search_pending()
        for key, buffer in self._streams:
            self._search(key, bytes(buffer))
        self._streams.clear()
        return [
            f"canary {label!r} leaked into {sink}{self._described(where)} as {spelling}"
            f" ({times} time{'s' if times > 1 else ''})"
            for (label, sink, where, spelling), times in sorted(self._found.items())
            if (label, sink) not in self._allowed
        ]

    def check(self) -> None:
        """Raise `LeakFound` if anything leaked."""
        if self.is_armed and (found := self.leaks()):
            raise LeakFound("\n".join(found))

    def _search_pending(self) -> None:
        pending, self._pending = self._pending, defaultdict(list)
        self._pending_size = 0
        for key, pieces in pending.items():
            self._search(key, CELL + b"".join(pieces))

    def _search(self, key: tuple[Sink, str], blob: bytes) -> None:
        for (label, spelling), times in self._matches(blob).items():
            self._found[label, *key, spelling] += times

    def _matches(self, blob: bytes) -> Counter[tuple[str, str]]:
        """The most direct spelling of each number in `blob`, and how often it is there."""
        matches: Counter[tuple[str, str]] = Counter()
        seen: set[Number] = set()
        for disguise, text in _views(blob):
            found = self._digit_runs.find(text)
            for number in self._needles.keys() - found.keys() - seen:
                if hit := self._other_spelling(number, text, is_binary=disguise in BINARY):
                    found[number] = hit
            for number in found.keys() - seen:
                spelling, times = found[number]
                matches[number.label, f"{disguise} {spelling}".strip()] += times
            seen |= found.keys()
        return matches

    def _other_spelling(self, number: Number, text: bytes, *, is_binary: bool) -> tuple[str, int] | None:
        for needle in self._needles[number]:
            if (needle.in_text or is_binary) and (times := needle.count(text)):
                return needle.spelling, times
        return None

    def _described(self, where: str) -> str:
        if not where:
            return ""
        # A file may be called after a card, so the name is under the same suspicion.
        return " (name withheld)" if self._matches(where.encode("utf-8", "replace")) else f" ({where})"


def _views(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """Everything that can be read in `blob`, with the name of what it is disguised as."""
    yield from readings.texts(blob)
    for inner in readings.unpacked(blob):
        for disguise, text in readings.texts(inner):
            yield f"{PACKED} {disguise}".rstrip(), text


def _values(data: object, depth: int = 0) -> Iterator[bytes]:
    if isinstance(data, str):
        yield data.encode("utf-8", errors="surrogatepass")
    elif isinstance(data, bytes | bytearray | memoryview):
        value = bytes(data)
        yield value
        yield readings.inflated(value)
    elif depth < MAX_DEPTH and isinstance(data, Mapping):
        for item in data.items():
            yield from _values(item, depth + 1)
    elif depth < MAX_DEPTH and isinstance(data, list | tuple | set | frozenset):
        for item in data:
            yield from _values(item, depth + 1)
    else:
        yield str(data).encode("utf-8", errors="surrogatepass")
