"""Files as streams of rows. A row is a line, so a broken one spoils no other, and its number is that of its line.

Memory does not grow with the file: a line has a bound, and what is longer is passed over.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import count
from typing import Any, BinaryIO, Final, NoReturn, Protocol

from vault.importing.columns import Columns, Naming, refuse_forbidden
from vault.importing.refusals import FileRefused, Reason, Refusal, RowRefused
from vault.importing.rows import ImportRow, Reject, read_row

MAX_LINE: Final = 64 * 1024
_BOM: Final = b"\xef\xbb\xbf"

_Line = tuple[int, str | Reason]


class Lines:
    """The lines of a stream that are not blank, by their number: text, or the reason why there is none."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._numbers = count(1)
        #: How far the stream was read.
        self.bytes_read = 0

    def __iter__(self) -> Iterator[_Line]:
        while raw := self._read():
            number = next(self._numbers)
            if len(raw) > MAX_LINE and not raw.endswith(b"\n"):
                self._pass_over()
                yield number, Reason.TOO_LONG
            elif line := _decoded(raw.removeprefix(_BOM) if number == 1 else raw):
                yield number, line

    def _read(self) -> bytes:
        raw = self._stream.readline(MAX_LINE + 1)
        self.bytes_read += len(raw)
        return raw

    def _pass_over(self) -> None:
        while (raw := self._read()) and not raw.endswith(b"\n"):
            pass


def _decoded(raw: bytes) -> str | Reason:
    try:
        text = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return Reason.ENCODING
    if "\0" in text:
        return Reason.ENCODING
    return text if text.strip() else ""


class RowFile(Protocol):
    """A file that is read row by row."""

    @property
    def layout(self) -> list[str]:
        """The names of the columns, if the file has them in one place."""

    def rows(self, *, after: int = 0) -> Iterator[ImportRow | Reject]:
        """The rows behind that one. Raises `FileRefused` at what may not be in any row, `OSError`."""


class CSVFile:
    """Rows under a header, separated by commas or semicolons. Raises `FileRefused` if the header is none."""

    def __init__(self, lines: Lines, naming: Naming) -> None:
        self._lines = lines
        _, header = next(iter(lines), (0, ""))
        if not header or isinstance(header, Reason):
            raise FileRefused(Refusal.NO_HEADER)
        self._delimiter = ";" if header.count(";") > header.count(",") else ","
        try:
            self.layout = self._fields(header)
        except RowRefused:
            raise FileRefused(Refusal.NO_HEADER) from None
        self._columns = naming.find_in_header(self.layout)

    def rows(self, *, after: int = 0) -> Iterator[ImportRow | Reject]:
        for number, line in self._lines:
            if number > after:
                yield self._row(number, line)

    def _row(self, number: int, line: str | Reason) -> ImportRow | Reject:
        if isinstance(line, Reason):
            return Reject(number, "", line)
        try:
            fields = self._fields(line)
        except RowRefused as refused:
            return Reject(number, "", refused.reason)
        if len(fields) != len(self.layout):
            return Reject(number, "", Reason.COLUMNS)
        return read_row(number, dict(zip(self.layout, fields, strict=True)), self._columns)

    def _fields(self, line: str) -> list[str]:
        try:
            # Strict: a quote that is not closed would otherwise be.
            return next(csv.reader([line], delimiter=self._delimiter, strict=True))
        except csv.Error:
            raise RowRefused(Reason.MALFORMED) from None


class JSONLinesFile:
    """An object on each line. Its keys are its own, so a forbidden one is found when its row is read."""

    def __init__(self, lines: Lines, naming: Naming) -> None:
        self._lines = lines
        self.layout: list[str] = []
        self._find = lru_cache(maxsize=64)(naming.find)

    def refuse_forbidden_keys(self) -> None:
        """Read all of it. Raises `FileRefused` if any row has a key that is forbidden."""
        for _, line in self._lines:
            if not isinstance(line, Reason):
                with suppress(RowRefused):
                    _parsed(line)

    def rows(self, *, after: int = 0) -> Iterator[ImportRow | Reject]:
        for number, line in self._lines:
            if number > after:
                yield self._row(number, line)

    def _row(self, number: int, line: str | Reason) -> ImportRow | Reject:
        if isinstance(line, Reason):
            return Reject(number, "", line)
        try:
            values = _parsed(line)
            columns: Columns = self._find(tuple(values))
        except RowRefused as refused:
            return Reject(number, "", refused.reason)
        return read_row(number, values, columns)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for name, _ in pairs:
        refuse_forbidden(name)
    values = dict(pairs)
    if len(values) < len(pairs):
        raise RowRefused(Reason.DUPLICATE_KEY)
    return values


def _constant(name: str) -> NoReturn:
    # NaN and its like are none of JSON's.
    raise RowRefused(Reason.MALFORMED)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def _parsed(line: str) -> dict[str, Any]:
    try:
        values = _DECODER.decode(line)
    except (RowRefused, FileRefused):
        raise
    except (ValueError, RecursionError):
        raise RowRefused(Reason.MALFORMED) from None
    if not isinstance(values, dict):
        raise RowRefused(Reason.MALFORMED)
    return values
