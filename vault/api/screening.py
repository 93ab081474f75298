"""What is looked for in every request before anything else is done with it: card data where none belongs.

A card number belongs into the field `pan` and nowhere else (trial B4); a verification code, a PIN and track data belong
nowhere (PCI DSS 3.3.1, trial B5). The error names the place, and never what stood there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from rest_framework.exceptions import ErrorDetail, ParseError, ValidationError

from vault.misplaced import headers_with_pan, nameable
from vault.redaction import contains_pan, is_forbidden_key
from vault.validators import NoPANValidator

_MISPLACED: Final = ErrorDetail(
    "A card number stands here. Card numbers belong in the field pan only.", code=NoPANValidator.code
)
_FORBIDDEN: Final = ErrorDetail("This may never be kept: card verification codes, PINs, track data.", code="forbidden")
# Django reads no body whose length is not said before it: it would be passed over with whatever stands in it.
_NO_LENGTH: Final = ErrorDetail("Send the body in one piece, with its Content-Length.", code="invalid")
# Longer than any field takes. To look for card numbers in a MiB of digits and spaces takes hundreds of MiB.
_MOST_TEXT: Final = 10_000
_TOO_LONG: Final = ErrorDetail("This is longer than any field takes.", code="max_length")
_PAN: Final = "pan"
#: So many errors are looked for and named: a body of a MiB can have hundreds of thousands of them.
MOST_ERRORS: Final = 100
_MOST_LEVELS: Final = 16


class InvalidParameters(ValidationError):
    """What is wrong is in the query."""

    place = "parameter"


class InvalidHeaders(ValidationError):
    """What is wrong is in a header."""

    place = "header"


def holds_pan(data: Any) -> bool:
    """True if a card number stands anywhere in what is about to be kept."""
    return any(contains_pan(str(leaf)) for leaf in _leaves(data))


def screen_headers(headers: Mapping[str, str]) -> None:
    """Raise `InvalidHeaders` for a header or cookie with a card number in it, and for a body sent in chunks."""
    found = {name: [_MISPLACED] for name in headers_with_pan(headers)}
    if "Transfer-Encoding" in headers:
        found["Transfer-Encoding"] = [_NO_LENGTH]
    if found:
        raise InvalidHeaders({nameable(name) or "": each for name, each in found.items()})


def screen_body(data: Any) -> None:
    """Raise `ValidationError` for card data in the wrong place or too long a text, `ParseError` for deep nesting."""
    errors: dict[str, list[ErrorDetail]] = {}
    for path, error in islice(_stray(data), MOST_ERRORS):
        errors.setdefault(path, []).append(error)
    if errors:
        raise ValidationError(errors)


def _stray(data: Any) -> Iterator[tuple[str, ErrorDetail]]:
    """Places, by JSON pointer, with what is wrong there. Without recursion: nobody's nesting fills the stack."""
    waiting: list[tuple[Any, str, str, int]] = [(data, "", "", 0)]
    while waiting:
        value, path, key, level = waiting.pop()
        if level > _MOST_LEVELS:
            raise ParseError
        if isinstance(value, dict):
            for name, each in value.items():
                # What cannot be named is said of the object that has it.
                place = f"{path}/{shown}" if (shown := nameable(name)) else path
                if wrong := _wrong_with(name):
                    yield path, wrong
                elif is_forbidden_key(name):
                    yield place, _FORBIDDEN
                waiting.append((each, place, name, level + 1))
        elif isinstance(value, list):
            waiting += [(each, f"{path}/{index}", key, level + 1) for index, each in enumerate(value)]
        elif key != _PAN and isinstance(value, str | int | float) and (wrong := _wrong_with(str(value))):
            yield path, wrong


def _wrong_with(text: str) -> ErrorDetail | None:
    if len(text) > _MOST_TEXT:
        return _TOO_LONG
    return _MISPLACED if contains_pan(text) else None


def _leaves(data: Any) -> Iterator[Any]:
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
        else:
            yield value
