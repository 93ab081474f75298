"""One scan from its start, or from where it was killed, to its end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, Final

from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from vault import alarms
from vault.audit import audited
from vault.conf import vault_config
from vault.exceptions import ScanInterrupted, ScanRunning, ScanTakenOver
from vault.models import AuditEvent, Run
from vault.redaction import redact
from vault.scanning import incidents, leases
from vault.scanning.columns import tables
from vault.scanning.files import STDIN, File, files
from vault.scanning.pages import Page, Unit

OPERATION: Final = "scan"
# Seconds of rest after which a scan says that it is alive.
_BEAT: Final = 60.0


class Scan:
    """Reads tables and files in an order that is always the same, and files what it finds.

    A page of findings and the position behind it are committed together: a scan that is killed goes on with the next
    page, misses none and counts none twice. With `writes=False` it leaves nothing in the database.
    """

    def __init__(self, *, database: bool, paths: Sequence[str], excluded: Sequence[str], writes: bool) -> None:
        self._database, self._paths, self._excluded = database, list(paths), list(excluded)
        self._writes = writes
        self._run = Run(operation=OPERATION, position={}, counts={})
        self._has_told = False
        self._owner = leases.new_owner()
        self.is_resumed = False

    @property
    def counts(self) -> Counter[str]:
        """Tables, rows, files and lines read, files skipped (empty, or no text) or not readable, and numbers found."""
        return Counter(self._run.counts)

    def sightings(self, *, restart: bool = False) -> Iterator[tuple[Page, str]]:
        """Each page with the name of its table or file, already filed. Goes on where the last scan of the same stopped.

        Raises `ScanInterrupted` if a database or a path does not answer: called again, it goes on there. Raises
        `ScanRunning` if another one of databases, or of files, seems to be at work; with `restart` that one ends with
        `ScanTakenOver`. Raises `AuditUnavailable`.
        """
        if not self._writes:
            yield from self._pages()
            return
        with audited(OPERATION, subject="database" if self._database else "files") as outcome:
            try:
                self._begin(restart=restart)
                outcome["run"] = self._run.pk
                yield from self._pages()
                self._hold(state=Run.State.DONE, finished_at=timezone.now())
            except DatabaseError:
                raise ScanInterrupted from None
            finally:
                self._let_go()
            outcome["counts"] = dict(self._run.counts)

    def rest(self, seconds: float) -> None:
        """Sleep, and do not seem dead meanwhile. Raises `ScanInterrupted`."""
        while seconds > 0:
            time.sleep(min(seconds, _BEAT))
            seconds -= _BEAT
            if seconds > 0 and self._writes:
                try:
                    self._mine().update(updated_at=timezone.now())
                except DatabaseError:
                    raise ScanInterrupted from None

    def _begin(self, *, restart: bool) -> None:
        stopped = list(Run.objects.filter(operation=OPERATION, state=Run.State.RUNNING).order_by("-pk"))
        held = [run for run in stopped if leases.is_held(run)]
        if not restart and any(map(self._meets, held)):
            raise ScanRunning
        plan = [self._database, [redact(path) for path in self._paths], [redact(each) for each in self._excluded]]
        last = next((run for run in stopped if run not in held), None)
        # What came through standard input is gone.
        can_resume = not restart and STDIN not in self._paths
        if last and can_resume and last.position.get("plan") == plan and self._is_reachable(last.position):
            self._take_over(last)
        else:
            self._run.position = {"plan": plan, leases.OWNER: self._owner}
            self._run.save()
        over = [run.pk for run in stopped if run.pk != self._run.pk and (run not in held or self._meets(run))]
        Run.objects.filter(pk__in=over).update(state=Run.State.FAILED, finished_at=timezone.now())
        # Two that begin at the same moment may both have seen nobody.
        others = Run.objects.filter(operation=OPERATION, state=Run.State.RUNNING).exclude(pk=self._run.pk)
        if any(leases.is_held(run) and self._meets(run) for run in others):
            raise ScanRunning

    def _meets(self, other: Run) -> bool:
        """True if both read databases, or both read files: each would count what the other does."""
        database, paths, _ = other.position.get("plan", [False, [], []])
        return bool((database and self._database) or (paths and self._paths))

    def _take_over(self, run: Run) -> None:
        position = run.position | {leases.OWNER: self._owner}
        now = timezone.now()
        if not Run.objects.filter(pk=run.pk, updated_at=run.updated_at).update(position=position, updated_at=now):
            raise ScanRunning
        run.position = position
        self._run, self.is_resumed = run, True

    def _mine(self) -> QuerySet[Run]:
        """The run, as long as nobody took it over."""
        owned = {f"position__{leases.OWNER}__id": self._owner["id"]}
        return Run.objects.filter(pk=self._run.pk, state=Run.State.RUNNING, **owned)

    def _hold(self, **changes: Any) -> None:
        """Write to the run. Raises `ScanTakenOver` if it is another's by now."""
        if not self._mine().update(updated_at=timezone.now(), **changes):
            raise ScanTakenOver

    def _let_go(self) -> None:
        """Whoever comes next need not wait. Nothing depends on it."""
        free = {name: value for name, value in self._run.position.items() if name != leases.OWNER}
        with suppress(DatabaseError):
            self._mine().update(position=free)

    def _is_reachable(self, position: dict[str, Any]) -> bool:
        """False if a table or file came or went meanwhile, so that it cannot be told what was read."""
        return any(number == position.get("number", 0) for number, _ in self._left(position))

    def _units(self) -> Iterator[Unit]:
        found: list[Iterator[Unit]] = [tables(self._excluded)] if self._database else []
        return chain(*found, files(self._paths, self._excluded))

    def _left(self, position: dict[str, Any]) -> Iterator[tuple[int, Unit]]:
        for number, unit in enumerate(self._units()):
            if number < position.get("number", 0):
                continue
            if number == position.get("number") and unit.name != position["name"]:
                return
            yield number, unit

    def _pages(self) -> Iterator[tuple[Page, str]]:
        start = dict(self._run.position)
        try:
            for number, unit in self._left(start):
                at = start.get("at", {}) if number == start.get("number") else {}
                if at.get("is_done"):
                    continue
                try:
                    yield from self._pages_of(number, unit, at)
                except ScanInterrupted:
                    if not isinstance(unit, File):
                        raise
                    self._commit(Page([], 0, {"is_done": True}), number, unit, {"unreadable": 1})
        except DatabaseError:
            raise ScanInterrupted from None

    def _pages_of(self, number: int, unit: Unit, at: dict[str, Any]) -> Iterator[tuple[Page, str]]:
        units, rows = ("files", "lines") if isinstance(unit, File) else ("tables", "rows")
        is_first = not at
        for page in unit.pages(at):
            counted = {units: int(is_first), rows: page.read, "found": len(page.sightings)}
            self._commit(page, number, unit, counted)
            yield page, unit.name
            is_first = False
        if is_first:
            # It is empty, or no text.
            self._commit(Page([], 0, {"is_done": True}), number, unit, {"skipped": 1})

    def _commit(self, page: Page, number: int, unit: Unit, counted: dict[str, int]) -> None:
        run, opened = self._run, list[AuditEvent]()
        run.counts = dict(Counter(run.counts) + Counter(counted))
        if not self._writes:
            return
        own = {"plan": run.position["plan"], leases.OWNER: self._owner}
        run.position = {**own, "number": number, "name": unit.name, "at": page.position}
        with transaction.atomic():
            self._hold(position=run.position, counts=run.counts)
            if page.sightings:
                opened = incidents.file(page.sightings, run=run)
        if opened and not self._has_told:
            # A mail for each of a thousand files would be read by nobody.
            alarms.tell(vault_config().ALARM_EMAILS, incidents.FOUND, opened[0])
            self._has_told = True
