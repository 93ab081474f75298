"""Numbers that are no cards, told by their shape and their own check digits."""

import re
from typing import Final

_START: Final = r"(?<![0-9A-Za-z])"
_END: Final = r"(?![0-9A-Za-z])"
_ALONE: Final = r"(?<!\d)(?<!\d[-/.]){}(?!\d|[-/.]\d)"
_YEAR: Final = r"(?:19|20)\d\d"

# No card even in a log: random in UUIDs (our tokens are such) and digests, and of a shape of its own in dates.
_OPAQUE: Final = re.compile(
    "|".join(
        (
            _START + r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}" + _END,
            # A digest has a letter: digits alone are a number, however many they are.
            *(
                _START + r"(?=[0-9]*[a-fA-F])[0-9a-fA-F]{%d}" % length + _END
                for length in (24, 32, 40, 48, 56, 64, 96, 128)
            ),
            _ALONE.format(_YEAR + r"(?P<iso>[-/.])(?:0[1-9]|1[0-2])(?P=iso)(?:0[1-9]|[12]\d|3[01])"),
            _ALONE.format(r"[0-3]?\d(?P<day>[-/.])[0-3]?\d(?P=day)" + _YEAR),
        )
    ),
    re.ASCII,
)
_PARCEL: Final = re.compile(
    # UPS, in one piece or in groups; USPS in groups: in one piece its 22 digits are too many for a card.
    _START + r"1Z(?: ?[0-9A-Z]){16}" + _END + "|" + _START + r"9[0-9]{3}(?: [0-9]{4}){4} [0-9]{2}" + _END
)
_IBAN: Final = re.compile(_START + r"[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]{4}){2,7}(?: ?[0-9A-Z]{1,3})?" + _END)
# The digits after the point of a number such as a latitude. An item number before a card has a space: "1. 4...".
_FRACTION: Final = re.compile(r"(?:^|[^\w.])[0-9]{1,3}\.$")
_FRACTION_REACH: Final = 5
_EAN_DIGITS: Final = 13
_PHONE_DIGITS: Final = 15  # ITU-T E.164


def _blank(match: re.Match[str]) -> str:
    return "x" * len(match[0])


def _blank_iban(match: re.Match[str]) -> str:
    text = match[0].replace(" ", "")
    number = "".join(str(int(character, 36)) for character in text[4:] + text[:4])
    return _blank(match) if int(number) % 97 == 1 else match[0]


def _is_article_number(digits: str) -> bool:
    """An EAN-13. It outweighs a Visa number of 13 digits: those have not been issued for decades."""
    return len(digits) == _EAN_DIGITS and sum(map(int, digits[::2] + digits[1::2] * 3)) % 10 == 0
