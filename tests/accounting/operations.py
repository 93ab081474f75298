"""What a worker does, one operation after the other: drawn from the seed of the run, whatever happens meanwhile."""

import random
import uuid
from dataclasses import dataclass
from decimal import Decimal

from tests.accounting.canaries import KNOWN

#: How often each kind is drawn, in a thousand.
WEIGHTS = {
    "place form": 180,
    "place api": 210,
    "place token": 90,
    "place saved": 70,
    "pay again": 110,
    "cancel": 80,
    "forget": 50,
    "erase": 45,
    "read": 100,
    "import": 25,
    "reencrypt": 15,
    "seal": 7,
    "fsck": 1,
    "expired": 10,
}
#: Kinds that place an order.
PLACING = frozenset({"place form", "place api", "place token", "place saved", "pay again"})
#: Of a file to import.
ROWS = 8
_FRESH = 0.5
_TWICE = 0.15
# Commands take many steps, and one of them is as good a moment to die as any other.
_STEPS = {"import": 120, "reencrypt": 300, "rotate": 80, "fsck": 300}
_ROTATES_EVERY, _ROTATES_FIRST = 1000, 20
#: How often the connection of an operation is cut at a step.
CUTS = 0.03


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    :param label: the card to pay with, where a number is handed in
    :param labels: the cards of a file to import
    :param index: chooses among what there is by then
    :param key: of the form, or the idempotency key
    :param via_api: or else as the pages do it
    :param twice: sent once more after it was answered
    :param dies_at: the step at which the process kills itself; 0 if it does not
    :param cut_at: the step at which its connection to the database is cut; 0 if it is not
    :param storm: AWS answers nothing at the first attempt
    """

    slot: int
    number: int
    kind: str
    label: int
    labels: tuple[int, ...]
    index: int
    key: uuid.UUID
    amount: Decimal
    customer: int
    saves: bool
    via_api: bool
    twice: bool
    dies_at: int
    cut_at: int
    storm: bool

    @property
    def name(self) -> str:
        """What its order says of it."""
        return f"{self.slot}/{self.number}"


def draw(seed: str, slot: int, number: int, *, workers: int, deaths: float = 0.02) -> Operation:
    """The operation `number` of a worker. The same seed draws the same."""
    source = random.Random(f"{seed}/{slot}/{number}")  # noqa: S311 - reproducible is the point
    (kind,) = source.choices(list(WEIGHTS), weights=WEIGHTS.values())
    if slot == 0 and number % _ROTATES_EVERY == _ROTATES_FIRST:
        # As operators do: now and then, and not two of them at once.
        kind = "rotate"
    first = KNOWN + (number * workers + slot) * ROWS
    steps = _STEPS.get(kind, 50)
    fresh = source.random() < _FRESH
    return Operation(
        slot=slot,
        number=number,
        kind=kind,
        label=first if fresh else source.randrange(KNOWN),
        labels=tuple(first + row if source.random() < _FRESH else source.randrange(KNOWN) for row in range(ROWS)),
        index=source.randrange(1_000_000),
        key=uuid.UUID(int=source.getrandbits(128), version=4),
        amount=Decimal(source.randrange(1, 100_000)) / 100,
        customer=source.randrange(2),
        saves=source.random() < 0.6,
        via_api=source.random() < 0.5,
        twice=source.random() < _TWICE,
        dies_at=source.randint(1, steps) if source.random() < deaths else 0,
        cut_at=source.randint(1, steps) if source.random() < CUTS else 0,
        storm=source.random() < 0.005,
    )


def labels_of(seed: str, operations: int, workers: int) -> set[int]:
    """Every card that a run may hand in."""
    found = set(range(KNOWN))
    for slot in range(workers):
        for number in range(share(operations, slot, workers)):
            operation = draw(seed, slot, number, workers=workers)
            found |= {operation.label, *operation.labels}
    return found


def share(operations: int, slot: int, workers: int) -> int:
    """How many of the operations are this worker's."""
    return operations // workers + (slot < operations % workers)
