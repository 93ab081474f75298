"""The policies in the templates of deploy/cloudformation, with every reference resolved."""

import re
from functools import partial
from pathlib import Path

import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "cloudformation"
ACCOUNT, REGION = "000000000000", "eu-central-1"
VALUES = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "Name": "billing"}


class _Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions as their long ones."""


def _function(loader, suffix, node):
    read = {yaml.ScalarNode: loader.construct_scalar, yaml.MappingNode: partial(loader.construct_mapping, deep=True)}
    value = read.get(type(node), partial(loader.construct_sequence, deep=True))(node)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _function)


def template(name):
    """A template as it is written."""
    return yaml.load((FOLDER / name).read_text(), _Loader)  # noqa: S506 - a safe loader with functions


def resolved(node, values=VALUES):
    """A part of a template with its references resolved. Raises `KeyError` for what is not in `values`."""
    if isinstance(node, list):
        return [resolved(each, values) for each in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1:
        ((name, given),) = node.items()
        if name == "Ref" or name.startswith("Fn::"):
            return _FUNCTIONS[name](given, values)
    return {key: resolved(value, values) for key, value in node.items()}


def _substituted(given, values):
    text, own = (given, {}) if isinstance(given, str) else given
    known = values | {name: resolved(value, values) for name, value in own.items()}
    return re.sub(r"\$\{([^!}]+)\}", lambda found: known[found[1]], text)


_FUNCTIONS = {
    "Ref": lambda given, values: values[given],
    "Fn::ImportValue": lambda given, values: values[resolved(given, values)],
    "Fn::Join": lambda given, values: given[0].join(resolved(given[1], values)),
    "Fn::Sub": _substituted,
}


def role_policies(values=VALUES):
    """The policies of each role in roles.yaml, by its name without the prefix."""
    resources = template("roles.yaml")["Resources"]
    managed = {
        name: resolved(each["Properties"]["PolicyDocument"], values)
        for name, each in resources.items()
        if each["Type"] == "AWS::IAM::ManagedPolicy"
    }
    roles = {}
    for each in resources.values():
        if each["Type"] == "AWS::IAM::Role":
            properties = each["Properties"]
            name = resolved(properties["RoleName"], values).removeprefix(f"{values['Name']}-")
            attached = [managed[one["Ref"]] for one in properties.get("ManagedPolicyArns", [])]
            own = [resolved(one["PolicyDocument"], values) for one in properties.get("Policies", [])]
            roles[name] = attached + own
    return roles
