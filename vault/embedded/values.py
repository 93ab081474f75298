"""Attribute values in the wire form of DynamoDB: validated, brought to one canonical form, and measured."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow, Subnormal
from typing import Any, Final

from vault.embedded.wire import invalid

Value = dict[str, Any]
Item = dict[str, Value]

_MAX_ITEM_BYTES: Final = 400 * 1024
_MAX_DEPTH: Final = 32
_MAX_NAME_BYTES: Final = 64 * 1024 - 1
# Maps and lists cost three bytes, and one more for each element.
_CONTAINER_BYTES: Final = 3
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,4})?|[+-]?\.[0-9]+([eE][+-]?[0-9]{1,4})?", re.ASCII)
_NUMBERS: Final = Context(prec=38, Emin=-130, Emax=125, traps=[Inexact, InvalidOperation, Overflow, Subnormal])


def canonical_item(item: Mapping[str, Any]) -> tuple[Item, int]:
    """`item` with numbers, sets and binary values in canonical form, and its size in bytes.

    Equal values have equal canonical forms. Raises a ValidationException for what DynamoDB does not store.
    """
    canonical, size = _attributes(item, depth=0)
    if size > _MAX_ITEM_BYTES:
        raise invalid("Item size has exceeded the maximum allowed size")
    return canonical, size


def canonical_value(value: Any) -> Value:
    """One value in canonical form."""
    return _value(value, depth=0)[0]


def decode(value: Value) -> bytes:
    """The bytes of a canonical S, N or B value."""
    ((kind, content),) = value.items()
    return base64.b64decode(content) if kind == "B" else str(content).encode()


def _attributes(attributes: Mapping[str, Any], *, depth: int) -> tuple[Item, int]:
    canonical: Item = {}
    total = 0
    for name, value in attributes.items():
        canonical[name], size = _value(value, depth=depth)
        name_bytes = len(name.encode())
        if not 1 <= name_bytes <= _MAX_NAME_BYTES:
            raise invalid("An attribute name has the wrong length.")
        total += name_bytes + size
    return canonical, total


def _value(value: Any, *, depth: int) -> tuple[Value, int]:
    if not isinstance(value, dict) or len(value) != 1:
        raise invalid("Supplied AttributeValue must contain exactly one of the supported datatypes")
    if depth > _MAX_DEPTH:
        raise invalid("Nesting Levels have exceeded supported limits")
    ((kind, content),) = value.items()
    if kind not in _KINDS:
        raise invalid("Supplied AttributeValue is of an unknown datatype")
    canonical, size = _KINDS[kind](content, depth)
    return {kind: canonical}, size


def _string(content: Any, _: int) -> tuple[str, int]:
    if not isinstance(content, str):
        raise invalid("A string value is not a string.")
    return content, len(content.encode())


def _number(content: Any, _: int) -> tuple[str, int]:
    if not isinstance(content, str) or not _NUMBER.fullmatch(content):
        raise invalid("The parameter cannot be converted to a numeric value")
    try:
        number = _NUMBERS.normalize(_NUMBERS.create_decimal(content))
    except DecimalException:
        raise invalid("The number has more than 38 significant digits or is out of range") from None
    return f"{number or Decimal(0):f}", (len(number.as_tuple().digits) + 1) // 2 + 1


def _binary(content: Any, _: int) -> tuple[str, int]:
    try:
        raw = base64.b64decode(content, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise invalid("A binary value is not in base64.") from None
    return base64.b64encode(raw).decode(), len(raw)


def _boolean(content: Any, _: int) -> tuple[bool, int]:
    if not isinstance(content, bool):
        raise invalid("A boolean value is neither true nor false.")
    return content, 1


def _null(content: Any, _: int) -> tuple[bool, int]:
    if content is not True:
        raise invalid("Null attribute value types must have the value of true")
    return True, 1


def _set_of(
    element: Callable[[Any, int], tuple[str, int]],
) -> Callable[[Any, int], tuple[list[str], int]]:
    def canonical_set(content: Any, depth: int) -> tuple[list[str], int]:
        if not isinstance(content, list) or not content:
            raise invalid("A set may not be empty")
        members = dict(element(member, depth) for member in content)
        if len(members) != len(content):
            raise invalid("Input collection contains duplicates.")
        return sorted(members), sum(members.values())

    return canonical_set


def _list(content: Any, depth: int) -> tuple[list[Value], int]:
    if not isinstance(content, list):
        raise invalid("A list value is not a list.")
    elements = [_value(element, depth=depth + 1) for element in content]
    return [element for element, _ in elements], _CONTAINER_BYTES + sum(size + 1 for _, size in elements)


def _map(content: Any, depth: int) -> tuple[Item, int]:
    if not isinstance(content, dict):
        raise invalid("A map value is not a map.")
    canonical, size = _attributes(content, depth=depth + 1)
    return canonical, _CONTAINER_BYTES + size + len(canonical)


_KINDS: Final[dict[str, Callable[[Any, int], tuple[Any, int]]]] = {
    "S": _string,
    "N": _number,
    "B": _binary,
    "BOOL": _boolean,
    "NULL": _null,
    "SS": _set_of(_string),
    "NS": _set_of(_number),
    "BS": _set_of(_binary),
    "L": _list,
    "M": _map,
}
