"""The month until which a card is good, kept as the last day of that month."""

from __future__ import annotations

import calendar
import re
from datetime import date
from typing import Final

_TYPED: Final = re.compile(r"\s*(0?[1-9]|1[0-2])\s*[/-]\s*(\d{2}|20\d{2})\s*", re.ASCII)
_ISO: Final = re.compile(r"(20\d{2})-(0[1-9]|1[0-2])", re.ASCII)


class InvalidExpiry(ValueError):
    """The text is not a month and a year."""


def last_day_of_month(day: date) -> date:
    """The last day of the month that `day` is in."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def parse_expiry(text: str) -> date:
    """The last day of the month written as MM/YY, MM/YYYY or YYYY-MM, of this century. Raises `InvalidExpiry`."""
    if isinstance(text, str):
        if typed := _TYPED.fullmatch(text):
            return last_day_of_month(date(2000 + int(typed[2]) % 100, int(typed[1]), 1))
        if iso := _ISO.fullmatch(text):
            return last_day_of_month(date(int(iso[1]), int(iso[2]), 1))
    raise InvalidExpiry("Not a month and a year.")
