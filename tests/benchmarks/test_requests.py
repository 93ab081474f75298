"""What a request of the API asks of SQL and of AWS. A number that grows here is waited for with every request."""

import itertools
from collections import Counter
from contextlib import ExitStack

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from tests.cards import CANARY_BIN, with_check_digit
from tests.factories import client_of, make_card, make_user
from tests.wire import Wire
from vault.backend import current_vault
from vault.conf import Materials

pytestmark = pytest.mark.django_db
ORDER = {"name": "Jug", "amount": "24.90", "currency": "EUR"}
READING = {"purpose": "settlement", "reason": "monthly"}
RIGHTS = ("orders.add_order", "vault.tokenize_pan", "vault.detokenize_pan", "vault.detokenize_unattended")


@pytest.fixture
def numbers():
    return (with_check_digit(f"{CANARY_BIN}{number:07d}") for number in itertools.count())


@pytest.fixture
def materials():
    return Materials.PER_ITEM


@pytest.fixture
def ask(settings, vault_settings, materials, numbers):
    """Gives what a request asks for: statements of SQL, calls of KMS and of DynamoDB."""
    settings.VAULT = settings.VAULT | {"READ_BUDGET": 10_000, "MATERIALS": materials.value}
    wire = Wire(current_vault())
    api = client_of(make_user("shop", *RIGHTS))
    # The first of each makes what the others find: the fingerprint key, the counter of a limit, the use of a token.
    api.post("/api/v1/tokens/batch/", {"rows": [{"pan": next(numbers)}]})
    api.post("/api/v1/orders/", ORDER | {"pan": next(numbers)})
    api.post("/api/v1/tokens/detokenize/", READING | {"tokens": [make_card(next(numbers)).token]})

    def asked(path, body):
        wire.calls.clear()
        with ExitStack() as stack:
            logs = [stack.enter_context(CaptureQueriesContext(each)) for each in connections.all()]
            answer = api.post(path, body)
        assert answer.status_code in {200, 201}, answer.text
        return statements(logs), *calls(wire)

    return asked


def statements(logs):
    kinds = Counter(query["sql"].split()[0] for log in logs for query in log)
    return sum(kinds[kind] for kind in ("SELECT", "INSERT", "UPDATE", "DELETE"))


def calls(wire):
    kms = sum(wire.calls[name] for name in ("GenerateDataKey", "Decrypt"))
    return kms, wire.calls.total() - kms


def test_an_order_with_a_new_card_asks_no_more_than_it_did(ask, numbers):
    assert ask("/api/v1/orders/", ORDER | {"pan": next(numbers)}) == (10, 1, 2)


@pytest.mark.parametrize(("materials", "kms"), [(Materials.PER_ITEM, 1), (Materials.REUSED, 0)], ids=str)
def test_a_batch_of_cards_asks_no_more_than_it_did(ask, numbers, kms):
    few, many = (
        ask("/api/v1/tokens/batch/", {"rows": [{"pan": next(numbers)} for _ in range(size)]}) for size in (10, 100)
    )
    # SQLite takes no more than 999 values in a statement.
    inserts = 2 if connection.vendor == "sqlite" else 1
    # 100 cards with their fingerprints are two transactions of DynamoDB.
    assert (few, many) == ((7, 10 * kms, 2), (6 + inserts, 100 * kms, 3))


def test_a_batch_of_readings_asks_no_more_than_it_did(ask, numbers):
    tokens = [make_card(next(numbers)).token for _ in range(100)]
    few, many = (ask("/api/v1/tokens/detokenize/", READING | {"tokens": tokens[:size]}) for size in (10, 100))
    assert (few, many) == ((9, 10, 1), (9, 100, 1))
