"""Digits that could be a card number: groups of them, with separators between, that satisfy Luhn."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

# Spaces, dashes and what cannot be seen may stand between any two digits of a card.
_QUIET: Final = " \\-\t\r\x00-\x08\x0b\x0c\x0e-\x1f\x7f" + _INVISIBLE
# These may too, but they also make numbers, addresses, times and lists: see `_Run.separator`.
_LOUD: Final = "./_,:;|*+~\n"
_GAP: Final = f"[{_QUIET}{_LOUD}]"
_RUN: Final = re.compile(f"[0-9]+(?:{_GAP}{{1,4}}[0-9]+)*")
_POSSIBLE: Final = re.compile(f"[0-9](?:{_GAP}{{0,4}}[0-9]){{{MIN_DIGITS - 1}}}")
_GROUP: Final = re.compile("[0-9]+")
_TO_LOUD: Final = re.compile(f"[{_QUIET}]+")
_LOUD_GROUP: Final = 4
_LOUD_GROUPS: Final = 3
_INNER_DIGITS: Final = 14


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Digits that satisfy Luhn; `start` and `end` are where they stand in the text."""

    digits: str
    start: int
    end: int
    is_whole: bool
    follows_plus: bool

    @property
    def is_branded(self) -> bool:
        brand, lengths = brand_and_lengths(self.digits)
        return brand is not Brand.UNKNOWN and len(self.digits) in lengths


class _Run:
    """Groups of digits with nothing but separators between them."""

    def __init__(self, text: str, match: re.Match[str]) -> None:
        groups = [group.span() for group in _GROUP.finditer(text, *match.span())]
        self.spans = groups
        self.sizes = [end - start for start, end in groups]
        self.offsets = [0, *accumulate(self.sizes)]
        self.digits = "".join(text[start:end] for start, end in groups)
        self.separators = [_TO_LOUD.sub("", text[a[1] : b[0]]) for a, b in zip(groups, groups[1:], strict=False)]
        self.follows_plus = text[max(match.start() - 1, 0) : match.start()] == "+"
        values = [int(digit) for digit in self.digits]
        # Sums up to each digit, with every other digit doubled, so that Luhn costs the same for any window.
        self._sums = [
            [0, *accumulate(_DOUBLED[d] if (i + parity) % 2 else d for i, d in enumerate(values))] for parity in (0, 1)
        ]

    def candidates(self) -> Iterator[_Candidate]:
        """What satisfies Luhn from the start of a group to the end of a group."""
        for first in range(len(self.sizes)):
            start = self.offsets[first]
            for last in range(first, len(self.sizes)):
                end = self.offsets[last + 1]
                if end - start > MAX_DIGITS:
                    break
                if end - start >= MIN_DIGITS and self._satisfies_luhn(start, end) and self._is_written_as_one(first, last):
                    yield self._candidate(start, end, first, last)

    def inner_candidates(self) -> Iterator[_Candidate]:
        """What satisfies Luhn within a longer string of digits; given as that whole string."""
        for index, size in enumerate(self.sizes):
            for start in range(self.offsets[index], self.offsets[index] + size - _INNER_DIGITS + 1):
                brand, lengths = brand_and_lengths(self.digits[start : start + 4])
                for length in lengths if brand is not Brand.UNKNOWN else ():
                    end = start + length
                    if length >= _INNER_DIGITS and end <= self.offsets[index + 1] and self._satisfies_luhn(start, end):
                        yield self._candidate(start, end, index, index)

    def _satisfies_luhn(self, start: int, end: int) -> bool:
        sums = self._sums[(end - 1) % 2]
        return (sums[end] - sums[start]) % 10 == 0

    def _is_written_as_one(self, first: int, last: int) -> bool:
        """A dot, slash or comma belongs to a card if it is there throughout, and the groups are those of a card."""
        separators = self.separators[first:last]
        if not any(separators):
            return True
        sizes = self.sizes[first : last + 1]
        is_regular = all(size >= _LOUD_GROUP for size in sizes[:-1]) or all(size == 1 for size in sizes)
        return is_regular and len(sizes) >= _LOUD_GROUPS and len(separators[0]) == 1 and len(set(separators)) == 1

    def _candidate(self, start: int, end: int, first: int, last: int) -> _Candidate:
        return _Candidate(
            digits=self.digits[start:end],
            start=self.spans[first][0],
            end=self.spans[last][1],
            is_whole=start == 0 and end == len(self.digits),
            follows_plus=self.follows_plus and first == 0,
        )


_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def _runs(folded: str) -> Iterator[_Run]:
    for match in _RUN.finditer(folded):
        if match.end() - match.start() >= MIN_DIGITS:
            yield _Run(folded, match)


def _is_possible(text: str) -> bool:
    """The quick way out, taken by nearly every text."""
    return _POSSIBLE.search(text) is not None
