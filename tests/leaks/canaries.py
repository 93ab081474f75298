"""Fresh card numbers that no other test has: where one turns up, its label says where it came from."""

import random
from itertools import count

from tests.cards import CANARY_BIN, with_check_digit
from tests.leaks.needles import LAST_LENGTH

LENGTH = 16


class Mint:
    """Draws numbers that are the same each time a test runs, so that a report can be reproduced without digits."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._serial = count()

    def draw(self) -> str:
        source = random.Random(f"{self._seed}#{next(self._serial)}")  # noqa: S311 - reproducible is the point
        account = source.choices("0123456789", k=LENGTH - 1 - len(CANARY_BIN))
        # The digit before the last four: no number of a row begins with 0, and some get to five digits in a test run.
        account[-LAST_LENGTH] = "0"
        return with_check_digit(CANARY_BIN + "".join(account))
