"""Which card numbers are taken at all: outside production those of published test ranges alone (PCI DSS 6.5.5)."""

from __future__ import annotations

from collections.abc import Iterable

from vault.conf import vault_config
from vault.exceptions import InvalidPAN, PANProblem
from vault.pan import PAN
from vault.testcards import is_test_card


def accept(text: str) -> PAN:
    """The card number that somebody typed or sent. Raises `InvalidPAN`, for a real one as well where none belongs."""
    pan = PAN(text)
    refuse_real([pan])
    return pan


def refuse_real(pans: Iterable[PAN]) -> None:
    """Return if these numbers may be kept here. Raises `InvalidPAN` if one is not for tests and has to be."""
    if vault_config().TEST_CARDS_ONLY and not all(is_test_card(pan) for pan in pans):
        raise InvalidPAN(PANProblem.REAL)
