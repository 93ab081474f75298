"""What every command does with what was typed."""

from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from tests.cards import NUMBERS
from vault.management import commands

NUMBER = NUMBERS["visa"][0]
NAMES = sorted(path.stem for path in Path(commands.__path__[0]).glob("vault_*.py"))


def said(name, *arguments, capsys):
    """The code that a command ended with, and what it said on stderr."""
    with pytest.raises(SystemExit) as ended:
        load_command_class(get_commands()[name], name).run_from_argv(["manage.py", name, *arguments])
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_understood_is_no_finding_and_repeats_no_number(name, capsys):
    code, text = said(name, "--frobnicate", NUMBER, NUMBER, capsys=capsys)
    # 2 is what many of them end with when something is left to do.
    assert code == 1
    assert text
    assert NUMBER[:9] not in text
    assert NUMBER[-8:] not in text


@pytest.mark.parametrize("name", NAMES)
def test_help_is_no_failure(name, capsys):
    assert said(name, "--help", capsys=capsys)[0] in {0, None}
