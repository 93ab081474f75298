"""A folder that is either complete or not there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from django.core.serializers.json import DjangoJSONEncoder

OCCUPIED: Final = "The folder has something in it, or is none. Name a new or an empty one."
UNWRITABLE: Final = "The folder cannot be written."
SUMS: Final = "SHA256SUMS"


class FolderUnusable(Exception):
    """The evidence cannot be written there; the message is a constant sentence."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of the evidence."""

    name: str
    sha256: str
    size: int


class Folder:
    """Collects files beside `path` and gives them that name when all are there: `with Folder(path) as folder: …`.

    Left by an exception it leaves nothing. Killed, it leaves a folder whose name ends in `.partial` and that has no
    index. Only its owner can read it. Raises `FolderUnusable`, and what reading the data raises.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.files: list[WrittenFile] = []

    def __enter__(self) -> Self:
        try:
            if self._path.is_symlink() or (self._path.exists() and any(self._path.iterdir())):
                raise FolderUnusable(OCCUPIED)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # For its owner alone, from the first moment.
            made = tempfile.mkdtemp(prefix=f"{self._path.name}.", suffix=".partial", dir=self._path.parent)
        except NotADirectoryError:
            raise FolderUnusable(OCCUPIED) from None
        except OSError:
            raise FolderUnusable(UNWRITABLE) from None
        self._draft = Path(made)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                # Over an empty folder, and over nothing else: of two runs at once the second fails.
                self._draft.rename(self._path)
                _sync(self._path.parent)
        except OSError:
            raise FolderUnusable(UNWRITABLE) from None
        finally:
            shutil.rmtree(self._draft, ignore_errors=True)
        if isinstance(error, OSError):
            raise FolderUnusable(UNWRITABLE) from None

    def add(self, name: str, data: Any) -> WrittenFile:
        """Write a file of JSON."""
        return self._write(name, [json.dumps(data, cls=DjangoJSONEncoder, indent=2), "\n"])

    def add_lines(self, name: str, rows: Iterable[Mapping[str, Any]]) -> WrittenFile:
        """Write a file with a line of JSON for each row, one after the other."""
        return self._write(name, (json.dumps(row, cls=DjangoJSONEncoder) + "\n" for row in rows))

    def sum_up(self) -> None:
        """Write the sums of all files, as `sha256sum --check` reads them. No file may be added after."""
        self._write(SUMS, [f"{each.sha256}  {each.name}\n" for each in self.files])
        _sync(self._draft)

    def _write(self, name: str, texts: Iterable[str]) -> WrittenFile:
        digest, size = hashlib.sha256(), 0
        handle = os.open(self._draft / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            for text in texts:
                content = text.encode()
                digest.update(content)
                size += file.write(content)
            file.flush()
            os.fsync(file.fileno())
        written = WrittenFile(name, digest.hexdigest(), size)
        self.files.append(written)
        return written


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
