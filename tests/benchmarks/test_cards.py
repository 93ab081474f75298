"""What many cards at once ask of AWS and of SQL: a figure that grows here is paid for with every import."""

import re
from contextlib import ExitStack
from decimal import Decimal

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from benchmarks.counting import Counts
from orders.models import Order
from tests.cards import CANARY_BIN, with_check_digit
from tests.factories import make_user
from vault import backend, services
from vault.conf import vault_config
from vault.pan import PAN

pytestmark = pytest.mark.django_db(databases=["default", "audit"])
CARDS = 300
#: SQLite takes an INSERT of many rows in pieces, and they stand between savepoints.
SAVEPOINTS = {"sqlite": 2, "mysql": 0}[connections["default"].vendor]
#: Queries: the rows of the cards, and an audit event before and after.
KEEPING = 3 + SAVEPOINTS
#: What is known of the cards, their use between savepoints, and the two events.
FINDING = 6
#: The right, the cards, the budget between the two events, and a pair of events for the data key that KMS unwraps.
OPENING = 8
#: As keeping, and the orders.
BULK_CREATING = 4 + SAVEPOINTS


@pytest.fixture
def counts(settings):
    """Of a process that has just started, and has opened the vault."""
    settings.VAULT = settings.VAULT | {"MATERIALS": "reused", "READ_BUDGET": 10_000, "TEST_CARDS_ONLY": False}
    vault = backend.Vault(vault_config())
    counts = Counts()
    counts.listen(vault.session.botocore)
    backend._vaults[vault_config()] = vault
    _ = vault.store
    counts.forget()
    return counts


def numbers(count):
    return [PAN(with_check_digit(f"{CANARY_BIN}{number:07d}")) for number in range(count)]


def queries(run):
    """How often SQL was asked. An INSERT of many rows is one, though SQLite takes it in pieces."""
    with ExitStack() as stack:
        captured = [stack.enter_context(CaptureQueriesContext(connections[alias])) for alias in ("default", "audit")]
        run()
    asked = [each["sql"] for queries in captured for each in queries]
    tables = [match[1] for sql in asked if (match := re.match(r"INSERT INTO .(vault_card|orders_order)\b", sql))]
    return len(asked) - len(tables) + len(set(tables))


def test_keeping_many_cards(counts):
    asked = queries(lambda: services.tokenize_many(numbers(CARDS)))
    # A BatchGetItem for a hundred, a transaction for fifty.
    assert (counts.kms, counts.dynamodb) == (1, 3 + 6)
    assert asked == KEEPING


def test_finding_many_known_cards(counts):
    pans = numbers(CARDS)
    services.tokenize_many(pans)
    counts.forget()
    asked = queries(lambda: services.tokenize_many(pans))
    assert (counts.kms, counts.dynamodb) == (0, 3)
    assert asked == FINDING


def test_opening_many_cards(counts):
    actor = make_user("reader", "vault.detokenize_pan", "vault.detokenize_unattended")
    tokens = [kept.token for kept in services.tokenize_many(numbers(CARDS))]
    counts.forget()
    asked = queries(lambda: services.detokenize_many(tokens, actor=actor, purpose="settlement: orders of today"))
    assert (counts.kms, counts.dynamodb) == (1, 3)
    assert asked == OPENING


def test_bulk_creating_orders_with_new_cards(counts):
    customer = make_user()
    orders = [
        Order(customer=customer, name="Jug", amount=Decimal("24.90"), currency="EUR", card=pan)
        for pan in numbers(CARDS)
    ]
    asked = queries(lambda: Order.objects.bulk_create(orders))
    assert (counts.kms, counts.dynamodb) == (1, 3 + 6)
    assert asked == BULK_CREATING
