"""Undoes what stands between bytes and the digits in them: separators, escapes, other digits, encodings, compression.

Independent of `vault.redaction` on purpose: it is among what is tested.
"""

import base64
import html
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

MAX_DEPTH = 3
MAX_UNPACKED = 4 * 1024 * 1024

_SEPARATED = re.compile(rb"(?<=[0-9])[ \-._/,:|\t\r\n]{1,3}(?=[0-9])")
# A time keeps its separators: its microseconds joined to its seconds are seven digits that end like some canary.
_MOMENT = re.compile(rb"(?<!\d)(?:20\d\d-[01]\d-[0-3]\d[T ])?[0-2]\d:[0-5]\d:[0-5]\d(?:[.,]\d{1,6})?(?!\d)")
_ESCAPE_MARKS = (b"%2", b"%3", b"%C2", b"%c2", b"%E", b"%e", b"\\x", b"\\u", b"&#", b"&nbsp")
_PERCENT_TWICE = re.compile(rb"%(?:25)+")
_BACKSLASH = re.compile(r"\\+(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4}))")

_COMPRESSED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{20,}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){16,}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_GZIP_OR_ZLIB = 47
_RAW_DEFLATE = -15
# Never digits, never a separator: what stands on either side does not belong together.
BREAK = b"\x1f\x1e\x1f"
_BREAK_IN_BASE64 = base64.b64encode(BREAK)
_BREAK_IN_HEX = BREAK.hex().encode()


def _fold_table() -> dict[bytes, bytes]:
    table = {}
    for code in (*range(0x80, 0x3000 + 1), 0xFEFF, *range(0xFF00, 0xFFF0)):
        character = chr(code)
        if (digit := unicodedata.digit(character, None)) is not None:
            table[character.encode()] = str(digit).encode()
        elif unicodedata.category(character) == "Cf":
            table[character.encode()] = b""
        elif unicodedata.category(character) in ("Zs", "Pd"):
            table[character.encode()] = b" "
    return table


def _alternatives(sequences: Iterable[bytes]) -> bytes:
    """A pattern of few branches: all last bytes that may follow the same beginning in one class."""
    by_beginning: dict[bytes, bytes] = {}
    for sequence in sequences:
        by_beginning[sequence[:-1]] = by_beginning.get(sequence[:-1], b"") + re.escape(sequence[-1:])
    return b"|".join(re.escape(beginning) + b"[" + last + b"]" for beginning, last in by_beginning.items())


_FOLDED = _fold_table()
_FOLDABLE = re.compile(_alternatives(_FOLDED))


def texts(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """`blob` as it is, and then with one kind of disguise after the other taken off, each with the name of its kind."""
    yield "", blob
    for name, undo in _STEPS:
        plainer = undo(blob)
        if plainer != blob:
            blob = plainer
            yield name, blob


def _without_nul(blob: bytes) -> bytes:
    return blob.replace(b"\x00", b"")


def _unescaped(blob: bytes) -> bytes:
    if not any(mark in blob for mark in _ESCAPE_MARKS):
        return blob
    text = unquote_to_bytes(_PERCENT_TWICE.sub(b"%", blob)).decode("utf-8", errors="surrogateescape")
    text = _BACKSLASH.sub(lambda match: chr(int(match[1] or match[2], 16)), html.unescape(text))
    return text.encode("utf-8", errors="replace") if not text.isascii() else text.encode()


def _folded(blob: bytes) -> bytes:
    return blob if blob.isascii() else _FOLDABLE.sub(lambda match: _FOLDED[match[0]], blob)


def _joined(blob: bytes) -> bytes:
    return _SEPARATED.sub(b"", _MOMENT.sub(BREAK, blob))


_STEPS = (
    ("UTF-16", _without_nul),
    ("escaped", _unescaped),
    ("Unicode", _folded),
    ("separated", _joined),
)


def unpacked(blob: bytes, depth: int = 0) -> Iterator[bytes]:
    """What is compressed or wrapped in `blob`, and in that, down to a bound."""
    if depth < MAX_DEPTH and (inner := BREAK.join(filter(None, _packed_in(blob)))):
        yield inner
        yield from unpacked(inner, depth + 1)


def inflated(blob: bytes) -> bytes:
    """What a raw deflate stream holds. It has no mark to find it by, so only a whole value is tried."""
    return _decompressed(blob, _RAW_DEFLATE)


def _packed_in(blob: bytes) -> Iterator[bytes]:
    for match in _COMPRESSED.finditer(blob):
        yield _decompressed(memoryview(blob)[match.start() :], _GZIP_OR_ZLIB)
    # All words are decoded in one call: a page has thousands of them.
    words = (word + b"A" * (-len(word) % 4) for word in _BASE64.findall(blob))
    yield base64.b64decode(_BREAK_IN_BASE64.join(words).translate(_URL_SAFE))
    yield bytes.fromhex(_BREAK_IN_HEX.join(_HEX.findall(blob)).decode())


def _decompressed(data, window_bits: int) -> bytes:
    try:
        return zlib.decompressobj(window_bits).decompress(data, MAX_UNPACKED)
    except zlib.error:
        return b""
