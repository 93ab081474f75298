"""What is asked of a text: does a card number stand in it, where, and what is left without them."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from vault.pan import Brand, brand_and_lengths, mask
from vault.redaction.candidates import Candidate, has_enough_digits, runs
from vault.redaction.reading import fold, has_escapes, unescape
from vault.redaction.shapes import hide_accounts_and_parcels, hide_opaque, is_article_number, is_fraction

_PHONE_DIGITS: Final = 15  # ITU-T E.164

_Span = tuple[int, int, str]


class FoundPAN(NamedTuple):
    """Where in a text a card number stands, and all that may be said of it."""

    start: int
    end: int
    brand: Brand
    last4: str


def contains_pan(text: str) -> bool:
    """Tell whether a card number stands in `text`, whatever separates, encodes or surrounds its digits.

    It is one if it has a length that a known brand issues and satisfies Luhn, or stands as on a magnetic stripe. UUIDs,
    tokens, digests, dates, timestamps, decimals, E.164 phone numbers, IBANs, EAN-13 and parcel numbers are not mistaken
    for one, nor are more than 19 digits in one piece. Nobody can tell an order number of 16 digits from a card number
    if it happens to be in the range of a brand and to satisfy Luhn, as one in ten does: it is refused.
    """
    return any(_pans(text)) or (has_escapes(text) and any(_pans(unescape(text)[0])))


def find_pans(text: str) -> list[FoundPAN]:
    """Every card number for which `contains_pan` is true, in order; those that overlap are one."""
    found = [FoundPAN(each.start, each.end, *_brand_and_last4(each)) for each in _pans(text)]
    if has_escapes(text):
        plain, starts, ends = unescape(text)
        found += [FoundPAN(starts[each.start], ends[each.end - 1], *_brand_and_last4(each)) for each in _pans(plain)]
    found.sort(key=lambda each: (each.start, -each.end))
    apart: list[FoundPAN] = []
    for each in found:
        if not apart or each.start >= apart[-1].end:
            apart.append(each)
    return apart


def _brand_and_last4(candidate: Candidate) -> tuple[Brand, str]:
    return brand_and_lengths(candidate.digits)[0], candidate.digits[-4:]


def _pans(text: str) -> Iterator[Candidate]:
    text = fold(text)
    if not has_enough_digits(text):
        return
    text = hide_accounts_and_parcels(hide_opaque(text))
    for run in runs(text):
        yield from (candidate for candidate in run.candidates() if _is_pan(candidate, text))


def _is_pan(candidate: Candidate, text: str) -> bool:
    return _is_on_track(candidate, text) or (
        candidate.is_of_known_brand()
        and not is_article_number(candidate.digits)
        and not _is_phone_number(candidate, text)
        and not is_fraction(text, candidate.start)
    )


def _is_on_track(candidate: Candidate, text: str) -> bool:
    """Tell whether it stands as on a magnetic stripe (ISO/IEC 7813): then it is a card's, of whatever brand."""
    before, after = text[max(candidate.start - 2, 0) : candidate.start], text[candidate.end : candidate.end + 1]
    return (after == "^" and before.upper() == "%B") or (after == "=" and before.endswith(";"))


def _is_phone_number(candidate: Candidate, text: str) -> bool:
    return len(candidate.digits) <= _PHONE_DIGITS and text[max(candidate.start - 1, 0) : candidate.start] == "+"


def redact(text: str) -> str:
    """`text` with at most the last four digits left of whatever could be a card number.

    Takes any string, never raises, and changes nothing the second time.
    """
    text = _masked(text, _spans(text))
    if has_escapes(text):
        plain, starts, ends = unescape(text)
        text = _masked(text, [(starts[start], ends[end - 1], last4) for start, end, last4 in _spans(plain)])
    return text


def _spans(text: str) -> list[_Span]:
    text = fold(text)
    if not has_enough_digits(text):
        return []
    return [
        (candidate.start, candidate.end, candidate.digits[-4:])
        for run in runs(hide_opaque(text))
        for candidate in (*run.candidates(), *run.inner_candidates())
        # Zeros alone satisfy Luhn and are nobody's card.
        if candidate.digits.strip("0")
    ]


def _masked(text: str, spans: list[_Span]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end, last4 in _merged(spans):
        pieces += text[position:start], f"[card {mask(last4)}]"
        position = end
    return "".join((*pieces, text[position:]))


def _merged(spans: list[_Span]) -> list[_Span]:
    """Candidates that overlap become one: to choose among them could leave half a card number behind."""
    merged: list[_Span] = []
    for start, end, last4 in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]), last4)
        else:
            merged.append((start, end, last4))
    return merged
