"""JSON as RFC 8259 has it and no more: what two readers could read differently is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser as DRFJSONParser


class BodyTooLarge(APIException):
    """The body is larger than the view takes, or than `settings.DATA_UPLOAD_MAX_MEMORY_SIZE` bytes."""

    status_code = 413
    default_detail = "The body is too large."
    default_code = "body_too_large"


class JSONParser(DRFJSONParser):
    """Parses a UTF-8 body of limited size. Raises `BodyTooLarge`, and `ParseError` without a word of the body.

    Django checks the size of forms; DRF reads the stream past that check.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = _limit(parser_context)
        body = stream.read() if limit is None else stream.read(limit + 1)
        if limit is not None and len(body) > limit:
            raise BodyTooLarge
        try:
            return json.loads(body.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            raise ParseError from None


def _limit(parser_context: Mapping[str, Any] | None) -> int | None:
    """How many bytes the view takes, and in no case more than the project does."""
    limits = [settings.DATA_UPLOAD_MAX_MEMORY_SIZE, getattr((parser_context or {}).get("view"), "most_bytes", None)]
    return min((limit for limit in limits if limit is not None), default=None)


def _refuse(_: str) -> NoReturn:
    """NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that stands twice: a gateway may check the one and we would take the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found
