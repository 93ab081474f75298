"""A worker's book: what it was about to do, and what it was answered. On the disk before it goes on, and no digits."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

ACKNOWLEDGED = "acknowledged"
REFUSED = "refused"
#: Nobody knows whether it was carried out.
DOUBTFUL = "doubtful"
#: What must never be answered.
WRONG = "wrong"


@dataclass(slots=True)
class Entry:
    """An operation: what it was to be, and what became of it. `state` is None if its process died over it."""

    number: int
    intent: dict = field(default_factory=dict)
    state: str | None = None
    result: dict = field(default_factory=dict)
    wrongs: list[str] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.state in (None, DOUBTFUL)

    def get(self, name, default=None):
        """What is known of it, by the answer before the intent."""
        return self.result.get(name, self.intent.get(name, default))


class Book:
    """Appends lines to a file, each of which is on the disk when the call returns."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes() if path.exists() else b""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        # A line that a kill cut off was never said.
        os.ftruncate(self._descriptor, content.rfind(b"\n") + 1)
        os.lseek(self._descriptor, 0, os.SEEK_END)

    def intend(self, number: int, **what) -> None:
        self._write({"number": number, "intent": what})

    def conclude(self, number: int, state: str, **result) -> None:
        self._write({"number": number, "state": state, "result": result})

    def _write(self, line: dict) -> None:
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")
        os.fsync(self._descriptor)


def read(path: Path) -> dict[int, Entry]:
    """The operations of a book by number, in the order in which they were begun."""
    entries: dict[int, Entry] = {}
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    for line in map(json.loads, lines):
        entry = entries.setdefault(line["number"], Entry(line["number"]))
        if "intent" in line:
            entry.intent |= line["intent"]
        elif line["state"] == WRONG:
            entry.wrongs.append(line["result"]["what"])
        else:
            entry.state, entry.result = line["state"], line["result"]
    return entries
