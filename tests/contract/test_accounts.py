"""The API keeps to its description, whoever asks: all checks and all phases of schemathesis."""

import pytest

from tests.cards import ALL_NUMBERS
from tests.contract.accounts import ALL_RIGHTS, KINDS, MAY, READERS, credentials_of, make_account
from tests.contract.harness import explore
from tests.contract.stock import Stock
from tests.factories import make_user

pytestmark = [
    pytest.mark.either,
    pytest.mark.django_db,
    # Of hypothesis, when it explains itself about a large strategy.
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]


@pytest.fixture
def many(settings, vault_settings):
    """Budgets and limits that nobody meets here: they have tests of their own."""
    settings.VAULT = vault_settings | {"READ_BUDGET": 10**6, "SEARCH_BUDGET": 10**6, "API_LIMITS": {"*": 10**6}}


@pytest.fixture
def watched(leaks):
    """Every number that is sent, as the scanner of leaks knows it."""
    for digits in ALL_NUMBERS:
        leaks.watch(digits, label=f"card {digits[-4:]}")
    return leaks


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_found(kind, many, watched):
    if kind in READERS:
        for digits in ALL_NUMBERS:
            reason = "Reading numbers is this account's right; `no_card_number` looks at its other answers."
            watched.allow(f"card {digits[-4:]}", sink="http", reason=reason)
    account = make_account(kind)
    stock = Stock(account, make_user("somebody"))
    report = explore(headers=credentials_of(account), examples=10 if kind == ALL_RIGHTS else 3, stock=stock)
    assert not report.found, str(report)
    # Neither more than it may, nor was any of that left out: then the checks would have seen errors alone.
    assert report.succeeded == {operation for operation, kinds in MAY.items() if kind in kinds}
