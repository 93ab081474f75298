"""The API keeps to its description, whoever asks: all checks and all phases of schemathesis."""

import pytest

from tests.contract.accounts import ALL_RIGHTS, KINDS, credentials_of, make_account
from tests.contract.harness import explore
from tests.contract.stock import Stock
from tests.factories import make_user

pytestmark = [
    pytest.mark.django_db,
    # Of hypothesis, when it explains itself about a large strategy.
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]


@pytest.fixture
def many(settings, vault_settings):
    """Budgets and limits that nobody meets here: they have tests of their own."""
    settings.VAULT = vault_settings | {"READ_BUDGET": 10**6, "SEARCH_BUDGET": 10**6, "API_LIMITS": {"*": 10**6}}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_found(kind, many):
    account = make_account(kind)
    stock = Stock(account, make_user("somebody"))
    report = explore(headers=credentials_of(account), examples=10 if kind == ALL_RIGHTS else 3, stock=stock)
    assert not report.found, str(report)
