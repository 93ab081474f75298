"""What an import has done so far, such that a killed one goes on where it was.

Beside the output lies a journal: its first line says which file is imported, each further one that all rows up to a
number are settled, and how long output and rejects were then. A batch is in both files, on the disk, before its line is
in the journal. Whatever stands behind the lengths of the last whole line was written on the way to a kill; it is cut
off, and those rows are done again.

Nothing here is a digest of the input: of a file of card numbers it would be a way to find them by trying.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from vault.importing.rows import Reject
from vault.redaction.reading import fold

_COLUMNS: Final = ("row", "reference", "token", "brand", "last4", "status")
# What a spreadsheet takes for the beginning of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Problem(StrEnum):
    """Why there is nothing to go on from; the value is the sentence for people."""

    FOREIGN = "The output or the rejects exist already and are of no import. Name another output."
    OTHER_INPUT = "The output belongs to the import of another file, or of this one as it was. Name another output."
    CHANGED = "The output, the rejects or the journal was changed after it was written. Name another output."
    BUSY = "Another import is writing to this output."


class JournalError(Exception):
    """There is nothing to go on from, or it is another import's."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.value)


@dataclass(frozen=True, slots=True)
class Kept:
    """A line of the output: a row that is in the vault."""

    row: int
    reference: str
    token: str
    brand: str
    last4: str
    status: str


@dataclass(slots=True)
class Counts:
    """How many rows there were, and what became of them."""

    rows: int = 0
    created: int = 0
    existing: int = 0
    updated: int = 0
    rejected: int = 0

    def add(self, kept: Iterable[Kept], rejects: Sequence[Reject]) -> None:
        for each in kept:
            self.rows += 1
            setattr(self, each.status, getattr(self, each.status) + 1)
        self.rows += len(rejects)
        self.rejected += len(rejects)


class Journal:
    """The files of one import: output, rejects and journal. A context manager; one process at a time has them.

    :param about: what tells this import from others: name, size and columns of the input
    """

    def __init__(self, output: Path, rejects: Path, *, about: dict[str, Any]) -> None:
        self._paths = (output, rejects, output.with_name(f"{output.name}.journal"))
        self._is_csv = output.suffix == ".csv"
        self._about = {"import": 1, "rejects": rejects.name, **about}
        #: Rows up to this one are settled.
        self.row = 0
        self.counts = Counts()
        self.is_finished = False

    def __enter__(self) -> Self:
        """Open the files, and cut off what was not settled. Raises `JournalError`, `OSError`."""
        output, rejects, journal = self._paths
        with ExitStack() as stack:
            self._journal = stack.enter_context(_opened(journal))
            self._lock()
            sizes = self._load()
            self._output, self._rejects = (stack.enter_context(_opened(path)) for path in (output, rejects))
            for file, size in zip((self._output, self._rejects), sizes, strict=True):
                _cut(file, size)
            for folder in {output.parent, rejects.parent}:
                _sync_folder(folder)
            self._files = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._files.close()

    def settle(self, row: int, kept: Sequence[Kept], rejects: Sequence[Reject]) -> None:
        """Have what became of the rows up to `row` on the disk. Raises `OSError`; then none of it counts."""
        _append(self._output, self._written(kept))
        _append(self._rejects, "".join(_json(_explained(reject)) for reject in rejects))
        self.counts.add(kept, rejects)
        self.row = row
        self._note()

    def finish(self) -> None:
        """Say that there are no more rows."""
        # A table without rows has a header too.
        _append(self._output, self._written([]))
        self.is_finished = True
        self._note()

    def _note(self) -> None:
        sizes = {"output": self._output.tell(), "rejects": self._rejects.tell()}
        note = {"row": self.row, **sizes, "counts": asdict(self.counts), "finished": self.is_finished}
        _append(self._journal, _json(note))

    def _written(self, kept: Sequence[Kept]) -> str:
        if not self._is_csv:
            return "".join(_json(asdict(each)) for each in kept)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if self._output.tell() == 0:
            writer.writerow(_COLUMNS)
        writer.writerows(
            (each.row, _no_formula(each.reference), each.token, each.brand, each.last4, each.status) for each in kept
        )
        return text.getvalue()

    def _lock(self) -> None:
        # The kernel lets go of it when the process ends, however it ends.
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(Problem.BUSY) from None

    def _load(self) -> tuple[int, int]:
        """Read the journal up to its last whole line, or begin it. Gives the lengths of output and rejects."""
        about = last = b""
        end = 0
        for line in self._journal:
            if not line.endswith(b"\n"):
                break
            about, last = about or line, line
            end += len(line)
        _cut(self._journal, end)
        if not about:
            self._begin()
            return 0, 0
        return self._resume(about, last if last != about else b"")

    def _begin(self) -> None:
        if any(path.exists() for path in self._paths[:2]):
            self._paths[2].unlink()
            raise JournalError(Problem.FOREIGN)
        _append(self._journal, _json(self._about))

    def _resume(self, about: bytes, last: bytes) -> tuple[int, int]:
        try:
            if json.loads(about) != self._about:
                raise JournalError(Problem.OTHER_INPUT)
            if not last:
                return 0, 0
            note = json.loads(last)
            self.row, self.is_finished = int(note["row"]), bool(note["finished"])
            self.counts = Counts(**{each.name: int(note["counts"][each.name]) for each in fields(Counts)})
            return int(note["output"]), int(note["rejects"])
        except (ValueError, TypeError, KeyError):
            raise JournalError(Problem.CHANGED) from None


def _opened(path: Path) -> BinaryIO:
    """A file to read and to write, made if it is not there; nobody else may read it."""
    # Not through a link that somebody laid there.
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b")


def _cut(file: BinaryIO, size: int) -> None:
    if file.seek(0, os.SEEK_END) < size:
        raise JournalError(Problem.CHANGED)
    file.truncate(size)
    file.seek(size)


def _append(file: BinaryIO, text: str) -> None:
    if text:
        # The name of a file may be no text; JSON has an escape for what that leaves.
        file.write(text.encode(errors="backslashreplace"))
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Have the names of new files on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False) + "\n"


def _explained(reject: Reject) -> dict[str, Any]:
    reason = {"reason": reject.reason.value, "message": reject.reason.message}
    return {"row": reject.row, "reference": reject.reference, **reason}


def _no_formula(text: str) -> str:
    """`text` as a spreadsheet shows it instead of running it. Full-width signs count: some fold them."""
    return f"'{text}" if fold(text[:1]) in _FORMULA else text
