"""Sealing stored cards anew, under the keys of now, while everybody goes on reading and writing them.

Two stores cannot be changed at once. So first SQL says what the item will be (`ItemChange`), then the item is replaced
if it is still the one that was opened, then the row follows and the note goes. A reader in between finds an item that
is either the row's or the note's. A process that dies in between leaves the note, and the next one settles it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from django.db import transaction
from django.utils import timezone

from vault import alarms
from vault.audit import audited
from vault.backend import current_vault
from vault.exceptions import RecordTampered
from vault.models import Card, ItemChange
from vault.opening import is_last_written
from vault.records import PARTITION_KEY, Item
from vault.store import ItemState, Rewrite
from vault.tokens import Token

#: In the audit log.
REENCRYPT: Final = "reencrypt"
# Longer than any request to AWS can take, with all its attempts: until then a note may be that of a living process.
_CLAIM: Final = timedelta(seconds=60)
_TAMPERED: Final = "Cards that failed their integrity check were not sealed again."


class Outcome(StrEnum):
    """What became of a card."""

    RESEALED = "resealed"
    CURRENT = "current"
    # Somebody else is writing it, or was faster. The next pass looks again.
    BUSY = "busy"
    REFUSED = "refused"
    # Its row says that it is erased, or there is none: `vault_fsck` sees to it.
    NO_CARD = "no_card"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cards are sealed anew: those not under the keys of now and, if `before` is given, those sealed before."""

    before: datetime | None = None

    def is_due(self, item: Item, card: Card) -> bool:
        """True if the card is to be sealed anew, or if it is damaged: then it is opened, and refused there."""
        if self.before is not None and card.sealed_at < self.before:
            return True
        try:
            return not current_vault().store.is_current(item)
        except RecordTampered:
            return True


def is_card(item: Item) -> bool:
    """True for the items that lie under a token."""
    return Token.is_token(item[PARTITION_KEY]["S"])


def reseal(items: Sequence[Item], selection: Selection) -> Counter[Outcome]:
    """Seal those cards anew that are due, and say what became of each. `items` are card items of one page of a scan.

    Raises `VaultUnavailable`, `VaultSealed`, `AuditUnavailable`; nothing is lost then, and the next pass goes on.
    """
    outcomes: Counter[Outcome] = Counter()
    due: list[tuple[Card, Item]] = []
    cards = Card.objects.in_bulk([item[PARTITION_KEY]["S"] for item in items])
    for item in items:
        card = cards.get(item[PARTITION_KEY]["S"])
        if card is None or card.is_erased:
            outcomes[Outcome.NO_CARD] += 1
        elif not selection.is_due(item, card):
            outcomes[Outcome.CURRENT] += 1
        else:
            due.append((card, item))
    if due:
        tokens = [card.token for card, _ in due]
        with audited(REENCRYPT, tokens=tokens, cards=len(due)) as outcome:
            done = _reseal(due)
            outcome.update({each.value: count for each, count in done.items()})
        outcomes += done
    return outcomes


def settle(card: Card, item: Item | None) -> bool:
    """Bring the row of a card to what its item says, where somebody died between the two. True if that is done.

    False while the one who made the note may be alive, or if the item is neither the row's nor the note's.
    """
    with transaction.atomic():
        change = ItemChange.objects.select_for_update().filter(card=card).first()
        if change is None:
            return True
        if change.started_at > timezone.now() - _CLAIM or item is None:
            return False
        state = ItemState.of(item)
        if state == ItemState(change.version, change.digest):
            _follow(card.token, before=None, after=state)
        elif state != ItemState(card.item_version, card.item_digest):
            return False
        change.delete()
    return True


def _reseal(due: Sequence[tuple[Card, Item]]) -> Counter[Outcome]:
    outcomes: Counter[Outcome] = Counter()
    rewrites: list[Rewrite] = []
    for card, item in due:
        rewrite = _rewrite(card, item)
        if isinstance(rewrite, Rewrite):
            rewrites.append(rewrite)
        else:
            outcomes[rewrite] += 1
    claimed = _claim(rewrites)
    outcomes[Outcome.BUSY] += len(rewrites) - len(claimed)
    store = current_vault().store
    written = [rewrite for rewrite in claimed if store.commit(rewrite)]
    with transaction.atomic():
        for rewrite in written:
            _follow(rewrite.token.text, before=rewrite.before, after=rewrite.after)
        for rewrite in claimed:
            ItemChange.objects.filter(card=rewrite.token.text, digest=rewrite.after.digest).delete()
    outcomes[Outcome.RESEALED] += len(written)
    outcomes[Outcome.BUSY] += len(claimed) - len(written)
    if refused := outcomes[Outcome.REFUSED]:
        alarms.sound("card.tampered", _TAMPERED, subject=REENCRYPT, count=refused)
    return +outcomes


def _rewrite(card: Card, item: Item) -> Rewrite | Outcome:
    """The card sealed anew, or why it is not."""
    store = current_vault().store
    token = Token.parse(card.token)
    if not is_last_written(card, item) or ItemChange.objects.filter(card=card).exists():
        # Read again: page and row were read one after the other.
        card.refresh_from_db()
        fresh = store.read([token]).get(token)
        if card.is_erased:
            return Outcome.NO_CARD
        if not settle(card, fresh):
            return Outcome.BUSY if is_last_written(card, fresh) else Outcome.REFUSED
        card.refresh_from_db()
        if fresh is None or not is_last_written(card, fresh):
            return Outcome.REFUSED
        item = fresh
    try:
        return store.rewrite(token, item)
    except RecordTampered:
        return Outcome.REFUSED


def _claim(rewrites: Sequence[Rewrite]) -> list[Rewrite]:
    """Note what the items will be; those that somebody else has a note of are left out."""
    notes = [
        ItemChange(card_id=each.token.text, version=each.after.version, digest=each.after.digest) for each in rewrites
    ]
    ItemChange.objects.bulk_create(notes, ignore_conflicts=True)
    mine = dict(ItemChange.objects.filter(card__in=[note.card_id for note in notes]).values_list("card", "digest"))
    return [each for each in rewrites if mine.get(each.token.text) == each.after.digest]


def _follow(token: str, *, before: ItemState | None, after: ItemState) -> None:
    """Let the row say what the item is now."""
    rows = Card.objects.filter(token=token)
    if before is not None:
        rows = rows.filter(item_version=before.version)
    rows.update(item_version=after.version, item_digest=after.digest, sealed_at=timezone.now())
