"""The card number as a value: digits go in once and leave only through `expose()`."""

from __future__ import annotations

import hmac
from enum import StrEnum
from typing import Any, Final, NoReturn

from vault.exceptions import InvalidPAN, PANProblem

MIN_DIGITS: Final = 12
MAX_DIGITS: Final = 19
#: 19 digits, each followed by a separator, twice over: longer text is not a typed card number.
MOST_CHARACTERS: Final = 80
_DIGITS: Final = frozenset("0123456789")
_SEPARATORS: Final = str.maketrans("", "", " -")
_UNPICKLED: Final = "A PAN cannot be pickled."


class Brand(StrEnum):
    """The card schemes that can be told apart by their BIN."""

    VISA = "visa"
    MASTERCARD = "mastercard"
    AMEX = "amex"
    DISCOVER = "discover"
    DINERS = "diners"
    JCB = "jcb"
    UNIONPAY = "unionpay"
    MAESTRO = "maestro"
    UNKNOWN = "unknown"

    @property
    def label(self) -> str:
        """The scheme's name as people write it."""
        return _LABELS[self]

    @property
    def groups(self) -> tuple[int, ...]:
        """How many digits stand together on a card of the scheme; the last size repeats."""
        return (4, 6, 5) if self is Brand.AMEX else (4,)


_LABELS: Final = {
    Brand.VISA: "Visa",
    Brand.MASTERCARD: "Mastercard",
    Brand.AMEX: "American Express",
    Brand.DISCOVER: "Discover",
    Brand.DINERS: "Diners Club",
    Brand.JCB: "JCB",
    Brand.UNIONPAY: "UnionPay",
    Brand.MAESTRO: "Maestro",
    Brand.UNKNOWN: "Card",
}

Lengths = frozenset[int]
_SIXTEEN_UP: Final[Lengths] = frozenset(range(16, 20))

# First and last BIN of each range, the brand, and the lengths that the scheme issues in it (ISO/IEC 7812-1).
# The first match wins, so a narrower range stands before a wider one. Pages have their copy from here: see vault.forms.
RANGES: Final[tuple[tuple[str, str, Brand, Lengths], ...]] = (
    ("34", "34", Brand.AMEX, frozenset({15})),
    ("37", "37", Brand.AMEX, frozenset({15})),
    ("300", "305", Brand.DINERS, frozenset({14, 16, 17, 18, 19})),
    ("3095", "3095", Brand.DINERS, frozenset({14, 16, 17, 18, 19})),
    ("36", "36", Brand.DINERS, frozenset(range(14, 20))),
    ("38", "39", Brand.DINERS, frozenset({14, 16, 17, 18, 19})),
    ("3528", "3589", Brand.JCB, _SIXTEEN_UP),
    ("4", "4", Brand.VISA, frozenset({13, 16, 19})),
    ("51", "55", Brand.MASTERCARD, frozenset({16})),
    ("2221", "2720", Brand.MASTERCARD, frozenset({16})),
    ("6011", "6011", Brand.DISCOVER, _SIXTEEN_UP),
    ("644", "649", Brand.DISCOVER, _SIXTEEN_UP),
    ("65", "65", Brand.DISCOVER, _SIXTEEN_UP),
    ("62", "62", Brand.UNIONPAY, _SIXTEEN_UP),
    ("8100", "8171", Brand.UNIONPAY, _SIXTEEN_UP),
    ("5018", "5018", Brand.MAESTRO, frozenset(range(12, 20))),
    ("5020", "5020", Brand.MAESTRO, frozenset(range(12, 20))),
    ("5038", "5038", Brand.MAESTRO, frozenset(range(12, 20))),
    ("5893", "5893", Brand.MAESTRO, frozenset(range(12, 20))),
    ("6304", "6304", Brand.MAESTRO, frozenset(range(12, 20))),
    ("6759", "6759", Brand.MAESTRO, frozenset(range(12, 20))),
    ("6761", "6763", Brand.MAESTRO, frozenset(range(12, 20))),
)
ANY_LENGTH: Final[Lengths] = frozenset(range(MIN_DIGITS, MAX_DIGITS + 1))


def brand_and_lengths(digits: str) -> tuple[Brand, Lengths]:
    """The brand whose range `digits` falls in, and the lengths it issues; `Brand.UNKNOWN` and 12 to 19 otherwise."""
    for first, last, brand, lengths in RANGES:
        # A beginning that is shorter than the range says nothing yet.
        if len(digits) >= len(first) and first <= digits[: len(first)] <= last:
            return brand, lengths
    return Brand.UNKNOWN, ANY_LENGTH


def has_luhn_checksum(digits: str) -> bool:
    """True if the ASCII `digits` end in their Luhn check digit (ISO/IEC 7812-1 Annex B)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit)
        if position % 2:
            value = value * 2 - 9 if value > 4 else value * 2  # noqa: PLR2004 - the rule itself
        total += value
    return total % 10 == 0


def mask(last4: str) -> str:
    """The one masked form of a card number: last four digits alone (PCI DSS 3.4.1)."""
    return f"•••• {last4}"


class PAN:
    """A valid primary account number. It prints masked, compares in constant time, and refuses to be pickled.

    The digits are reachable through `expose()` alone, so that `git grep 'expose()'` lists every reader of them.
    """

    __slots__ = ("__digits", "brand")
    __digits: str
    brand: Brand

    def __init__(self, text: str) -> None:
        """Take the card number as a person types it; spaces and hyphens are ignored wherever they stand.

        Raises `InvalidPAN` with the problem: empty, characters (anything but ASCII digits), length, checksum.
        """
        if not isinstance(text, str):
            raise InvalidPAN(PANProblem.CHARACTERS)
        digits = text[: MOST_CHARACTERS + 1].translate(_SEPARATORS)
        if not digits:
            raise InvalidPAN(PANProblem.EMPTY)
        if not _DIGITS.issuperset(digits):
            raise InvalidPAN(PANProblem.CHARACTERS)
        brand, lengths = brand_and_lengths(digits)
        if len(text) > MOST_CHARACTERS or len(digits) not in lengths:
            raise InvalidPAN(PANProblem.LENGTH)
        # Zeros alone satisfy Luhn, and no issuer has them.
        if not has_luhn_checksum(digits) or not digits.strip("0"):
            raise InvalidPAN(PANProblem.CHECKSUM)
        object.__setattr__(self, "_PAN__digits", digits)
        object.__setattr__(self, "brand", brand)

    @property
    def bin(self) -> str:
        """Issuer identification: eight digits of a number of 16 or more, else six.

        Together with `last4` the most that may be kept in clear (PCI SSC FAQ 1091).
        """
        return self.__digits[: 8 if len(self.__digits) >= 16 else 6]  # noqa: PLR2004 - as the docstring says

    @property
    def last4(self) -> str:
        return self.__digits[-4:]

    @property
    def masked(self) -> str:
        return mask(self.last4)

    def expose(self) -> str:
        """The digits. Every caller of this is part of the cardholder data environment."""
        return self.__digits

    def __str__(self) -> str:
        return self.masked

    def __repr__(self) -> str:
        return f"<PAN {self.masked}>"

    def __format__(self, spec: str) -> str:
        return format(self.masked, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PAN):
            return NotImplemented
        return hmac.compare_digest(self.__digits, other.__digits)

    def __hash__(self) -> int:
        return hash((PAN, self.__digits))

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("A PAN is immutable.")

    def __copy__(self) -> PAN:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> PAN:
        return self

    # A pickle is bytes on their way to a cache, a queue or a file: none may hold digits.
    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(_UNPICKLED)

    def __getstate__(self) -> NoReturn:
        raise TypeError(_UNPICKLED)
