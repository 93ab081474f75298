"""The card numbers of a run, by label: books and reports name a card by its label, and never have a digit of it."""

import random

from tests.cards import CANARY_BIN, with_check_digit

# Known to every worker, so that they meet over them.
KNOWN = 40
_SPACE = 247_500
# Has no divisor in common with the space, so that no two labels have the same number.
_STRIDE = 104_729
_END_OF_BIN = int(CANARY_BIN[-3:-1])


def digits_of(seed: str, label: int) -> str:
    """The number of a card. Two labels of a run have different ones.

    Files of a database have BIN and last four side by side, where they are no leak. So the first of the seven digits
    of an account is below five, and the first of the last four is not: no part of one number is BIN and last four of
    another.
    """
    assert 0 <= label < _SPACE, "A run has no more cards than this."
    place = (label * _STRIDE + random.Random(seed).randrange(_SPACE)) % _SPACE  # noqa: S311 - reproducible is the point
    place, first = divmod(place, 5)
    place, second = divmod(place, 99)
    # Else this and the zero behind it would be what the BIN ends with, and stand in front of the last four as well.
    second += second >= _END_OF_BIN
    last, third = divmod(place, 5)
    return with_check_digit(f"{CANARY_BIN}{first}{second:02}0{third + 5}{last:02}")
