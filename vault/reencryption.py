"""One pass over a segment of the table that seals anew what is not under the keys of now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from django.utils import timezone

from vault.backend import Vault
from vault.models import Card, Run
from vault.records import PARTITION_KEY, Item
from vault.resealing import REENCRYPT, Outcome, Selection, is_card, notes, reseal

_CARDS_AT_ONCE: Final = 25
# What was busy at first is looked at again; what is still busy then is left for another run.
_PASSES: Final = 3


class Reencryption:
    """Resumable: a run that was killed goes on at its last page, if the keys are the ones that it ran for.

    :param everything: seal all cards anew that were sealed before this run began
    """

    def __init__(self, vault: Vault, *, segment: int, total_segments: int, everything: bool = False) -> None:
        self._vault = vault
        self._segment = segment
        self._total = total_segments
        # Not with the list of a minute ago: cards would be sealed under a key that is to be retired.
        vault.reload_keys()
        # Saved with the first page.
        self._run = self._resumed(everything) or self._new(everything)
        self._selection = Selection(before=self._run.started_at if everything else None)

    @property
    def counts(self) -> dict[str, int]:
        """What became of the cards of this run so far, over all its processes."""
        return dict(self._run.counts)

    def run(self) -> Iterator[Counter[Outcome]]:
        """Seal page by page, and yield what became of each. Raises as `reseal`."""
        for _ in range(_PASSES):
            busy = 0
            for outcomes in self._pass():
                busy += outcomes[Outcome.BUSY]
                yield outcomes
            if not busy:
                break
        self._run.state = Run.State.DONE
        self._run.finished_at = timezone.now()
        self._run.save()

    def left(self) -> int:
        """How many cards of the segment are not under the keys of now, or half written, by a scan: the proof.

        Those of which SQL knows nothing, or that they are erased, are among them: they are for `vault_fsck`.
        """
        return sum(len(self._due(items)) for items, _ in self._pages(after=""))

    def _pass(self) -> Iterator[Counter[Outcome]]:
        for items, last in self._pages(after=self._run.position.get("after", "")):
            outcomes = Counter({Outcome.CURRENT: 0})
            for start in range(0, len(items), _CARDS_AT_ONCE):
                outcomes += reseal(items[start : start + _CARDS_AT_ONCE], self._selection)
            self._note(outcomes, last)
            yield outcomes

    def _pages(self, *, after: str) -> Iterator[tuple[list[Item], str]]:
        while True:
            page = self._vault.store.scan(segment=self._segment, total_segments=self._total, after=after)
            yield [item for item in page.items if is_card(item)], page.last
            after = page.last
            if not after:
                return

    def _due(self, items: list[Item]) -> list[Item]:
        names = [item[PARTITION_KEY]["S"] for item in items]
        cards = {name: card for name, card in Card.objects.in_bulk(names).items() if not card.is_erased}
        noted = notes(names) & cards.keys()
        # Also what has no such card. No run seals it anew, and the old key has to stay while it is there.
        return [
            item
            for item, name in zip(items, names, strict=True)
            if name in noted or self._selection.is_due(item, cards.get(name))
        ]

    def _note(self, outcomes: Counter[Outcome], last: str) -> None:
        counts = Counter(self._run.counts)
        counts.update({outcome.value: count for outcome, count in outcomes.items()})
        self._run.counts = dict(counts)
        self._run.position = self._run.position | {"after": last}
        self._run.save()

    def _resumed(self, everything: bool) -> Run | None:
        found = Run.objects.filter(
            operation=REENCRYPT, segment=self._segment, total_segments=self._total, state=Run.State.RUNNING
        )
        for run in found:
            if self._keys(everything).items() <= run.position.items():
                return run
        return None

    def _new(self, everything: bool) -> Run:
        return Run(
            operation=REENCRYPT,
            segment=self._segment,
            total_segments=self._total,
            position={"after": "", **self._keys(everything)},
        )

    def _keys(self, everything: bool) -> dict[str, Any]:
        ring = self._vault.ring
        return {"key": ring.sealing.name, "fingerprints": list(ring.written), "all": everything}
