"""What a card number is read for, and the rules that a project ties to it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from functools import cached_property
from typing import Any, Final, Self

# As in the audit log.
NAME_LENGTH: Final = 32
TEXT_LENGTH: Final = 200
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Purpose:
    """A name from the project's list, and in a few words what for."""

    name: str
    text: str = ""

    @classmethod
    def parse(cls, written: Purpose | str) -> Purpose:
        """`"refund: charged twice"` as a purpose; a purpose is one already."""
        if isinstance(written, Purpose):
            return written
        name, _, text = written.partition(":")
        return cls(name.strip(), text.strip())


@dataclass(frozen=True)
class PurposeRule:
    """Who may name a purpose, from where and when. What is left out does not restrict.

    :param groups: at least one of them has to be the actor's
    :param networks: CIDR blocks; an operation without an address, such as a command's, is from none of them
    :param hours: "06:00-22:00", up to the end and past midnight if the end comes first, in settings.TIME_ZONE
    :param text: whether the purpose has to be explained
    """

    name: str
    groups: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    hours: str = ""
    text: bool = True

    @classmethod
    def from_settings(cls, name: str, values: Mapping[str, Any]) -> Self:
        """Raises `ValueError` or `TypeError` for what it does not know."""
        options: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        rule = cls(name, **options)
        if any(isinstance(value, str) for value in (rule.groups, rule.networks)) or not isinstance(rule.text, bool):
            raise TypeError
        # Read once here, so that a mistake is found at the start and not when somebody is waiting.
        _ = rule._networks, rule._span
        return rule

    @cached_property
    def _networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        return tuple(ipaddress.ip_network(network) for network in self.networks)

    @cached_property
    def _span(self) -> tuple[time, time] | None:
        if not self.hours:
            return None
        match = _HOURS.fullmatch(self.hours)
        if match is None:
            raise ValueError
        start_hour, start_minute, end_hour, end_minute = map(int, match.groups())
        return time(start_hour, start_minute), time(end_hour, end_minute)

    def is_met_from(self, source: str) -> bool:
        """True if the network rule lets this address in."""
        if not self._networks:
            return True
        try:
            address = ipaddress.ip_address(source)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def is_met_at(self, now: datetime) -> bool:
        """True if the local time `now` is within the hours."""
        if self._span is None:
            return True
        start, end = self._span
        moment = now.time()
        return start <= moment < end if start < end else moment >= start or moment < end
