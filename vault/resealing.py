"""Sealing stored cards anew, under the keys of now, while everybody goes on reading and writing them.

Two stores cannot be changed at once. So first SQL says what the item will be (`ItemChange`), then the item is replaced
if it is still the one that was opened, then the row follows and the note goes. A reader in between finds an item that
is either the row's or the note's. A process that dies in between leaves the note, and the next one settles it.
"""

from __future__ import annotations

import time
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
from vault.conf import vault_config
from vault.exceptions import RecordTampered, Tampering
from vault.models import Card, ItemChange
from vault.opening import has_newer_keys, is_last_written
from vault.records import PARTITION_KEY, Item
from vault.store import ItemState, Rewrite
from vault.tokens import Token

#: In the audit log.
REENCRYPT: Final = "reencrypt"
# Row and item are read one after the other, and somebody may write both in between.
_LOOKS: Final = 3
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

    def is_due(self, item: Item, card: Card | None) -> bool:
        """True if the card is to be sealed anew, or if it is damaged: then it is opened, and refused there.

        Of an item without a card only its keys are asked.
        """
        if card is not None and self.before is not None and card.sealed_at < self.before:
            return True
        try:
            return not current_vault().store.is_current(item)
        except RecordTampered:
            return True


def is_card(item: Item) -> bool:
    """True for the items that lie under a token."""
    return Token.is_token(item[PARTITION_KEY]["S"])


def notes(tokens: Sequence[str]) -> set[str]:
    """Those of the cards that somebody is writing, or died while writing."""
    return set(ItemChange.objects.filter(card__in=tokens).values_list("card", flat=True))


def reseal(items: Sequence[Item], selection: Selection) -> Counter[Outcome]:
    """Seal those cards anew that are due, and say what became of each. `items` are card items of one page of a scan.

    Raises `VaultUnavailable`, `VaultSealed`, `AuditUnavailable`; nothing is lost then, and the next pass goes on.
    """
    outcomes: Counter[Outcome] = Counter()
    due: list[tuple[Card, Item]] = []
    names = [item[PARTITION_KEY]["S"] for item in items]
    cards = Card.objects.in_bulk(names)
    noted = notes(names)
    for item in items:
        card = cards.get(item[PARTITION_KEY]["S"])
        if card is None or card.is_erased:
            outcomes[Outcome.NO_CARD] += 1
        elif selection.is_due(item, card):
            due.append((card, item))
        elif card.token not in noted:
            outcomes[Outcome.CURRENT] += 1
        elif (looked := _look_again(card)) is Outcome.REFUSED:
            # Refused with an alarm, if it is still damaged then.
            due.append((card, item))
        else:
            # Until its note was settled, the item of before the note passed for good.
            outcomes[looked if isinstance(looked, Outcome) else Outcome.CURRENT] += 1
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
        if change.started_at > timezone.now() - timedelta(seconds=_patience()) or item is None:
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
    started = time.monotonic()
    claimed = _claim(rewrites)
    outcomes[Outcome.BUSY] += len(rewrites) - len(claimed)
    store = current_vault().store
    # Written later than the notes are safe, a card could be written by somebody else as well. The other half of the
    # time is for the last request.
    end = started + _patience() / 2
    written = [rewrite for rewrite in claimed if time.monotonic() < end and store.commit(rewrite)]
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
        looked = _look_again(card)
        if isinstance(looked, Outcome):
            return looked
        item = looked
    try:
        return store.rewrite(token, item)
    except RecordTampered as tampered:
        if tampered.kind is Tampering.FOREIGN_KEY and has_newer_keys(store):
            return Outcome.BUSY
        # It may have been erased, and its number handed in again, or written anew by somebody else.
        looked = _look_again(card)
        if isinstance(looked, Outcome):
            return looked
        return Outcome.REFUSED if looked == item else Outcome.BUSY


def _look_again(card: Card) -> Item | Outcome:
    """The item of a card as last written, with no note left; or why there is none. Brings `card` up to date."""
    token = Token.parse(card.token)
    for _ in range(_LOOKS):
        card.refresh_from_db()
        if card.is_erased:
            return Outcome.NO_CARD
        item = current_vault().store.read([token]).get(token)
        is_settled = settle(card, item)
        card.refresh_from_db()
        if item is not None and is_last_written(card, item):
            return item if is_settled else Outcome.BUSY
    return Outcome.REFUSED


def _patience() -> float:
    """For how many seconds a note may be that of a living process: much longer than a request with all its attempts."""
    config = vault_config()
    return 4 * (config.CONNECT_TIMEOUT + config.READ_TIMEOUT) * config.MAX_ATTEMPTS


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
