"""Reading the whole audit log: to prove that it is as it was written, to seal it, to hand it out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import Error as DatabaseError
from django.db.models import Max, Q, QuerySet

from vault.audit.chain import EDITED, Break, Head, Verifier
from vault.audit.events import exported, record
from vault.audit.seals import MAX_HEADS, Seal, SealStore
from vault.exceptions import AuditUnavailable, RecordTampered
from vault.models import AuditEvent

SEALED: Final = "audit.seal"
_PAGE: Final = 2_000
# Many times the time-out of a connection to the audit database.
_SETTLING: Final = timedelta(minutes=2)
_SEAL_UNNAMED: Final = "this row says that a seal was made, and not which"
# What the drivers and Django raise for a value that no program of ours has written.
_UNREADABLE: Final = (AttributeError, LookupError, OverflowError, TypeError, ValueError)
_SEAL_GONE: Final = "the audit log says that this seal was made, and it is not in the vault's table"


@dataclass(frozen=True, slots=True)
class Verification:
    """What was read, what vouches for it, and where it does not hold together."""

    events: int
    chains: int
    seals: int
    sealed_until: datetime | None
    breaks: list[Break]


class Unreadable(NamedTuple):
    """A row with a value that cannot be what was written."""

    pk: int
    chain: str
    number: int


def export(events: QuerySet[AuditEvent]) -> Iterator[str]:
    """Each event as a line of JSON, oldest row first.

    Raises `AuditUnavailable`, and `RecordTampered` at a row that cannot be read: `verify` names it.
    """
    for event in rows(events):
        if "unreadable" in event:
            raise RecordTampered
        yield json.dumps(event)


def rows(events: QuerySet[AuditEvent]) -> Iterator[dict[str, Any]]:
    """Each event as JSON has it, oldest row first; of one that cannot be read its row, and that it is unreadable.

    Raises `AuditUnavailable`.
    """
    for event in _pages(events.order_by("pk"), lambda last: Q(pk__gt=last.pk)):
        try:
            yield {"row": event.pk, "unreadable": True} if isinstance(event, Unreadable) else _in_json(event)
        except _UNREADABLE:
            yield {"row": event.pk, "unreadable": True}


def _in_json(event: AuditEvent) -> dict[str, Any]:
    content = exported(event)
    json.dumps(content)
    return content


def in_order_of_chains(events: QuerySet[AuditEvent]) -> Iterator[AuditEvent | Unreadable]:
    """All of them chain by chain, the trunk last. Raises `AuditUnavailable`.

    Nothing is missed that is written meanwhile: in a chain, one event is committed before the next is begun, and on the
    trunk a branch is opened before it is written to. Rows, in contrast, may become visible out of order.
    """
    return _pages(
        events.order_by("chain", "number"),
        lambda last: Q(chain__gte=last.chain) & (Q(chain__gt=last.chain) | Q(number__gt=last.number)),
    )


def _pages(
    events: QuerySet[AuditEvent], after: Callable[[AuditEvent | Unreadable], Q]
) -> Iterator[AuditEvent | Unreadable]:
    """Page by page: the drivers of MySQL keep whole results in memory."""
    rest = events
    while True:
        page = _page(rest)
        yield from page
        if len(page) < _PAGE:
            return
        rest = events.filter(after(page[-1]))


def _page(rest: QuerySet[AuditEvent]) -> list[AuditEvent] | list[AuditEvent | Unreadable]:
    try:
        return list(rest[:_PAGE])
    except DatabaseError:
        raise AuditUnavailable from None
    except _UNREADABLE:
        # One of them, so each by itself.
        return [_row(*place) for place in rest.values_list("pk", "chain", "number")[:_PAGE]]


def _row(pk: int, chain: str, number: int) -> AuditEvent | Unreadable:
    try:
        return AuditEvent.objects.get(pk=pk)
    except _UNREADABLE:
        return Unreadable(pk, chain, number)


def verify(store: SealStore) -> Verification:
    """Prove that no event was changed, deleted, inserted or moved since it was sealed, or name the first where one was.

    Raises `RecordTampered` if the seals themselves do not hold, `AuditUnavailable`, `VaultSealed`, `VaultUnavailable`.
    """
    sealed: dict[str, Head] = {}
    newest: Seal | None = None
    for each in store.all():
        sealed |= each.heads
        newest = each
    verifier = Verifier(sealed)
    breaks: list[Break] = []
    said: list[tuple[int, AuditEvent]] = []
    known = newest.number if newest else 0
    for event in in_order_of_chains(AuditEvent.objects.all()):
        found = _check(verifier, event)
        if found:
            breaks.append(found)
        elif isinstance(event, AuditEvent) and event.operation == SEALED and event.outcome == AuditEvent.Outcome.DONE:
            number = event.details.get("seal")
            if not isinstance(number, int):
                breaks.append(Break(event.pk, event.chain, event.number, _SEAL_UNNAMED))
            elif number > known:
                said.append((number, event))
    breaks += verifier.finish()
    if said:
        # Made meanwhile, or deleted. A seal is made before its event is written, so the log never says too much.
        now = store.latest()
        known_now = now.number if now else 0
        breaks += [
            Break(event.pk, event.chain, event.number, _SEAL_GONE) for number, event in said if number > known_now
        ]
    until = newest.time if newest else None
    return Verification(verifier.events, verifier.chains, known, until, _first_row_first(breaks))


def verify_newest(count: int) -> Verification:
    """Whether the newest events hang together, without seals and without AWS.

    It finds a row among them that was changed, deleted, inserted or moved by somebody who did not compute everything
    after it again. It takes what came before as it is said to be. Raises `AuditUnavailable`.
    """
    try:
        last = AuditEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    except DatabaseError:
        raise AuditUnavailable from None
    verifier = Verifier(begins_in_the_middle=True)
    breaks: list[Break] = []
    for event in in_order_of_chains(AuditEvent.objects.filter(pk__gt=last - count)):
        found = _check(verifier, event)
        if found:
            breaks.append(found)
    return Verification(verifier.events, verifier.chains, 0, None, _first_row_first(breaks + verifier.finish()))


def _check(verifier: Verifier, event: AuditEvent | Unreadable) -> Break | None:
    """What is wrong with this event; one that cannot be read was edited."""
    if not isinstance(event, Unreadable):
        try:
            return verifier.check(event.pk, exported(event))
        except _UNREADABLE:
            pass
    verifier.pass_over(event.pk, event.chain, event.number)
    return Break(event.pk, event.chain, event.number, EDITED)


def _first_row_first(breaks: list[Break]) -> list[Break]:
    return sorted(breaks, key=lambda each: (each.row is None, each.row or 0))


def seal(store: SealStore) -> list[Seal]:
    """Seal what was written since the last seal. More than one if that is more than fits into one.

    By rows and not by times: a machine whose clock is wrong is sealed as well. A row may become visible after later
    ones, though never by more than the time-out of its connection; so the look begins where a seal of some minutes ago
    ended. Of several seals made at once, the last one alone says that it reached the end.

    Raises `AuditUnavailable`, `RecordTampered` if the last seal does not hold, `VaultSealed`, `VaultUnavailable`.
    """
    now = datetime.now(UTC)
    settled = store.older_than(now - _SETTLING)
    start = settled.row if settled else 0
    heads, end = _heads_after(start)
    made: list[Seal] = []
    for first in range(0, len(heads), MAX_HEADS):
        part = dict(heads[first : first + MAX_HEADS])
        is_last = first + MAX_HEADS >= len(heads)
        added = store.add(part, time=now, row=end if is_last else start)
        if added is None:
            # Somebody else is sealing. What they leave out, the next run finds.
            break
        made.append(added)
        subject, sealed = f"seal:{added.number}", added.digest().hex()
        record(SEALED, subject=subject, seal=added.number, seal_digest=sealed, until_row=added.row)
    return made


def _heads_after(row: int) -> tuple[list[tuple[str, Head]], int]:
    """The last event of every chain that has a later row than this one, and the last row of all."""
    events = AuditEvent.objects.filter(pk__gt=row).order_by()
    try:
        end = events.aggregate(last=Max("pk"))["last"] or row
        last = dict(events.filter(pk__lte=end).values_list("chain").annotate(last=Max("number")))
        heads = [
            (chain, Head(number, AuditEvent.objects.only("digest").get(chain=chain, number=number).digest))
            for chain, number in sorted(last.items())
        ]
    except DatabaseError:
        raise AuditUnavailable from None
    return heads, end


def verify_export(lines: Iterable[dict[str, Any]]) -> Verification:
    """The same arithmetic on what `vault_audit export` wrote, without a database and without seals.

    An export may begin in the middle; what came before it is taken as it is said to be.
    """
    verifier = Verifier(begins_in_the_middle=True)
    breaks = [found for line in lines if (found := verifier.check(line["row"], line))]
    return Verification(verifier.events, verifier.chains, 0, None, _first_row_first(breaks + verifier.finish()))
