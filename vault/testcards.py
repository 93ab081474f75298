"""The ranges in which card schemes and payment providers publish numbers for tests: no account stands behind any."""

from __future__ import annotations

from typing import Final

from vault.pan import PAN

# The first eight digits, which may stand in clear of any card. The last of Visa is that of the EMV test cards.
RANGES: Final = (
    *("40000000", "40128888", "41111111", "42222222", "42424242", "47617390"),
    *("22230031", "51051051", "55555555"),
    *("37144963", "37828224"),
    *("60110009", "60111111"),
    *("30569309", "36227206", "38520000"),
    *("35301113", "35660020"),
    *("62000000", "62400086", "62509410"),
    *("67596498", "67610000"),
)


def is_test_card(pan: PAN) -> bool:
    """True if the number is one of a published test range, so that nobody's card can be it."""
    # The digits are compared with constants, and go nowhere.
    return pan.expose().startswith(RANGES)
