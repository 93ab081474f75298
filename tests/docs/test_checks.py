"""docs/checks.md and the system checks, held against each other."""

import re
from pathlib import Path

from django.core.checks import CheckMessage

import billing.checks
import billing.start
import vault.checks

TEXT = (Path(__file__).parents[2] / "docs/checks.md").read_text()


def test_every_check_is_explained_and_none_that_is_not_there():
    constants = [*vars(billing.checks).values(), *vars(vault.checks).values()]
    ids = {each.id for each in constants if isinstance(each, CheckMessage)}
    assert set(re.findall(r"\b(?:billing|vault)\.[EW]\d{3}\b", TEXT)) == ids


def test_what_keeps_a_server_from_starting_is_marked():
    assert set(re.findall(r"^\| (\S+) `start` \|", TEXT, re.MULTILINE)) == billing.start._NEVER
