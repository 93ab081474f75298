"""What is asked of AWS for a card. A number that grows here is paid for with every card, so it is never a surprise."""

import pytest

from benchmarks.costs import counted, storage, table
from benchmarks.counting import item_size
from vault.conf import Materials

CARDS = 200
#: KMS and DynamoDB calls, units read and written, for so many cards.
PER_ITEM = {
    "keep a new card": (200, 400, 200, 800),
    "keep a new card, 100 at once": (200, 6, 200, 800),
    "recognize a known card": (0, 200, 200, 0),
    "read a card": (200, 200, 200, 0),
    "read a card, 100 at once": (200, 2, 200, 0),
    "remove a card": (0, 600, 400, 800),
}
REUSED = PER_ITEM | {
    "keep a new card": (1, 400, 200, 800),
    "keep a new card, 100 at once": (1, 6, 200, 800),
    "read a card": (1, 200, 200, 0),
    "read a card, 100 at once": (1, 2, 200, 0),
}


@pytest.mark.parametrize(
    ("materials", "expected"), [(Materials.PER_ITEM, PER_ITEM), (Materials.REUSED, REUSED)], ids=str
)
@pytest.mark.django_db
def test_a_card_asks_no_more_of_aws_than_it_did(materials, expected):
    costs, written = counted(materials, CARDS)

    found = {each.name: each.counts for each in costs}
    assert {
        name: (each.kms, each.dynamodb, each.read_units, each.write_units) for name, each in found.items()
    } == expected
    # DynamoDB bills the KB that is begun.
    assert all(written.item_bytes[kind] / written.items[kind] < 1024 for kind in ("card", "fingerprint"))


@pytest.mark.django_db
def test_dollars_follow_from_what_was_counted():
    costs, written = counted(Materials.PER_ITEM, 2)

    keeping = costs[0]
    # One KMS request, one unit read and four written, each a million times.
    assert keeping.dollars == pytest.approx(3.00 + 0.125 + 2.50)
    assert keeping.trail_dollars == pytest.approx(2.00)
    assert "| keep a new card | 1 | 2 | 1 | 4 | $5.62 | $2.00 |" in table(Materials.PER_ITEM, costs)
    assert "a month" in storage(written)


def test_an_item_is_as_large_as_dynamodb_says():
    # Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats".
    assert item_size({"token": {"S": "é"}, "n": {"N": "1234"}, "b": {"B": "AAAA"}}) == (5 + 2) + (1 + 3) + (1 + 3)
