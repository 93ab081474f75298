"""Files and logs, plain or gzip, of whatever encoding, in memory that does not grow with them."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from vault.exceptions import ScanInterrupted
from vault.redaction import find_pans
from vault.scanning.pages import PLACE_LENGTH, SOURCE_LENGTH, Page, Sighting, shown

STDIN: Final = "-"
_STDIN_NAME: Final = "standard input"
_GZIP: Final = b"\x1f\x8b"
_BUFFER: Final = 64 * 1024
_WINDOW: Final = 64 * 1024
# What may stand round a number: its digits with the longest escapes, and what tells it from a phone or a UUID.
_CONTEXT: Final = 1024
_PAGE_WINDOWS: Final = 20_000
_BOMS: Final = (
    # UTF-32 first: its mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_MOST: Final = 0.8
_FEW: Final = 0.2

_Window = tuple[int, str, int, int]


@dataclass(frozen=True, slots=True)
class File:
    """A file, or standard input for "-"."""

    path: str

    @property
    def name(self) -> str:
        return shown(_STDIN_NAME if self.path == STDIN else self.path, SOURCE_LENGTH)

    def pages(self, position: dict[str, Any]) -> Iterator[Page]:
        """Find numbers line by line, and none in what is no text. Raises `ScanInterrupted` if it cannot be read."""
        try:
            with ExitStack() as stack:
                stream = _opened(self.path, stack)
                done = position.get("windows", 0)
                windows = islice(_windows(stream) if stream else iter(()), done, None)
                while batch := self._searched(islice(windows, _PAGE_WINDOWS)):
                    sightings, read = batch
                    done += read
                    yield Page(sightings, read, {"windows": done})
        except (OSError, EOFError, zlib.error, UnicodeError):
            raise ScanInterrupted from None

    def _searched(self, windows: Iterator[_Window]) -> tuple[list[Sighting], int] | None:
        sightings: list[Sighting] = []
        read = 0
        for line, text, first, last in windows:
            read += 1
            for found in find_pans(text):
                if first <= found.start < last:
                    place = shown(f"{self.name}:{line}", PLACE_LENGTH)
                    sightings.append(Sighting(self.name, place, str(found.brand), found.last4))
        return (sightings, read) if read else None


def files(paths: Sequence[str], excluded: Sequence[str] = ()) -> Iterator[File]:
    """Every regular file at or below `paths`, in an order that is always the same. Links to folders are not followed.

    `excluded` are patterns of names or of whole paths. Raises `ScanInterrupted` for a path that is not there.
    """
    for path in paths:
        if path == STDIN:
            yield File(STDIN)
            continue
        try:
            root = Path(path).resolve(strict=True)
        except OSError:
            raise ScanInterrupted from None
        if not path:
            # Such as an empty variable: not everything below where somebody stands.
            raise ScanInterrupted
        yield from _below(root, excluded)


def decoded(content: bytes) -> str:
    """The text that bytes are; empty for what is none."""
    encoding = _encoding(content[:_BUFFER])
    return content.decode(encoding, errors="replace") if encoding else ""


def _below(path: Path, excluded: Sequence[str]) -> Iterator[File]:
    if any(fnmatchcase(name, pattern) for name in (path.name, str(path)) for pattern in excluded):
        return
    try:
        is_folder, is_file, is_link = path.is_dir(), path.is_file(), path.is_symlink()
        inside = sorted(path.iterdir()) if is_folder and not is_link else []
    except OSError:
        # Whoever tries to read it will say so.
        yield File(str(path))
        return
    # A pipe or a device would be waited for.
    if is_file:
        yield File(str(path))
    for each in inside:
        yield from _below(each, excluded)


def _opened(path: str, stack: ExitStack) -> io.TextIOWrapper | None:
    """The file as text; None if it is none."""
    opened = sys.stdin.buffer if path == STDIN else stack.enter_context(Path(path).open("rb"))  # noqa: SIM115 - closed by the stack
    raw = cast("io.BufferedReader", opened)
    if raw.peek(len(_GZIP)).startswith(_GZIP):
        unpacked = cast("BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=raw)))
        raw = io.BufferedReader(cast("io.RawIOBase", unpacked), _BUFFER)
    encoding = _encoding(raw.peek(_BUFFER)[:_BUFFER])
    # Only a line feed ends a line: that is what editors and grep count.
    return io.TextIOWrapper(raw, encoding, errors="replace", newline="\n") if encoding else None


def _encoding(start: bytes) -> str | None:
    """The encoding of what begins so; None if it is no text. Digits are the same bytes in UTF-8 and in older ones."""
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            return encoding
    if b"\0" not in start:
        return "utf-8"
    # Latin text in UTF-16 has a zero in every other byte.
    even, odd = (start[parity::2].count(0) / max(len(start) // 2, 1) for parity in (0, 1))
    if odd > _MOST and even < _FEW:
        return "utf-16-le"
    if even > _MOST and odd < _FEW:
        return "utf-16-be"
    return None


def _windows(stream: io.TextIOWrapper) -> Iterator[_Window]:
    """Each line with its number; a long one in pieces that overlap, with the part in which a number may begin.

    So every number is seen once, and whole, and with what stands round it.
    """
    line, tail = 1, ""
    while piece := stream.readline(_WINDOW):
        text = tail + piece
        first = _CONTEXT if tail else 0
        if piece.endswith("\n"):
            yield line, text, first, len(text)
            line, tail = line + 1, ""
        else:
            # The last line has no end either: what is held back here is handed out when nothing follows.
            yield line, text, first, max(len(text) - _CONTEXT, first)
            tail = text[-2 * _CONTEXT :]
    if tail:
        yield line, tail, max(len(tail) - _CONTEXT, 0), len(tail)
