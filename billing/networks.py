"""Networks that a service account may call from: read when they are set, and asked at each request."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from vault.redaction import redact

#: So many are read at each request.
MOST: Final = 50
_MAPPED: Final = 96


def parse(text: str) -> list[str]:
    """The networks in `text`, with commas between them, each once and in one spelling.

    Raises `ValueError`, with nothing of the text, for what is no network, has host bits, is none at all, or is more
    than `MOST`.
    """
    networks = list(dict.fromkeys(str(_network(each.strip())) for each in text.split(",")))
    # What looks like a card number would be masked in the audit log, and then nobody could say what was set.
    if len(networks) > MOST or any(redact(each) != each for each in networks):
        raise ValueError
    return networks


def is_within(source: str, networks: Iterable[str]) -> bool:
    """True if the address is in one of the networks; it is in none if it is no address, or if one is no network."""
    try:
        address = _unmapped(ip_address(source))
        return any([address in ip_network(each) for each in networks])  # noqa: C419 - all of them have to be networks
    except (TypeError, ValueError):
        return False


def _network(text: str) -> IPv4Network | IPv6Network:
    # The zone of an IPv6 address may be any text, and no request is compared with it.
    if "%" in text:
        raise ValueError
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError from None
    start = _unmapped(network.network_address)
    if network.version != start.version and network.prefixlen >= _MAPPED:
        return IPv4Network((str(start), network.prefixlen - _MAPPED))
    return network


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address in the clothes of IPv6 as what it is: a socket for both gives that one to IPv4 clients."""
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
