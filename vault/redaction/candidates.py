"""What could be a card number: groups of digits, with separators between them, that satisfy Luhn."""

import re
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from vault.pan import MAX_DIGITS, MIN_DIGITS, Brand, brand_and_lengths
from vault.redaction.reading import INVISIBLE

# Spaces, dashes and what cannot be seen may stand between any two digits of a card.
_QUIET: Final = r" \-\t\r\x00-\x08\x0b\x0c\x0e-\x1f\x7f" + INVISIBLE
# These may too, but they also make decimals, addresses, times and lists: see `_is_written_as_one`.
_LOUD: Final = r"./_,:;|+*~\n"
_GAP: Final = f"[{_QUIET}{_LOUD}]"
_RUN: Final = re.compile(f"[0-9]+(?:{_GAP}{{1,4}}[0-9]+)*")
_ENOUGH_DIGITS: Final = re.compile(f"[0-9](?:{_GAP}{{0,4}}[0-9]){{{MIN_DIGITS - 1}}}")
_GROUP: Final = re.compile("[0-9]+")
_QUIET_ONES: Final = re.compile(f"[{_QUIET}]+")
_LOUD_GROUPS: Final = 3
_LOUD_GROUP_DIGITS: Final = 4
# Shorter ones occur by chance in timestamps, and 13 digits are no longer issued.
_MIN_INNER_DIGITS: Final = 14
_BIN_DIGITS: Final = 4
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


class Candidate(NamedTuple):
    """Digits that satisfy Luhn, and where the groups that they stand in start and end."""

    digits: str
    start: int
    end: int

    def is_of_known_brand(self) -> bool:
        brand, lengths = brand_and_lengths(self.digits)
        return brand is not Brand.UNKNOWN and len(self.digits) in lengths


def has_enough_digits(text: str) -> bool:
    """Offer the quick way out, which nearly every text takes."""
    return _ENOUGH_DIGITS.search(text) is not None


class Run:
    """Groups of digits with nothing but separators between them."""

    def __init__(self, text: str, match: re.Match[str]) -> None:
        self._spans = [group.span() for group in _GROUP.finditer(text, *match.span())]
        self._sizes = [end - start for start, end in self._spans]
        self._offsets = [0, *accumulate(self._sizes)]
        self._digits = "".join(text[start:end] for start, end in self._spans)
        self._separators = [_QUIET_ONES.sub("", text[before[1] : after[0]]) for before, after in pairwise(self._spans)]
        values = [int(digit) for digit in self._digits]
        # Sums up to each digit, with the odd or the even ones doubled: Luhn then costs the same for every window.
        self._sums = [
            [0, *accumulate(_DOUBLED[value] if (index + parity) % 2 else value for index, value in enumerate(values))]
            for parity in (0, 1)
        ]

    def candidates(self) -> Iterator[Candidate]:
        """Yield what satisfies Luhn from the start of a group to the end of a group."""
        for first, start in enumerate(self._offsets[:-1]):
            for last in range(first, len(self._sizes)):
                end = self._offsets[last + 1]
                if end - start > MAX_DIGITS:
                    break
                if end - start < MIN_DIGITS or not self._satisfies_luhn(start, end):
                    continue
                if self._is_written_as_one(first, last):
                    yield Candidate(self._digits[start:end], self._spans[first][0], self._spans[last][1])

    def inner_candidates(self) -> Iterator[Candidate]:
        """Yield what satisfies Luhn, and is of a known brand, within one longer group of digits."""
        for group, (group_start, group_end) in enumerate(pairwise(self._offsets)):
            for start in range(group_start, group_end - _MIN_INNER_DIGITS + 1):
                brand, lengths = brand_and_lengths(self._digits[start : start + _BIN_DIGITS])
                for length in lengths if brand is not Brand.UNKNOWN else ():
                    end = start + length
                    if length >= _MIN_INNER_DIGITS and end <= group_end and self._satisfies_luhn(start, end):
                        yield Candidate(self._digits[start:end], *self._spans[group])

    def _satisfies_luhn(self, start: int, end: int) -> bool:
        # The parity is chosen so that the last digit, the check digit, is not doubled.
        sums = self._sums[(end - 1) % 2]
        return (sums[end] - sums[start]) % 10 == 0

    def _is_written_as_one(self, first: int, last: int) -> bool:
        """Accept a dot, slash or comma if it is there throughout, and the groups are those of a card."""
        separators = self._separators[first:last]
        if not any(separators):
            return True
        sizes = self._sizes[first : last + 1]
        is_regular = all(size >= _LOUD_GROUP_DIGITS for size in sizes[:-1]) or all(size == 1 for size in sizes)
        return is_regular and len(sizes) >= _LOUD_GROUPS and len(separators[0]) == 1 and len(set(separators)) == 1


def runs(text: str) -> Iterator[Run]:
    """Every run of `text` that has digits enough for a card."""
    for match in _RUN.finditer(text):
        if match.end() - match.start() >= MIN_DIGITS:
            yield Run(text, match)
