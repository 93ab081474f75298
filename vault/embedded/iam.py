"""What IAM would say of a request: the part of its policy language that our templates use.

AWS IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements reference". What is not known here fails
closed: a statement that allows does not apply then, and one that denies does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Policy: TypeAlias = Mapping[str, Any]

# True, False, or None where that cannot be said.
_Verdict: TypeAlias = bool | None

_ELEMENTS: Final = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"},
)
# Keys of which a request says all there is to say, so that one it does not have is absent and not unknown.
_KEYS: Final = re.compile(
    r"aws:(resource|request)tag/.+|aws:tagkeys|aws:principalarn"
    r"|kms:encryptioncontext:.+|kms:encryptioncontextkeys|dynamodb:leadingkeys"
)
_FOR_ANY: Final = "ForAnyValue:"
_FOR_ALL: Final = "ForAllValues:"


@dataclass(frozen=True, slots=True)
class Request:
    """One action on one resource.

    :param context: the values of condition keys, the keys in lower case as IAM does not tell cases apart
    """

    action: str
    resource: str
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)


def is_allowed(policies: Iterable[Policy], request: Request) -> bool:
    """True if a statement allows the request and none denies it."""
    statements = [statement for policy in policies for statement in _listed(policy.get("Statement", []))]
    verdicts = [(statement.get("Effect"), _applies(statement, request)) for statement in statements]
    if any(effect != "Allow" and verdict is not False for effect, verdict in verdicts):
        return False
    return any(effect == "Allow" and verdict for effect, verdict in verdicts)


def _applies(statement: Mapping[str, Any], request: Request) -> _Verdict:
    parts = list(_parts(statement, request))
    if False in parts:
        return False
    return None if None in parts else True


def _parts(statement: Mapping[str, Any], request: Request) -> Iterator[_Verdict]:
    if not _ELEMENTS.issuperset(statement):
        yield None
    yield _is_about(statement, "Action", request.action.lower(), str.lower)
    yield _is_about(statement, "Resource", request.resource, str)
    for operator, given in statement.get("Condition", {}).items():
        for key, wanted in given.items():
            yield _holds(operator, request, key.lower(), [str(each) for each in _listed(wanted)])


def _is_about(statement: Mapping[str, Any], name: str, value: str, case: Callable[[str], str]) -> _Verdict:
    is_named, is_excluded = name in statement, f"Not{name}" in statement
    if is_named == is_excluded:
        return None
    found = _like([case(each) for each in _listed(statement[name if is_named else f"Not{name}"])], value)
    return found if found is None or is_named else not found


# --- Conditions -------------------------------------------------------------------------------------------------------


def _holds(operator: str, request: Request, key: str, wanted: Sequence[str]) -> _Verdict:
    quantifier = next((each for each in (_FOR_ANY, _FOR_ALL) if operator.startswith(each)), "")
    name = operator.removeprefix(quantifier)
    values = request.context.get(key, ())
    if operator == "Null" and _KEYS.fullmatch(key) and {"true", "false"}.issuperset(wanted):
        return any((each == "true") == (not values) for each in wanted)
    # Several values, and nothing said of whether one is enough.
    if name not in _OPERATORS or not _KEYS.fullmatch(key) or (len(values) > 1 and not quantifier):
        return None
    compare, is_negated = _OPERATORS[name]
    if not values:
        # Nothing is like anything: not equal holds, and so does what is asked of all values.
        return quantifier == _FOR_ALL or (is_negated and quantifier != _FOR_ANY)
    found = [compare(wanted, value) for value in values]
    if None in found:
        return None
    held = [bool(each) != is_negated for each in found]
    return all(held) if quantifier == _FOR_ALL else any(held)


def _equal(wanted: Sequence[str], value: str) -> _Verdict:
    return None if _has_variable(wanted) else value in wanted


def _like(patterns: Sequence[str], value: str) -> _Verdict:
    """Whether one of the patterns is of the value; * stands for any characters in them, and ? for one."""
    if _has_variable(patterns):
        return None
    translated = (re.escape(each).replace(r"\*", ".*").replace(r"\?", ".") for each in patterns)
    return any(re.fullmatch(each, value, re.DOTALL) for each in translated)


def _has_variable(patterns: Sequence[str]) -> bool:
    # ${aws:username} and the like: nobody here knows what they stand for.
    return any("${" in each for each in patterns)


_OPERATORS: Final[dict[str, tuple[Callable[[Sequence[str], str], _Verdict], bool]]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "ArnEquals": (_like, False),
    "ArnLike": (_like, False),
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
