"""Fixtures of every test."""

import itertools
import random
from collections.abc import Callable

import pytest

from tests.cards import CANARY_BIN, with_check_digit
from tests.vaults import any_vault, provisioned_folder, vault, vault_settings
from tests.wire import wire

__all__ = ["any_vault", "canary", "provisioned_folder", "vault", "vault_settings", "wire"]


@pytest.fixture
def canary(request) -> Callable[[str], str]:
    """Draws card numbers that no other test uses; the label says where the number goes in."""
    numbers = itertools.count()

    def draw(label: str) -> str:
        source = random.Random(f"{request.node.nodeid} {label} {next(numbers)}")  # noqa: S311 - repeatable on purpose
        return with_check_digit(CANARY_BIN + "".join(source.choices("0123456789", k=7)))

    return draw
