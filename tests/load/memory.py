"""What a process has of memory and of open files, as Linux counts it."""

import re
from pathlib import Path


def resident(pid: int | str = "self") -> int:
    """The bytes that a process has in memory now."""
    return _status(pid, "VmRSS")


def peak(pid: int | str = "self") -> int:
    """The most bytes that a program had in memory, without what it was forked from."""
    return _status(pid, "VmHWM")


def open_files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _status(pid, name):
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    # A process that has ended and was not waited for has none.
    return int(found[1]) * 1024 if found else 0
