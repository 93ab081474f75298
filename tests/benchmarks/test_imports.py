"""What an import asks of SQL and of AWS: by the batch, and not by the row."""

import math
from collections import Counter
from contextlib import ExitStack

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from tests.cards import CANARY_BIN, with_check_digit
from tests.wire import Wire
from vault.backend import current_vault
from vault.conf import Materials
from vault.importing.running import BATCH
from vault.models import Card

#: Rows of cards in one statement of SQLite.
VALUES = 999 // len(Card._meta.concrete_fields)
pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(settings, vault_settings, tmp_path):
    """Gives what an import of so many rows asks for: statements of SQL, calls of KMS and of DynamoDB."""
    settings.VAULT = settings.VAULT | {"MATERIALS": Materials.REUSED.value}
    wire = Wire(current_vault())
    first = 0

    def run(rows):
        nonlocal first
        numbers = [with_check_digit(f"{CANARY_BIN}{number:07d}") for number in range(first, first + rows)]
        first += rows
        path = tmp_path / f"{first}.csv"
        path.write_text("\n".join(["number", *numbers]))
        wire.calls.clear()
        with ExitStack() as stack:
            logs = [stack.enter_context(CaptureQueriesContext(each)) for each in connections.all()]
            call_command("vault_import", path, output=tmp_path / f"{first}.tokens.csv", events=tmp_path / "events")
        kinds = Counter(query["sql"].split()[0] for log in logs for query in log)
        kms = sum(wire.calls[name] for name in ("GenerateDataKey", "Decrypt"))
        return sum(kinds[kind] for kind in ("SELECT", "INSERT", "UPDATE")), kms, wire.calls.total() - kms

    # The first makes what the others find: the fingerprint key and the data key.
    run(1)
    return run


def test_a_batch_of_an_import_asks_no_more_than_it_did(asked):
    one, two = asked(BATCH), asked(2 * BATCH)
    # Two events, one look for rows, and their insert, in which SQLite takes no more than 999 values.
    statements = 3 + (math.ceil(BATCH / VALUES) if connection.vendor == "sqlite" else 1)
    # Looks for 100 fingerprints each, and transactions of 50 cards.
    calls = math.ceil(BATCH / 100) + math.ceil(BATCH / 50)
    assert (two[0] - one[0], two[1], two[2]) == (statements, 0, 2 * calls)
    # An event at the beginning and one at the end.
    assert one == (statements + 2, 0, calls)
