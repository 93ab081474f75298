"""How a card number looks in bytes: every spelling, and every part that says more than BIN and last four.

What a part may be, so that a test run of a thousand tests has no false alarm. Chance is counted per place where a
part could start, for one canary:

* 9 digits in a row say more than an eight-digit BIN, and last4 is none of them: 1e-9 a place in random decimal text,
  of which a test writes some thousand places (times, sizes, keys).
* 12 digits in a row are what counts for the many numbers of a crowded test, whose parts would together match a run of
  digits in some megabytes of UUIDs once in twenty test runs.
* 6 digits in base64 are 8 characters, 48 bits; 10 digits in packed decimal are 40 bits; digests are cut at 60 or more.
  A megabyte of ciphertext matches with a chance of 1e-5 or less.
* The last 5 to 8 digits are a common number: 1e-5 for each. They count where they are all there is (a cell, an
  attribute, a JSON string) or stand behind a mask ("•••• 12345"). 7 or 8 at the end of a longer number always count.
* Digits of fewer than three kinds, such as zeros, are in everything: those parts count only as the whole number.
"""

import hashlib
import re
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

BIN_LENGTH = 8
LAST_LENGTH = 4
PART = BIN_LENGTH + 1
LONG_PART = 12
BASE64_PART = 6
PACKED_PART = 10
SUFFIXES = range(PART - 1, LAST_LENGTH, -1)
ALWAYS_SUFFIXES = (8, 7)
MIN_KINDS = 3
DIGESTS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
DIGEST_BYTES = 8
_DIGITS = re.compile(rb"[0-9]{%d,}" % PART)

# One of these between the cells of a record makes each a value of its own.
CELL = b"\x1f"
_MASK = rb"(?:\xe2\x80\xa2|\xe2\x80\xa6|\*|(?<!0)[xX]|\.\.)[ -]?"
_BEFORE = rb"(?:(?<=[>\"'=\x1f])|^)"
_AFTER = rb"(?=[<\"'&;\x1f]|$)"


class Number(NamedTuple):
    """A card number that is looked for, and what the test calls it."""

    label: str
    digits: str


class Needle(NamedTuple):
    """The patterns of one spelling; `in_text` if it can also turn up in text that had to be decoded first."""

    spelling: str
    patterns: tuple[bytes, ...]
    in_text: bool

    def count(self, haystack: bytes) -> int:
        """How often it is there at least: one number matches several patterns."""
        return max((haystack.count(pattern) for pattern in self.patterns if pattern in haystack), default=0)


class Suffix(NamedTuple):
    """The end of the number, longer than last4, where it is not there by chance."""

    shortest: bytes
    pattern: re.Pattern[bytes]
    spelling: str = "more than last4"
    in_text: bool = True

    def count(self, haystack: bytes) -> int:
        return len(self.pattern.findall(haystack)) if self.shortest in haystack else 0


class DigitRuns:
    """The spellings that are digits themselves, of many numbers at once, in one pass over a text."""

    def __init__(self) -> None:
        self._owners: dict[bytes, list[tuple[str, Number]]] = defaultdict(list)
        self._lengths: set[int] = set()

    def add(self, number: Number, *, in_crowd: bool) -> None:
        for spelling, patterns in _digit_spellings(number.digits, LONG_PART if in_crowd else PART):
            for pattern in patterns:
                self._owners[pattern].append((spelling, number))
                self._lengths.add(len(pattern))

    def find(self, haystack: bytes) -> dict[Number, tuple[str, int]]:
        """Each number that is there, how it is spelled, and how often it is there at least."""
        hits: dict[tuple[str, Number], Counter[bytes]] = defaultdict(Counter)
        for window in self._windows(haystack):
            for owner in self._owners.get(window, ()):
                hits[owner][window] += 1
        found: dict[Number, tuple[str, int]] = {}
        claimed: set[bytes] = set()
        # Canaries begin alike. The one of which there is more is the one that leaked.
        for (spelling, number), windows in sorted(hits.items(), key=lambda hit: -len(hit[1])):
            if not claimed.issuperset(windows):
                claimed |= windows.keys()
                found.setdefault(number, (spelling, max(windows.values())))
        return found

    def _windows(self, haystack: bytes) -> Iterator[bytes]:
        for run in _DIGITS.findall(haystack):
            for length in self._lengths:
                for start in range(len(run) - length + 1):
                    yield run[start : start + length]


def _digit_spellings(digits: str, length: int) -> Iterator[tuple[str, list[bytes]]]:
    # The whole number needs a pattern of its own only where no part of it is telling.
    parts = _parts(digits, length)[1:] or [digits]
    yield "plain digits", [part.encode() for part in parts]
    yield "reversed digits", [part[::-1].encode() for part in parts]
    yield "hex", [part.encode().hex().encode() for part in parts]


def needles(digits: str) -> list[Needle | Suffix]:
    """Everything else that gives `digits` away."""
    return [
        Needle("base64", tuple(b64encode(part.encode()) for part in _base64_parts(digits)), in_text=True),
        Needle("packed decimal", tuple(_packed(digits)), in_text=False),
        Needle("binary integer", _integers(digits), in_text=False),
        Needle("unkeyed digest", tuple(_digests(digits)), in_text=True),
        *_suffix(digits),
    ]


def _parts(digits: str, length: int) -> list[str]:
    windows = {digits[start : start + length] for start in range(len(digits) - length + 1)}
    return [digits, *(window for window in windows if len(set(window)) >= MIN_KINDS)]


def _base64_parts(digits: str) -> list[str]:
    """Two whole triples of digits, which each alignment of base64 has some of; one at least is not in the BIN."""
    starts = range(BIN_LENGTH - BASE64_PART // 2, len(digits) - BASE64_PART + 1)
    windows = (digits[start : start + BASE64_PART] for start in starts)
    telling = [window for window in windows if len(set(window)) >= MIN_KINDS]
    return telling or [digits[start : len(digits) - (len(digits) - start) % 3] for start in range(3)]


def _packed(digits: str):
    for part in _parts(digits, PACKED_PART):
        # A number of odd length is padded with an F, or with a zero before it.
        yield bytes.fromhex(part if len(part) % 2 == 0 else f"{part}f")
        if len(part) % 2:
            yield bytes.fromhex(f"0{part}")


def _integers(digits: str) -> tuple[bytes, ...]:
    number = int(digits)
    length = (number.bit_length() + 7) // 8
    return number.to_bytes(length, "big"), number.to_bytes(length, "little")


def _digests(digits: str):
    for name in DIGESTS:
        digest = hashlib.new(name, digits.encode(), usedforsecurity=False).digest()
        yield digest[:DIGEST_BYTES]
        yield digest[:DIGEST_BYTES].hex().encode()
        yield digest[:DIGEST_BYTES].hex().upper().encode()
        # Ten characters are whole bytes and a half: the same whatever follows.
        yield b64encode(digest)[:10]
        yield b64encode(digest, altchars=b"-_")[:10]


def _suffix(digits: str) -> list[Suffix]:
    ends = [digits[-length:].encode() for length in SUFFIXES]
    if len(set(ends[-1])) < MIN_KINDS:
        return []
    some = rb"(?:" + b"|".join(ends) + rb")"
    always = b"|".join(digits[-length:].encode() for length in ALWAYS_SUFFIXES)
    return [
        Suffix(
            ends[-1],
            re.compile(
                _MASK + some + rb"(?![0-9])|" + _BEFORE + some + _AFTER + rb"|(?:" + always + rb")(?![0-9])",
            ),
        )
    ]
