"""Reading text: every way to write a digit or a separator becomes ASCII."""

import html
import re
import unicodedata
from typing import Final
from urllib.parse import unquote

INVISIBLE: Final = "\u200b"
# Controls, marks, what ends a line or a paragraph, and what has no meaning that anybody could see: a lone surrogate is
# a byte that is no UTF-8, such as the no-break space of Latin-1.
_UNSEEN: Final = ("Cc", "Cf", "Cn", "Co", "Cs", "Me", "Mn", "Zl", "Zp")
_CATEGORIES: Final = {**dict.fromkeys(_UNSEEN, INVISIBLE), "Zs": " ", "Pd": "-"}
# Of other categories: what stands for an object or for bytes that nobody could read, dashes, and dots in the middle.
_CHARACTERS: Final = {
    **dict.fromkeys("\ufffc\ufffd", INVISIBLE),
    **dict.fromkeys("\u2212\u2043", "-"),
    **dict.fromkeys("\u00b7\u2022\u2027\u2219\u22c5\u30fb\uff65", "."),
}


class _Folding(dict[int, str]):
    """Maps each character to one character for `str.translate`, so that positions stay what they were."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _fold_character(chr(code))
        return folded


def _fold_character(character: str) -> str:
    if character.isascii():
        return character
    if (digit := unicodedata.digit(character, None)) is not None:
        return str(digit)
    known = _CHARACTERS.get(character) or _CATEGORIES.get(unicodedata.category(character))
    if known:
        return known
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) == 1 and plain.isascii() else character


_FOLDING: Final = _Folding()


def fold(text: str) -> str:
    """`text` of the same length with ASCII digits, spaces and dashes for all of Unicode's."""
    return text if text.isascii() else text.translate(_FOLDING)


# Percent (encoded any number of times), backslash and HTML escapes. The bounds and the look-behind keep it linear.
# Bytes stand together, as those of one character may be several.
_ESCAPE: Final = re.compile(
    r"(?:%(?:25)*[0-9A-Fa-f]{2})+"
    r"|(?<!\\)(?:\\{1,8}x[0-9A-Fa-f]{2})+"
    r"|(?<!\\)\\{1,8}(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[nrt])"
    r"|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|nbsp);"
)
_PERCENT_AGAIN: Final = re.compile(r"%(?:25)+(?=[0-9A-Fa-f]{2})")
_BYTE: Final = re.compile(r"x([0-9A-Fa-f]{2})")
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t"}
_LAST_CODE_POINT: Final = 0x10FFFF


def has_escapes(text: str) -> bool:
    # The pattern is tried at every character, and nearly no text has one that an escape begins with.
    return ("%" in text or "\\" in text or "&" in text) and _ESCAPE.search(text) is not None


def unescape(text: str) -> tuple[str, list[int], list[int]]:
    """`text` without escapes, and where each of its characters starts and ends in `text`."""
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position = 0
    for match in _ESCAPE.finditer(text):
        start, end = match.span()
        characters = _unescaped(match[0])
        pieces += text[position:start], characters
        starts += [*range(position, start), *[start] * len(characters)]
        ends += [*range(position + 1, start + 1), *[end] * len(characters)]
        position = end
    pieces.append(text[position:])
    starts += range(position, len(text))
    ends += range(position + 1, len(text) + 1)
    return "".join(pieces), starts, ends


def _unescaped(escape: str) -> str:
    if escape.startswith("%"):
        return unquote(_PERCENT_AGAIN.sub("%", escape), errors="replace")
    if escape.startswith("&"):
        return html.unescape(escape)
    if octets := _BYTE.findall(escape):
        return _characters(bytes.fromhex("".join(octets)))
    escape = escape.lstrip("\\")
    if escape in _CONTROLS:
        return _CONTROLS[escape]
    return chr(min(int(escape[1:], 16), _LAST_CODE_POINT))


def _characters(octets: bytes) -> str:
    """What Python escapes with an x: the bytes of a text, or else the characters of one that have such a number."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")
