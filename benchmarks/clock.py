"""How long something takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def seconds(run: Callable[..., Any], *arguments: Any) -> float:
    """Of the clock, for one call."""
    began = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - began
