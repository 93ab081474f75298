"""A card number in a header of a request, and what may be said of where one was found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Final

from vault.redaction import contains_pan

# A key that cannot be anything but a name; any other is not repeated.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_LONG: Final = re.compile(r"([0-9a-f]{2}-)?[0-9a-f]{32}-[0-9a-f]{16}(-[0-9a-fd]{1,2})?(-[0-9a-f]{16})?")
# Without a letter it could be anything.
_HEX: Final = re.compile(r"(?=[0-9]*[a-f])(?:[0-9a-f]{16}(-[A-Z]{3})?|[0-9a-f]{32})")
_DECIMAL: Final = re.compile(r"([0-9a-f]{32}/)?[0-9]{1,20}(;o=[0-9])?")
# Hexadecimal has runs of digits that pass for a card number once in 14,000 traces, and a decimal trace does once in
# fifty. These are the forms of W3C Trace Context, Sentry, Zipkin, Cloudflare, Google Cloud and Datadog. Nothing here
# reads these headers.
_TRACES: Final[Mapping[str, re.Pattern[str]]] = {
    "Traceparent": _LONG,
    "Sentry-Trace": _LONG,
    "B3": _LONG,
    "X-B3-Traceid": _HEX,
    "X-B3-Spanid": _HEX,
    "X-B3-Parentspanid": _HEX,
    "Cf-Ray": _HEX,
    "X-Cloud-Trace-Context": _DECIMAL,
    "X-Datadog-Trace-Id": _DECIMAL,
    "X-Datadog-Parent-Id": _DECIMAL,
}
# Where proxies write the addresses of clients. Of those of IPv6 whose last six groups are random, one in 10,000 has
# groups of four digits that pass for a card number, and its owner would be refused every page.
_ADDRESSES: Final = frozenset(
    {"Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Fastly-Client-Ip", "True-Client-Ip", "X-Forwarded-For", "X-Real-Ip"}
)


def nameable(key: str) -> str:
    """`key`, if it may stand in an answer, or else an empty text: a card number can be sent as a key as well."""
    return key if _NAME.fullmatch(key) and not contains_pan(key) else ""


def headers_with_pan(headers: Mapping[str, str]) -> list[str]:
    """The names of the headers in whose name or value a card number stands.

    `Authorization` is left to the authentication, which takes a token or nothing.
    """
    return [
        name
        for name, value in headers.items()
        if contains_pan(name)
        or (
            name != "Authorization"
            and is_pan_in(value)
            and not _is_trace(name, value)
            and not _is_of_addresses(name, value)
        )
    ]


def is_pan_in(value: str) -> bool:
    """True for what a server of WSGI hands on, where each byte is a character, and for what was meant by it."""
    if contains_pan(value):
        return True
    try:
        return not value.isascii() and contains_pan(value.encode("latin-1").decode())
    except UnicodeError:
        return False


def _is_trace(name: str, value: str) -> bool:
    form = _TRACES.get(name)
    return form is not None and form.fullmatch(value) is not None


def _is_of_addresses(name: str, value: str) -> bool:
    """Addresses and nothing else; a card number in groups is none, as it has four of them and an address eight."""
    return name in _ADDRESSES and all(_is_address(part.strip()) for part in value.split(","))


def _is_address(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if not isinstance(address, IPv6Address):
        return True
    # As proxies write it: a zone may be any text, and "::" before a card number makes an address of it.
    return text == str(address) and address.scope_id is None and not text.startswith("::")
