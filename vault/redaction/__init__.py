"""Card numbers in text: refused where they do not belong, masked in logs.

`contains_pan` refuses what a person typed, so it must not mistake a tracking number for a card. `redact` writes logs,
where a number masked too many costs nothing: it needs no known brand and takes fewer excuses. What one finds the other
masks, so `contains_pan(redact(text))` is always false.
"""

from vault.redaction.keys import is_forbidden_key
from vault.redaction.logs import RedactingFilter, redact_data
from vault.redaction.text import FoundPAN, contains_pan, find_pans, redact

__all__ = [
    "FoundPAN",
    "RedactingFilter",
    "contains_pan",
    "find_pans",
    "is_forbidden_key",
    "redact",
    "redact_data",
]
