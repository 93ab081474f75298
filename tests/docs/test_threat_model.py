"""docs/threat-model.md has every trial, each with tests that are there or the reason why there is none."""

import re

import pytest

from tests.docs.tables import ROOT, problems, rows

TABLE = list(rows("docs/threat-model.md", "row", "what is guaranteed", "tests"))
TRIALS = [f"{part}{number}" for part, last in (("A", 16), ("B", 11), ("C", 5)) for number in range(1, last + 1)]


def test_every_trial_is_there_once():
    listed = [row["row"] for row in TABLE]
    assert [row for row in listed if re.fullmatch(r"[ABC]\d+", row)] == TRIALS
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["row"])
def test_every_row_says_what_is_guaranteed_and_which_tests_show_it(row):
    assert problems(row["tests"]) == []
    assert row["what is guaranteed"]


def test_links_lead_somewhere():
    text = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / "docs" / target).exists(), target
