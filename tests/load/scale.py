"""How much load there is: a few seconds of it among all other tests, all of it with `make load` (see docs/load.md)."""

import os
import sys

IS_FULL = os.environ.get("LOAD") == "full"


def scaled(name: str, *, few: int, full: int) -> int:
    """So many, or what the environment says under the name."""
    return int(os.environ.get(name, full if IS_FULL else few))


def tell(text: str) -> None:
    """Say what was measured. `make load` shows it."""
    sys.stdout.write(f"\n    {text}\n")
