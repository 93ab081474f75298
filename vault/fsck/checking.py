"""One run over both stores: all stages, with repairs if they are wanted, remembered so that a killed run goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections
from django.utils import timezone

from vault import alarms
from vault.fsck.findings import Code, Finding
from vault.fsck.items import OPERATION, check_damaged
from vault.fsck.references import columns
from vault.fsck.repair import repair
from vault.fsck.stages import ChangeStage, ColumnStage, ItemStage, RowStage, Stage
from vault.models import Run
from vault.pace import Pace, silent

_TAMPERED: Final = "Stored cards failed their integrity check."
# The position of a stage that came to its end. No token and no primary key.
_DONE: Final = "*"


@dataclass(frozen=True, slots=True)
class Options:
    """How a run goes about it.

    :param opens: open every card; without it what only an opened card tells stays unknown
    :param repairs: put right what can be put right
    :param rate: things looked at in a second, at most; 0 is as fast as it goes
    :param segments: how many parts of the table are looked at side by side
    """

    opens: bool = True
    repairs: bool = False
    rate: int = 0
    segments: int = 1


class Check:
    """A run. `run.counts` says what came of it: things looked at, and findings and repairs by code.

    :param tell: is told of each finding, and whether it was repaired
    :param progress: is told of each page how many things it had
    """

    def __init__(
        self,
        options: Options,
        *,
        tell: Callable[[Finding, bool], None],
        progress: Callable[[int], object] = silent,
        resume: bool = False,
    ) -> None:
        self._options = options
        self._tell = tell
        self._progress = progress
        self._pace = Pace(options.rate)
        self._lock = threading.Lock()
        self._columns = columns()
        self.run = (resume and _unfinished(options)) or _new(options)
        position = self.run.position
        self._damaged: list[str] = position["damaged"]
        self._claimed: list[str] = position["claimed"]

    def __call__(self) -> Run:
        """Go through everything that the run has not seen yet. One alarm is sounded if cards were tampered with.

        Raises `VaultUnavailable`, `VaultSealed`, `AuditUnavailable`; then the run can be resumed.
        """
        options = self._options
        items = [ItemStage(each, options.segments, options.opens, self._damaged) for each in range(options.segments)]
        try:
            self._walk_side_by_side(items)
            # Once every card was opened it is certain that no card claims what is left.
            self._settle(check_damaged(sorted(set(self._damaged) - set(self._claimed))))
            self._damaged.clear()
            self._walk(ChangeStage())
            self._walk(RowStage(self._columns))
            for column in self._columns:
                self._walk(ColumnStage(column))
        finally:
            self._alarm()
        run = self.run
        run.state, run.finished_at = Run.State.DONE if self.is_clean else Run.State.FAILED, timezone.now()
        run.save()
        return run

    @property
    def left(self) -> int:
        """How many findings were not repaired."""
        found, repaired = (sum(self.run.counts[name].values()) for name in ("found", "repaired"))
        return int(found - repaired)

    @property
    def is_clean(self) -> bool:
        """True if nothing is left to be done."""
        return not self.left

    def _walk_side_by_side(self, stages: Sequence[Stage]) -> None:
        if len(stages) == 1:
            self._walk(stages[0])
            return
        with ThreadPoolExecutor(len(stages)) as pool:
            # Each thread knows who started it, and who has stdout.
            walks = [pool.submit(copy_context().run, self._walk_in_thread, stage) for stage in stages]
        for walk in walks:
            walk.result()

    def _walk_in_thread(self, stage: Stage) -> None:
        try:
            self._walk(stage)
        finally:
            connections.close_all()

    def _walk(self, stage: Stage) -> None:
        after = self.run.position["after"].get(stage.name, "")
        while after != _DONE:
            page = stage.page(after)
            after = page.last or _DONE
            self._settle(page.findings, stage=stage, seen=page.seen, after=after)
            self._progress(page.seen)
            self._pace.spend(page.seen)

    def _settle(
        self, findings: Sequence[Finding], *, stage: Stage | None = None, seen: int = 0, after: str = ""
    ) -> None:
        """Repair what a page had, and remember both together: after a crash the page is looked at again as a whole."""
        settled = []
        for finding in findings:
            is_repaired = self._options.repairs and repair(finding, self._columns)
            settled.append((finding, is_repaired))
            with self._lock:
                self._tell(finding, is_repaired)
        with self._lock:
            counts = self.run.counts
            for finding, is_repaired in settled:
                _add(counts["found"], finding.code)
                if is_repaired:
                    _add(counts["repaired"], finding.code)
                if finding.code is Code.FINGERPRINT_DAMAGED:
                    self._claimed.append(finding.fingerprint)
            if stage:
                _add(counts, stage.counted_as, seen)
                self.run.position["after"][stage.name] = after
            self.run.save(update_fields=["position", "counts", "updated_at"])

    def _alarm(self) -> None:
        """Once for a run, however often it was resumed since."""
        count = sum(number for code, number in self.run.counts["found"].items() if Code(code).is_tampering)
        if count > self.run.position["alarmed"]:
            alarms.sound("fsck.tampered", _TAMPERED, count=count)
            self.run.position["alarmed"] = count
            self.run.save(update_fields=["position", "updated_at"])


def _unfinished(options: Options) -> Run | None:
    """The newest run that was stopped on its way, if it went about it in the same way."""
    newest = Run.objects.filter(operation=OPERATION).order_by("-started_at", "-pk").first()
    is_same = newest and newest.state == Run.State.RUNNING and newest.position.get("opens") == options.opens
    return newest if newest and is_same and newest.total_segments == options.segments else None


def _new(options: Options) -> Run:
    return Run.objects.create(
        operation=OPERATION,
        total_segments=options.segments,
        position={"opens": options.opens, "after": {}, "damaged": [], "claimed": [], "alarmed": 0},
        counts={"found": {}, "repaired": {}},
    )


def _add(counts: dict[str, Any], name: str, number: int = 1) -> None:
    counts[str(name)] = counts.get(str(name), 0) + number
