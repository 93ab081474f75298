"""Who may open something with a KMS key, as its key policy says.

The elements of a policy: AWS IAM User Guide, "IAM JSON policy elements reference".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

# Re-encrypting moves a data key under another key, whose owner then opens it.
_OPENS: Final = ("kms:decrypt", "kms:reencryptfrom")
_ACCOUNT: Final = re.compile(r"\d{12}|arn:[\w-]+:iam::\d{12}:root")


@dataclass(frozen=True, slots=True)
class KeyUser:
    """A principal in a statement of a key policy that is about opening.

    :param is_account: the policy leaves the choice to the IAM policies of this account
    :param is_allowed: False for a statement that denies
    :param condition: of the statement, as AWS writes it; empty if there is none
    """

    principal: str
    is_account: bool
    is_allowed: bool
    condition: Mapping[str, Any]


def key_users(policy: str) -> Iterator[KeyUser]:
    """Everybody whom the policy allows or denies to decrypt, in its order."""
    for statement in _listed(json.loads(policy)["Statement"]):
        if not _is_about_opening(statement):
            continue
        for principal in _principals(statement):
            yield KeyUser(
                principal=principal,
                is_account=bool(_ACCOUNT.fullmatch(principal)),
                is_allowed=statement["Effect"] == "Allow",
                condition=statement.get("Condition", {}),
            )


def _is_about_opening(statement: Mapping[str, Any]) -> bool:
    if "NotAction" in statement:
        return not all(_matches(statement["NotAction"], action) for action in _OPENS)
    return any(_matches(statement["Action"], action) for action in _OPENS)


def _matches(patterns: str | list[str], action: str) -> bool:
    """True if one of the patterns, in which * and ? stand for what they do in a shell, is of this action."""
    translated = (re.escape(each.lower()).replace(r"\*", ".*").replace(r"\?", ".") for each in _listed(patterns))
    return any(re.fullmatch(each, action) for each in translated)


def _principals(statement: Mapping[str, Any]) -> Iterator[str]:
    if "NotPrincipal" in statement:
        yield f"everybody but {', '.join(_named(statement['NotPrincipal']))}"
    else:
        yield from _named(statement["Principal"])


def _named(principal: str | Mapping[str, Any]) -> list[str]:
    if isinstance(principal, str):
        return [principal]
    return [name for names in principal.values() for name in _listed(names)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
