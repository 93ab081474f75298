"""One installation for every test of this folder: to set one up takes longer than to load it."""

import json

import pytest

from tests.processes import installed
from tests.servers import rows_of

# Nobody is held back here by what an account may do in a minute or an hour.
UNLIMITED = {
    "VAULT_READ_BUDGET": "10000000",
    "VAULT_API_LIMITS": json.dumps(dict.fromkeys(("*", "add_order", "tokenize_pan", "detokenize_pan"), 1_000_000)),
}


@pytest.fixture(scope="session")
def shop(tmp_path_factory, django_db_setup, django_db_blocker):
    """An installation that others have used before: count what is new, not what is there."""
    with django_db_blocker.unblock(), installed(tmp_path_factory.mktemp("shop"), **UNLIMITED) as made:
        yield made


@pytest.fixture
def added(shop):
    """How many orders, cards, records and items the shop has more than at the beginning of the test: `added()`."""
    before = rows_of(shop, COUNT)
    return lambda: {name: count - before[name] for name, count in rows_of(shop, COUNT).items()}


COUNT = """
import json
from orders.models import Order
from vault.backend import current_vault
from vault.models import Card
pages = current_vault().session.dynamodb().get_paginator("scan").paginate(TableName=current_vault().config.TABLE)
keys = [item["token"]["S"] for page in pages for item in page["Items"]]
records = sum(key.startswith("tok1_") for key in keys)
counts = {"orders": Order.objects.count(), "cards": Card.objects.count(), "records": records, "items": len(keys)}
print(json.dumps(counts))
"""
