"""Numbers that are no cards: told by their shape, and by check digits of their own where they have them."""

import re
from typing import Final

from vault.redaction.reading import INVISIBLE

_START: Final = r"(?<![0-9A-Za-z])"
_END: Final = r"(?![0-9A-Za-z])"
# What cannot be seen separates digits of a card as a dash does, and no date from a number.
_TIE: Final = r"[-/.\x00-\x08\x0b\x0c\x0e-\x1f\x7f" + INVISIBLE + "]"
_ALONE: Final = rf"(?<!\d)(?<!\d{_TIE}){{}}(?!\d|{_TIE}\d)"
_YEAR: Final = r"(?:19|20)\d\d"

# No card even in a log: random in UUIDs (our tokens are such) and digests, and of a shape of its own in dates.
_OPAQUE: Final = re.compile(
    "|".join(
        (
            _START + r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}" + _END,
            # A digest has a letter: digits alone are a number, however many they are.
            *(
                f"{_START}(?=[0-9]*[a-fA-F])[0-9a-fA-F]{{{length}}}{_END}"
                for length in (24, 32, 40, 48, 56, 64, 96, 128)
            ),
            _ALONE.format(_YEAR + r"(?P<iso>[-/.])(?:0[1-9]|1[0-2])(?P=iso)(?:0[1-9]|[12]\d|3[01])"),
            _ALONE.format(r"[0-3]?\d(?P<day>[-/.])[0-3]?\d(?P=day)" + _YEAR),
        )
    ),
    re.ASCII,
)
_PARCEL: Final = re.compile(
    # UPS, in one piece or in groups. USPS in groups: in one piece its 22 digits are too many for a card.
    _START + r"1Z(?: ?[0-9A-Z]){16}" + _END + "|" + _START + r"9[0-9]{3}(?: [0-9]{4}){4} [0-9]{2}" + _END
)
_IBAN: Final = re.compile(_START + r"[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]{4}){2,7}(?: ?[0-9A-Z]{1,3})?" + _END)
# What stands before the digits after the point of a latitude. An item number has a space after it: "1. 4...".
_BEFORE_FRACTION: Final = re.compile(r"(?:^|[^\w.])[0-9]{1,3}\.$")
_BEFORE_FRACTION_LENGTH: Final = 5
_EAN_DIGITS: Final = 13


def hide_opaque(text: str) -> str:
    """`text` of the same length without UUIDs, tokens, digests and dates."""
    return _OPAQUE.sub(_hidden, text)


def hide_accounts_and_parcels(text: str) -> str:
    """`text` of the same length without IBANs (ISO 13616), UPS and USPS numbers."""
    return _IBAN.sub(_hidden_iban, _PARCEL.sub(_hidden, text))


def is_article_number(digits: str) -> bool:
    """Tell whether this is an EAN-13. It outweighs a Visa number of 13 digits, none of which is issued any more."""
    return len(digits) == _EAN_DIGITS and sum(map(int, digits[::2] + digits[1::2] * 3)) % 10 == 0


def is_fraction(text: str, start: int) -> bool:
    """Tell whether what starts at `start` stands behind the point of a decimal number."""
    return _BEFORE_FRACTION.search(text[max(start - _BEFORE_FRACTION_LENGTH, 0) : start]) is not None


def _hidden(match: re.Match[str]) -> str:
    return "x" * len(match[0])


def _hidden_iban(match: re.Match[str]) -> str:
    text = match[0].replace(" ", "")
    number = "".join(str(int(character, 36)) for character in text[4:] + text[:4])
    return _hidden(match) if int(number) % 97 == 1 else match[0]
