"""What one row is, what became of it, and the sum of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from vault.acceptance import accept
from vault.exceptions import InvalidPAN, PANProblem
from vault.pan import PAN
from vault.redaction import redact


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read. Two are equal if the same number stands in the old column and the same token in the new.

    The old column's text is made a `PAN` here, at the edge, and is not kept.
    """

    pk: Any
    pan: PAN | None
    problem: PANProblem | None
    token: str | None

    @classmethod
    def of(cls, pk: Any, text: str | None, token: str | None) -> Row:
        try:
            return cls(pk, accept(text or ""), None, token or None)
        except InvalidPAN as error:
            # Nothing but spaces and hyphens is how some people write "none".
            problem = None if error.problem is PANProblem.EMPTY else error.problem
            return cls(pk, None, problem, token or None)


class State(StrEnum):
    """What a pass over the rows made of one, or found."""

    EMPTY = "empty"
    WAITING = "waiting"
    ADOPTED = "adopted"
    AGREES = "agrees"
    WIPED = "wiped"
    INVALID = "invalid"
    MISSING = "missing"
    DIFFERS = "differs"
    CHANGED = "changed"


#: The states that somebody has to do something about.
LEFT: Final = frozenset({State.INVALID, State.MISSING, State.DIFFERS, State.CHANGED})

_REASONS: Final = {
    State.MISSING: "Not adopted yet.",
    State.DIFFERS: "The new column does not hold the card of the old one.",
    State.CHANGED: "Somebody changed the row at the same moment.",
}

Verdict = tuple[Row, State]


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that is left, by primary key; nothing in it is made from the card number."""

    pk: str
    state: State
    reason: str

    @classmethod
    def of(cls, row: Row, state: State) -> Finding:
        reason = row.problem.message if row.problem else _REASONS[state]
        # A primary key may be any text, and somebody's may contain a card number.
        return cls(redact(str(row.pk)), state, reason)


@dataclass(slots=True)
class Report:
    """How many rows there are of each state, and the first of those that are left."""

    listed: int = 1000
    counts: Counter[State] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, verdicts: Iterable[Verdict]) -> None:
        for row, state in verdicts:
            self.counts[state] += 1
            if state in LEFT and len(self.findings) < self.listed:
                self.findings.append(Finding.of(row, state))

    @property
    def left(self) -> int:
        """The number of rows that somebody has to do something about."""
        return sum(self.counts[state] for state in LEFT)

    def exported(self) -> Mapping[str, int]:
        """The counts by name, in the order of `State`; states that no row is in are left out."""
        return {state.value: self.counts[state] for state in State if self.counts[state]}
