"""Reading the whole audit log: to prove that it is as it was written, to seal it, to hand it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db.models import Max, Q, QuerySet

from vault.audit.chain import Break, Head, Verifier
from vault.audit.events import exported, record
from vault.audit.seals import MAX_HEADS, Seal, SealStore
from vault.exceptions import AuditUnavailable
from vault.models import AuditEvent

SEALED: Final = "audit.seal"
_PAGE: Final = 2_000
# An event is in the table within the time-out of its connection; clocks of several machines differ a little.
_OVERLAP: Final = timedelta(minutes=10)
_SEAL_GONE: Final = "the audit log says that this seal was made, and it is not in the vault's table"


@dataclass(frozen=True, slots=True)
class Verification:
    """What was read, what vouches for it, and where it does not hold together."""

    events: int
    chains: int
    seals: int
    sealed_until: datetime | None
    breaks: list[Break]


def in_order_of_rows(events: QuerySet[AuditEvent]) -> Iterator[AuditEvent]:
    """All of them, oldest row first. Raises `AuditUnavailable`."""
    return _pages(events.order_by("pk"), lambda last: Q(pk__gt=last.pk))


def in_order_of_chains(events: QuerySet[AuditEvent]) -> Iterator[AuditEvent]:
    """All of them chain by chain, the trunk last. Raises `AuditUnavailable`.

    Nothing is missed that is written meanwhile: in a chain, one event is committed before the next is begun, and on the
    trunk a branch is opened before it is written to. Rows, in contrast, may become visible out of order.
    """
    return _pages(
        events.order_by("chain", "number"),
        lambda last: Q(chain__gte=last.chain) & (Q(chain__gt=last.chain) | Q(number__gt=last.number)),
    )


def _pages(events: QuerySet[AuditEvent], after: Callable[[AuditEvent], Q]) -> Iterator[AuditEvent]:
    """Page by page: the drivers of MySQL keep whole results in memory."""
    rest = events
    while True:
        try:
            page = list(rest[:_PAGE])
        except DatabaseError:
            raise AuditUnavailable from None
        yield from page
        if len(page) < _PAGE:
            return
        rest = events.filter(after(page[-1]))


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
        if found := verifier.check(event.pk, exported(event)):
            breaks.append(found)
        elif event.operation == SEALED and event.outcome == AuditEvent.Outcome.DONE and event.details["seal"] > known:
            said.append((event.details["seal"], event))
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


def _first_row_first(breaks: list[Break]) -> list[Break]:
    return sorted(breaks, key=lambda each: (each.row is None, each.row or 0))


def seal(store: SealStore) -> list[Seal]:
    """Seal what was written since the last seal. More than one if that is more than fits into one.

    Raises `AuditUnavailable`, `RecordTampered` if the last seal does not hold, `VaultSealed`, `VaultUnavailable`.
    """
    last = store.latest()
    now = datetime.now(UTC)
    heads = list(_heads_since(last.time - _OVERLAP if last else None))
    made: list[Seal] = []
    for start in range(0, len(heads), MAX_HEADS):
        added = store.add(dict(heads[start : start + MAX_HEADS]), time=now)
        if added is None:
            # Somebody else is sealing. What they leave out, the next run finds.
            break
        made.append(added)
        record(SEALED, subject=f"seal:{added.number}", seal=added.number, seal_digest=added.digest().hex())
    return made


def _heads_since(moment: datetime | None) -> Iterator[tuple[str, Head]]:
    """The last event of every chain that was written to since then."""
    events = AuditEvent.objects.all() if moment is None else AuditEvent.objects.filter(time__gte=moment)
    try:
        last = dict(events.order_by().values_list("chain").annotate(last=Max("number")))
        for chain, number in sorted(last.items()):
            event = AuditEvent.objects.only("digest").get(chain=chain, number=number)
            yield chain, Head(number, event.digest)
    except DatabaseError:
        raise AuditUnavailable from None


def verify_export(lines: Iterable[dict[str, Any]]) -> Verification:
    """The same arithmetic on what `vault_audit export` wrote, without a database and without seals."""
    verifier = Verifier()
    breaks = [found for line in lines if (found := verifier.check(line["row"], line))]
    return Verification(verifier.events, verifier.chains, 0, None, _first_row_first(breaks + verifier.finish()))
