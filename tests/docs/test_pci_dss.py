"""docs/pci-dss.md has every requirement of the list, each with tests that are there; docs/evidence.md every file."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from billing.pci import evidence
from billing.pci.requirements import NOT_PROVEN, PROVEN_BY
from tests.docs.tables import problems, rows

TABLE = list(rows("docs/pci-dss.md", "requirement", "tests"))
DOCS = settings.BASE_DIR / "docs"


def test_every_requirement_of_the_list_is_there_once():
    assert [row["requirement"] for row in TABLE] == sorted([*PROVEN_BY, *NOT_PROVEN], key=evidence._in_order)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["requirement"])
def test_every_row_names_tests_that_are_there(row):
    assert problems(row["tests"]) == []
    assert row["what the product does"]
    assert row["what stays yours"]


def test_every_row_names_the_files_of_the_evidence_that_prove_it():
    for row in TABLE:
        files = re.findall(r"`([\w.-]+\.jsonl?)`", row["evidence"])
        assert tuple(files) == PROVEN_BY.get(row["requirement"], ()), row["requirement"]


def test_every_file_of_the_evidence_is_explained():
    named = {row["file"].strip("`") for row in rows("docs/evidence.md", "file", "how to check it")}
    assert named == {*evidence._OF_PERIOD, *evidence._OF_NOW, evidence._LINES, evidence.INDEX, "SHA256SUMS"}


@pytest.mark.parametrize("name", ["pci-dss.md", "evidence.md"])
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#:]+)\)", (DOCS / name).read_text()):
        assert Path(DOCS / target).exists(), target
