"""The templates of deploy/cloudformation as data: functions in their long form, as AWS reads them."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.deploy import policies

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "cloudformation"


@cache
def order() -> list[str]:
    """The stacks in the order in which they are made."""
    listed = subprocess.run([ROOT / "deploy" / "stacks", "list"], check=True, capture_output=True, text=True)
    return listed.stdout.split()


@cache
def template(stack: str) -> dict:
    """One of them. Not to be changed: it is the same for every test."""
    return _with_lists(policies.template(f"{stack}.yaml"))


def _with_lists(value: object) -> object:
    """The same with the short form of GetAtt as its long one."""
    if isinstance(value, list):
        return [_with_lists(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: each.split(".", 1) if key == "Fn::GetAtt" and isinstance(each, str) else _with_lists(each)
        for key, each in value.items()
    }


def resources(kind: str) -> list[tuple[str, str, dict]]:
    """Every resource of a type: its stack, its name in it and its properties."""
    return [
        (stack, name, resource["Properties"])
        for stack in order()
        for name, resource in template(stack)["Resources"].items()
        if resource["Type"] == kind
    ]


def walk(value: object) -> Iterator[dict]:
    """Every mapping in a value, from the outside in."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from walk(each)
    elif isinstance(value, list):
        for each in value:
            yield from walk(each)


def listed(value: object) -> list:
    return value if isinstance(value, list) else [value]
