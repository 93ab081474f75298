"""Condition expressions over top level attributes, compiled to a predicate on an item.

    condition  = term { OR term }            term    = factor { AND factor }
    factor     = NOT factor | primary        primary = ( condition ) | function | operand comparator operand
    function   = attribute_exists ( name ) | attribute_not_exists ( name )
    operand    = name | :value               comparator = "=" | "<>" | "<" | "<=" | ">" | ">="
    name       = #name | a bare name with an underscore

Other attribute names stand behind a #name alone. AWS reserves more than five hundred words, `token` and `status` among
them, so that a bare name accepted here could still be refused there; none of them has an underscore.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from vault.embedded.values import Item, Value, canonical_value, decode
from vault.embedded.wire import invalid

Condition = Callable[[Item], bool]
_Operand = Callable[[Item], Value | None]

_TOKEN = re.compile(r"\s*([#:]\w+|\w+|<>|<=|>=|[=<>()])", re.ASCII)
_BARE_NAME: Final = re.compile(r"[a-z]+(?:_[a-z]+)+", re.ASCII)
_END: Final = ""
# As many as AWS allows operators in an expression; it also bounds the recursion.
_MAX_TOKENS: Final = 300
_ORDERED: Final = frozenset({"S", "N", "B"})
_COMPARATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compile_condition(parameters: Mapping[str, Any]) -> Condition:
    """The condition of a request; true for every item if it has none. Every declared name and value must be used."""
    expression = parameters.get("ConditionExpression")
    names = parameters.get("ExpressionAttributeNames")
    values = parameters.get("ExpressionAttributeValues")
    if expression is None:
        if names is not None or values is not None:
            raise invalid("ExpressionAttributeNames and ExpressionAttributeValues need a ConditionExpression.")
        return lambda _: True
    return _Parser(expression, names or {}, values or {}).parse()


class _Parser:
    def __init__(self, expression: str, names: Mapping[str, str], values: Mapping[str, Any]) -> None:
        self._tokens = _tokens(expression)
        self._next = 0
        self._names = names
        self._values = {name: canonical_value(value) for name, value in values.items()}
        self._used: set[str] = set()

    def parse(self) -> Condition:
        condition = self._any_of()
        self._expect(_END)
        if self._names.keys() | self._values.keys() != self._used:
            raise invalid("A name or value is declared and not used in the expression.")
        return condition

    def _any_of(self) -> Condition:
        terms = [self._all_of()]
        while self._accept_word("OR"):
            terms.append(self._all_of())
        return lambda item: any(term(item) for term in terms)

    def _all_of(self) -> Condition:
        factors = [self._factor()]
        while self._accept_word("AND"):
            factors.append(self._factor())
        return lambda item: all(factor(item) for factor in factors)

    def _factor(self) -> Condition:
        if self._accept_word("NOT"):
            factor = self._factor()
            return lambda item: not factor(item)
        if self._peek() == "(":
            self._take()
            condition = self._any_of()
            self._expect(")")
            return condition
        if self._peek() in {"attribute_exists", "attribute_not_exists"}:
            return self._existence()
        return self._comparison()

    def _existence(self) -> Condition:
        wanted = self._take() == "attribute_exists"
        self._expect("(")
        if self._peek().startswith(":"):
            raise invalid("attribute_exists and attribute_not_exists take a name.")
        attribute = self._operand()
        self._expect(")")
        return lambda item: (attribute(item) is not None) is wanted

    def _comparison(self) -> Condition:
        left = self._operand()
        comparator = self._take()
        if comparator not in _COMPARATORS:
            raise invalid("Invalid ConditionExpression: a comparator is missing or not supported.")
        right = self._operand()
        if comparator in {"=", "<>"}:
            equals = _COMPARATORS[comparator]
            return lambda item: _both_or_unequal(left(item), right(item), equals)
        return lambda item: _in_order(left(item), right(item), _COMPARATORS[comparator])

    def _operand(self) -> _Operand:
        token = self._take()
        if token in self._names and token.startswith("#"):
            self._used.add(token)
            name = self._names[token]
            return lambda item: item.get(name)
        if token in self._values and token.startswith(":"):
            self._used.add(token)
            value = self._values[token]
            return lambda _: value
        if _BARE_NAME.fullmatch(token):
            return lambda item: item.get(token)
        raise invalid("Invalid ConditionExpression: an operand must be a declared #name or :value.")

    def _peek(self) -> str:
        return self._tokens[self._next]

    def _take(self) -> str:
        token = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _accept_word(self, word: str) -> bool:
        found = self._peek().upper() == word
        if found:
            self._take()
        return found

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise invalid("Invalid ConditionExpression: Syntax error")


def _both_or_unequal(left: Value | None, right: Value | None, equals: Callable[[Any, Any], bool]) -> bool:
    # A missing attribute equals nothing, not even another missing one.
    if left is None or right is None:
        return equals is operator.ne
    return equals(left, right)


def _in_order(left: Value | None, right: Value | None, compare: Callable[[Any, Any], bool]) -> bool:
    if left is None or right is None or left.keys() != right.keys():
        return False
    (kind,) = left
    if kind not in _ORDERED:
        raise invalid("Invalid ConditionExpression: only strings, numbers and binary values have an order.")
    if kind == "N":
        return compare(Decimal(left["N"]), Decimal(right["N"]))
    return compare(decode(left), decode(right))


def _tokens(expression: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    text = expression.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or len(tokens) == _MAX_TOKENS:
            raise invalid("Invalid ConditionExpression: Syntax error")
        tokens.append(match.group(1))
        position = match.end()
    return [*tokens, _END]
