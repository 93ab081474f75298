"""Names of what may never be kept after authorization: card verification codes, PINs, track data (PCI DSS 3.3.1)."""

import re
import unicodedata
from typing import Final

# Words of a name in any case: "cardCVV2", "card_cvv_2", "CARD-CVV-2" are card, cvv, 2.
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_OWNER: Final = r"(?:card|credit|debit|customer|user|encrypted|enc|raw|clear|new|old|my|the)*"
_FORBIDDEN: Final = re.compile(
    _OWNER + r"(?:"
    r"(?:"
    r"[id]?cvv|cvc|csc|cvn|cvd|cav|cid|pvv|epb|pins?"
    r"|(?:card)?(?:security|verification|validation|authentication)(?:code|value|number|digits)"
    r")(?:[1-3]|code|number|num|no|value|data|block|digits|hash|s)*"
    r"|(?:tracks?|trk)(?:[1-3]|one|two|three|data|raw|equivalent|equiv)+"
    r"|mag(?:netic)?stripe(?:data)?"
    r")"
)
# Alone it is track data; in "track_id" and "tracking_number" it is a parcel's or a song's.
_FORBIDDEN_ALONE: Final = re.compile(_OWNER + r"tracks?")
_MAX_WORDS: Final = 6


def is_forbidden_key(name: str) -> bool:
    """Tell whether `name` names a CVV, CVC, CID, CAV2, PIN or track data, however it is spelled.

    It goes by whole words: "shipping", "opinion" and "recipient_id" are nothing to it. A PIN code is refused even where
    it is a postal one: call that a postal code.
    """
    words = _words(name)
    return _FORBIDDEN_ALONE.fullmatch("".join(words)) is not None or any(
        _FORBIDDEN.fullmatch("".join(words[start:end]))
        for start in range(len(words))
        for end in range(start + 1, start + 1 + _MAX_WORDS)
    )


def _words(name: str) -> list[str]:
    visible = "".join(character for character in name if unicodedata.category(character) not in ("Cf", "Mn"))
    return [word.lower() for word in _WORD.findall(unicodedata.normalize("NFKC", visible))]
