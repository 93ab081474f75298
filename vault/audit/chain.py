"""How events hang together, so that what was changed afterwards shows.

There is one trunk, and a branch for each writer. Every event has the digest of the one before it in its chain. A
branch begins with an event of the trunk that names it, and has that event's digest as the one before its first. Writers
meet on the trunk only, once each, so that nobody waits for anybody; and as a branch has one writer and the pair of
chain and number is unique, none of them forks.

All of this is plain arithmetic on what an export holds: an auditor can do it again without this program. The digest is
not keyed: what protects events from somebody who can write to the table is the seal, see `vault.audit.seals`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

TRUNK: Final = "trunk"
#: What an event of the trunk that opens a branch has as its operation; its subject is the branch.
OPENING: Final = "audit.open"
#: The digest that stands before the first event of the trunk.
NOTHING: Final = "0" * 64

#: What the digest is over, in the names of the columns and of an export.
CONTENT: Final = (
    "chain",
    "number",
    "time",
    "operation",
    "operation_id",
    "outcome",
    "actor",
    "actor_name",
    "source",
    "request_id",
    "token",
    "subject",
    "purpose",
    "reason",
    "cards",
    "is_alarm",
    "details",
)
#: All that an export says of an event.
EXPORTED: Final = frozenset({"row", "previous", "digest", *CONTENT})


def written_time(moment: datetime) -> str:
    """A time as it stands in an export and under the digest: UTC, microseconds (RFC 3339)."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def digest(previous: str, content: Mapping[str, Any]) -> str:
    """SHA-256 in hex over the digest before and the content as JSON: names sorted, no spaces, ASCII."""
    body = json.dumps({name: content[name] for name in CONTENT}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{previous}\n{body}".encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Break:
    """Where the record does not hold together: the row, where it stands in its chain, and what is wrong."""

    row: int | None
    chain: str
    number: int
    problem: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last event of a chain."""

    number: int
    digest: str


EDITED: Final = "this row was changed after it was written"
MISSING: Final = "the row that should stand before this one is missing or stands elsewhere"
UNLINKED: Final = "this row does not follow the one before it: one of the two was changed, inserted or moved"
REPEATED: Final = "this row stands where another one was, or was moved"
UNKNOWN_CHAIN: Final = "this row begins a chain that was never opened"
UNSEALED: Final = "a sealed row is missing or is not the one that was sealed"


class Verifier:
    """Takes events and says what is wrong with each. Those of one chain have to come in their order, chains in any.

    Memory grows with chains, not with events.

    :param sealed: the last sealed event of each chain; a row that should be one of them and is not, is a break
    :param begins_in_the_middle: chains may have begun before the first event that is checked
    """

    def __init__(self, sealed: Mapping[str, Head] | None = None, *, begins_in_the_middle: bool = False) -> None:
        self._begins_in_the_middle = begins_in_the_middle
        self._heads: dict[str, Head] = {}
        self._rows: dict[str, int] = {}
        self._begun: dict[str, Break] = {}
        self._opened: dict[str, str] = {}
        self._sealed = dict(sealed or {})
        self.events = 0

    def check(self, row: int, event: Mapping[str, Any]) -> Break | None:
        """What is wrong with this event, if anything. `event` has the content, `previous` and `digest`."""
        self.events += 1
        chain, number = event["chain"], event["number"]
        problem = self._problem(row, event)
        if chain not in self._heads and chain != TRUNK:
            # Whether the trunk agrees is known when all of it was read.
            self._begun[chain] = Break(row, chain, number, event["previous"])
        self._heads[chain] = Head(number, event["digest"])
        self._rows[chain] = row
        if chain == TRUNK and event["operation"] == OPENING:
            self._opened[event["subject"]] = event["digest"]
        sealed = self._sealed.get(chain)
        if sealed and number == sealed.number and self._sealed.pop(chain).digest != event["digest"]:
            problem = problem or UNSEALED
        return Break(row, chain, number, problem) if problem else None

    def pass_over(self, row: int, chain: str, number: int) -> None:
        """Count a row that cannot be read; the next one of its chain is then a break as well."""
        self.events += 1
        self._heads[chain], self._rows[chain] = Head(number, ""), row

    def _problem(self, row: int, event: Mapping[str, Any]) -> str | None:
        chain, number, previous = event["chain"], event["number"], event["previous"]
        if digest(previous, event) != event["digest"]:
            return EDITED
        before = self._heads.get(chain)
        if before is None and self._begins_in_the_middle:
            return None
        if number > (before.number if before else 0) + 1:
            return MISSING
        if before is None:
            return UNLINKED if chain == TRUNK and previous != NOTHING else None
        # Rows are numbered as they are written, and a chain has one writer at a time.
        if number <= before.number or row < self._rows[chain]:
            return REPEATED
        return None if previous == before.digest else UNLINKED

    def finish(self) -> list[Break]:
        """What shows at the end: chains that nobody opened, and sealed events that did not come by."""
        found = [
            replace(begun, problem=UNLINKED if chain in self._opened else UNKNOWN_CHAIN)
            for chain, begun in self._begun.items()
            if begun.number == 1
            and begun.problem != self._opened.get(chain)
            # Opened before the export began.
            and not (self._begins_in_the_middle and chain not in self._opened)
        ]
        return found + [Break(None, chain, head.number, UNSEALED) for chain, head in sorted(self._sealed.items())]

    @property
    def chains(self) -> int:
        """How many chains there are, the trunk included."""
        return len(self._heads)
