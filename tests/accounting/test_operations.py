"""What a seed draws, and the numbers behind the labels."""

from collections import Counter

import pytest

from tests.accounting.canaries import digits_of
from tests.accounting.operations import WEIGHTS, draw, labels_of, share
from tests.cards import CANARY_BIN
from vault.pan import PAN


def test_a_seed_draws_the_same_again_and_another_seed_does_not():
    first = [draw("one", 1, number, workers=4) for number in range(50)]
    assert [draw("one", 1, number, workers=4) for number in range(50)] == first
    assert [draw("two", 1, number, workers=4) for number in range(50)] != first
    assert [draw("one", 2, number, workers=4) for number in range(50)] != first


def test_every_kind_is_drawn_and_one_worker_alone_rotates():
    drawn = [Counter(draw("one", slot, number, workers=2).kind for number in range(2000)) for slot in range(2)]
    assert drawn[0].keys() == {*WEIGHTS, "rotate"}
    assert "rotate" not in drawn[1]


@pytest.mark.parametrize(("operations", "workers"), [(10, 4), (4, 4), (3, 4), (10_000, 7)])
def test_all_operations_are_somebodys(operations, workers):
    assert sum(share(operations, slot, workers) for slot in range(workers)) == operations


def test_two_labels_have_two_numbers_and_each_is_a_card():
    numbers = [digits_of("one", label) for label in range(5000)]
    assert len(set(numbers)) == len(numbers)
    assert {PAN(digits).brand.value for digits in numbers} == {"visa"}


def test_bin_and_last_four_of_one_card_are_no_part_of_another():
    numbers = [digits_of("one", label) for label in sorted(labels_of("one", 400, 4))]
    side_by_side = [f"{CANARY_BIN}{digits[-4:]}" for digits in numbers]
    assert not [digits for digits in numbers if f"{CANARY_BIN}{digits[-4:]}".endswith(digits[-7:])]
    # The shortest part that counts as a leak of the first ten, and of the others.
    parts = {part[start : start + 9] for part in side_by_side for start in range(4)}
    assert not [digits for digits in numbers if any(digits[start : start + 9] in parts for start in range(8))]
