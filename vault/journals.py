"""The output file of an export, which is its journal too: whatever stands there in whole lines has been done."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from vault.exceptions import ExportFileInUse, ExportFileUnwritable, ForeignExportFile

# A card takes about 2,000 bytes under the largest key.
_MAX_LINE: Final = 100_000


class Journal:
    """JSON lines: a header, then one line for each card in the order of the tokens.

    Open it with `opened`; while it is open no other process of this machine writes to it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        header = self._line()
        if header is None:
            raise ForeignExportFile
        self.header = header

    def entries(self) -> Iterator[dict[str, Any]]:
        """The lines after the header. What a killed process left of a line is cut off at the end.

        To be read to the end before `append`. Raises `ForeignExportFile` for what is no journal.
        """
        last = ""
        while (entry := self._line()) is not None:
            token = entry.get("token")
            if not isinstance(token, str) or token <= last:
                raise ForeignExportFile
            last = token
            yield entry
        self._file.truncate()

    def append(self, entries: Iterable[dict[str, Any]]) -> None:
        """Write lines; when this returns, they are on the disk. Raises `ExportFileUnwritable`."""
        try:
            self._file.write(b"".join(_written(entry) for entry in entries))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            raise ExportFileUnwritable from None

    def _line(self) -> dict[str, Any] | None:
        """The next whole line; None, and the position before it, if there is none."""
        start = self._file.tell()
        line = self._file.readline(_MAX_LINE)
        if not line.endswith(b"\n"):
            if len(line) == _MAX_LINE:
                raise ForeignExportFile
            self._file.seek(start)
            return None
        try:
            entry = json.loads(line)
        except ValueError:
            raise ForeignExportFile from None
        if not isinstance(entry, dict):
            raise ForeignExportFile
        return entry


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    """The journal in `path`. Raises `ExportFileInUse`, `ExportFileUnwritable`, `ForeignExportFile`."""
    try:
        # Not through a link that somebody laid there.
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+b")
    except OSError:
        raise ExportFileUnwritable from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ExportFileInUse from None
        yield Journal(file)


def create(path: Path, header: dict[str, Any]) -> bool:
    """Make a file that only this user reads, with its header or not at all. False if something is there already.

    Raises `ExportFileUnwritable`.
    """
    try:
        # Under a name of its own: what a killed process left must be in nobody's way.
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        draft = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_written(header))
                file.flush()
                os.fsync(file.fileno())
            # Unlike a rename, a link replaces nothing.
            os.link(draft, path)
        finally:
            draft.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError:
        return False
    except OSError:
        raise ExportFileUnwritable from None
    return True


def _written(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
