"""What hypothesis draws: card numbers of every brand and length, and the ways in which people and programs write them.

Nothing here is taken from the product but its table of ranges: what a spelling means is known because it was made.
"""

import sys
import unicodedata

from hypothesis import strategies as st

from tests.cards import with_check_digit
from vault.pan import RANGES

# Every way to write ten digits that Unicode has, by the character for zero.
ZEROS = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.decimal(chr(code), None) == 0]
SPACES = "".join(chr(code) for code in range(0x3001) if unicodedata.category(chr(code)) == "Zs")
DASHES = "".join(chr(code) for code in range(0x10000) if unicodedata.category(chr(code)) == "Pd") + "\u2212\u2043"
NO_HTML = "\x00\x07\x1f\x7f\x85\ue000"
UNSEEN = "\u200b\u200d\u2060\ufeff\u200e\u202e\u00ad\u0301\u20e3\u2028\u2029\ufffd" + NO_HTML


@st.composite
def issued(draw, *, shortest=12):
    """A card number that a known brand could issue: its brand, and its digits."""
    first, last, brand, lengths = draw(st.sampled_from([each for each in RANGES if max(each[3]) >= shortest]))
    length = draw(st.sampled_from(sorted(length for length in lengths if length >= shortest)))
    start = str(draw(st.integers(int(first), int(last)))).zfill(len(first))
    rest = length - len(start) - 1
    return brand, with_check_digit(start + draw(st.text("0123456789", min_size=rest, max_size=rest)))


def digits(*, shortest=12):
    """The digits alone of a number that a known brand could issue."""
    return issued(shortest=shortest).map(lambda drawn: drawn[1])


@st.composite
def typed(draw, number):
    """`number` as a person types it: spaces and hyphens anywhere."""
    gaps = draw(st.lists(st.text(" -", max_size=2), min_size=len(number) + 1, max_size=len(number) + 1))
    return gaps[0] + "".join(digit + gap for digit, gap in zip(number, gaps[1:], strict=True))


@st.composite
def written(draw, number):
    """`number` as it can turn up in a text: in any digits of Unicode, with what separates them, and escaped."""
    zero = draw(st.sampled_from(["0", *ZEROS]))
    shown = [chr(ord(zero) + int(digit)) for digit in number]
    gap = st.text(st.sampled_from(SPACES + DASHES + UNSEEN), max_size=draw(st.sampled_from([0, 1, 4])))
    escape = draw(st.sampled_from(ESCAPES))
    pieces = [escape(shown[0])]
    for digit in shown[1:]:
        pieces += escape(draw(gap)), escape(digit)
    return "".join(pieces)


def _in_percent(text):
    return "".join(f"%{byte:02X}" for byte in text.encode())


# Each takes one digit, or what stands between two.
ESCAPES = (
    str,
    _in_percent,
    lambda text: _in_percent(text).replace("%", "%25"),
    lambda text: "".join(f"&#{ord(character)};" for character in text if character not in NO_HTML),
    lambda text: "".join(f"&#x{ord(character):x};" for character in text if character not in NO_HTML),
    lambda text: "".join(f"\\U{ord(character):08x}" for character in text),
    lambda text: "".join(f"\\\\U{ord(character):08X}" for character in text),
)


@st.composite
def surrounded(draw, text):
    """`text` between words that neither belong to a number nor make one of another kind of it."""
    word = st.text("ghijkmnopqrstuvwyzäñ漢 !?()[]<>'\"=", max_size=12)
    return f"{draw(word)} {text} {draw(word)}"
