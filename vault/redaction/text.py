"""Finds card numbers in text: to refuse them where they do not belong, and to mask them in logs.

Two questions, two answers. `contains_pan` refuses what a person typed, so it must not mistake a tracking number for a
card. `redact` writes logs, where a number masked too many costs nothing, so it needs no known brand and knows fewer
excuses. What one finds the other masks: `contains_pan(redact(text))` is always false.
"""

from __future__ import annotations

import html
import logging
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final
from urllib.parse import unquote

from vault.pan import MAX_DIGITS, MIN_DIGITS, Brand, brand_and_lengths, mask

def contains_pan(text: str) -> bool:
    """True if a card number stands in `text`, whatever separates, encodes or surrounds its digits.

    It is one if it has the length that a known brand issues and satisfies Luhn. UUIDs, tokens, digests, dates,
    timestamps, decimals, E.164 phone numbers, IBANs, EAN-13 and parcel numbers are not mistaken for one, nor are more
    than 19 digits in one piece. One order number of 16 digits in ten, if it is in the range of a brand, cannot be told
    from a card number by anyone: it is refused.
    """
    return _contains_pan(text) or (_ESCAPE.search(text) is not None and _contains_pan(_unescaped(text)[0]))


def _contains_pan(text: str) -> bool:
    folded = text if text.isascii() else text.translate(_FOLDING)
    if not _is_possible(folded):
        return False
    folded = _IBAN.sub(_blank_iban, _PARCEL.sub(_blank, _OPAQUE.sub(_blank, folded)))
    return any(
        candidate.is_branded
        and not _is_article_number(candidate.digits)
        and not _is_phone_number(candidate)
        and not _FRACTION.search(folded[max(candidate.start - _FRACTION_REACH, 0) : candidate.start])
        for run in _runs(folded)
        for candidate in run.candidates()
    )


def _is_phone_number(candidate: _Candidate) -> bool:
    return candidate.follows_plus and len(candidate.digits) <= _PHONE_DIGITS


_Span = tuple[int, int, str]


def redact(text: str) -> str:
    """`text` with at most the last four digits left of whatever could be a card number.

    Takes any string, never raises, and a second time changes nothing.
    """
    text = _masked(text, _spans(text))
    if _ESCAPE.search(text):
        unescaped, starts, ends = _unescaped(text)
        text = _masked(text, [(starts[start], ends[end - 1], last4) for start, end, last4 in _spans(unescaped)])
    return text


def _spans(text: str) -> list[_Span]:
    folded = text if text.isascii() else text.translate(_FOLDING)
    if not _is_possible(folded):
        return []
    spans = []
    for run in _runs(_OPAQUE.sub(_blank, folded)):
        for candidate in (*run.candidates(), *run.inner_candidates()):
            # Zeros alone satisfy Luhn and are nobody's card.
            if candidate.digits.strip("0"):
                spans.append((candidate.start, candidate.end, candidate.digits[-4:]))
    return spans


def _masked(text: str, spans: list[_Span]) -> str:
    pieces = []
    position = 0
    for start, end, last4 in _merged(spans):
        pieces += text[position:start], f"[card {mask(last4)}]"
        position = end
    return "".join((*pieces, text[position:]))


def _merged(spans: list[_Span]) -> list[_Span]:
    """Overlapping candidates as one: to choose among them could leave half a card number behind."""
    merged: list[_Span] = []
    for start, end, last4 in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]), last4)
        else:
            merged.append((start, end, last4))
    return merged
