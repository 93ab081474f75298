"""The guide says what is so: its examples run, in order, against a server, and its table has every kind of error."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from django.urls import get_resolver

from orders.management.commands.demo import SHOP_RIGHTS
from tests.cards import NUMBERS
from tests.factories import make_user, token_of
from tests.leaks import Sink
from vault import problems

GUIDE = Path("docs/api.md").read_text()
BLOCK = re.compile(r"<!-- run(?:: (\w+))? -->\n+```(\w+)\n(.*?)```(?:\n+```json\n(.*?)```)?", re.DOTALL)
LABEL = "card of the guide"


def shape(value):
    """What there is, without what it says: the names of objects, all the way down, in one element of each list."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


@pytest.fixture
def account():
    """As `make run` makes one: whoever follows the guide on a laptop has no other."""
    return make_user("shop", *SHOP_RIGHTS)


@pytest.fixture
def environment(live_server, account, leaks):
    leaks.watch(NUMBERS["visa"][0], label=LABEL)
    leaks.allow(LABEL, sink=Sink.HTTP, reason="the guide sends it")
    return {"API": f"{live_server.url}/api/v1", "TOKEN": token_of(account), "PATH": os.environ["PATH"]}


def run_shell(script, environment, card):
    # The guide says where the token comes from; a person would paste it.
    script = re.sub(r"CARD=tok1_\.\.\.", f"CARD={card}", script)
    done = subprocess.run(
        ["bash", "-ec", script], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


@pytest.mark.django_db(transaction=True)
def test_the_examples_run_in_order_and_answer_in_the_form_that_is_shown(environment, monkeypatch):
    for name in ("API", "TOKEN"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.syspath_prepend("clients/python")
    variables, answers, card = {}, {}, ""
    for name, language, code, shown in BLOCK.findall(GUIDE):
        if language == "python":
            exec(compile(code, "docs/api.md", "exec"), variables)  # noqa: S102 - it is ours
            continue
        answers[name] = run_shell(code, environment, card)
        card = card or answers["kept"]["token"]
        assert shape(answers[name]) == shape(json.loads(shown)), name
    variables["api"].close()
    assert answers.keys() == {"kept", "placed", "problem", "page"}
    assert answers["placed"]["card"]["token"] == card
    assert variables["cancelled"].json()["id"] == variables["order"]["id"]


def test_every_example_is_run():
    # The first line of all sets the variables.
    assert len(re.findall(r"```(?:sh|python)\n", GUIDE)) == len(BLOCK.findall(GUIDE)) + 1


def test_the_table_of_errors_has_every_kind_as_it_is():
    # A kind is there once the module that answers with it is.
    assert get_resolver().url_patterns
    table = GUIDE.split("<!-- kinds -->")[1].split("<!-- /kinds -->")[0]
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", table, re.MULTILINE)
    assert rows == [(str(kind.status.value), kind.code, kind.title) for kind in problems.kinds()]
