"""Which column of a file is what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from vault.importing.refusals import FileRefused, Reason, Refusal, RowRefused
from vault.redaction import contains_pan, is_forbidden_key

_ALIASES: Final = {
    "number": frozenset({"number", "card_number", "pan"}),
    "expires": frozenset({"expires"}),
    "month": frozenset({"exp_month"}),
    "year": frozenset({"exp_year"}),
    "reference": frozenset({"reference"}),
}
#: What a column can be for.
ROLES: Final = tuple(_ALIASES)


@dataclass(frozen=True, slots=True)
class Columns:
    """The names under which a row has what is imported; None is a column that is not there."""

    number: str
    expires: str | None = None
    month: str | None = None
    year: str | None = None
    reference: str | None = None


@dataclass(frozen=True)
class Naming:
    """How columns are called: by the names of `_ALIASES` in any case or, for a role in `chosen`, by that name alone."""

    chosen: dict[str, str] = field(default_factory=dict)

    def find(self, names: Sequence[str]) -> Columns:
        """The columns of a row with these names. Raises `RowRefused` if none or several could be one of them."""
        found = {role: self._matching(role, names) for role in ROLES}
        if any(len(matches) > 1 for matches in found.values()):
            raise RowRefused(Reason.COLUMNS)
        columns = {role: matches[0] for role, matches in found.items() if matches}
        # Half an expiry is none, and two may contradict each other.
        if "number" not in columns or ("month" in columns) != ("year" in columns):
            raise RowRefused(Reason.COLUMNS)
        if "expires" in columns and "month" in columns:
            raise RowRefused(Reason.COLUMNS)
        return Columns(**columns)

    def find_in_header(self, names: Sequence[str]) -> Columns:
        """The columns of a file with this header. Raises `FileRefused`."""
        for name in names:
            refuse_forbidden(name)
        if any(is_card_number(name) for name in names):
            raise FileRefused(Refusal.NUMBER_IN_HEADER)
        if len({_folded(name) for name in names}) < len(names):
            raise FileRefused(Refusal.SAME_COLUMN)
        if not set(self.chosen.values()).issubset(names):
            raise FileRefused(Refusal.NO_SUCH_COLUMN)
        try:
            return self.find(names)
        except RowRefused:
            raise FileRefused(Refusal.COLUMNS) from None

    def _matching(self, role: str, names: Sequence[str]) -> list[str]:
        if role in self.chosen:
            return [name for name in names if name == self.chosen[role]]
        return [name for name in names if _folded(name) in _ALIASES[role] and name not in self.chosen.values()]


def _folded(name: str) -> str:
    return name.strip().casefold()


# A file has a few names and millions of rows. What a name costs is paid once.
is_card_number: Final = lru_cache(maxsize=256)(contains_pan)
_is_forbidden: Final = lru_cache(maxsize=256)(is_forbidden_key)


def refuse_forbidden(name: str) -> None:
    """Raise `FileRefused` for a name of what may never be kept, such as a CVV (PCI DSS 3.3.1)."""
    if _is_forbidden(name):
        raise FileRefused(Refusal.FORBIDDEN)
