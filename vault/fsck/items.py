"""From the items to the rows: is every item in DynamoDB one that SQL knows, and is it what it should be?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from vault.audit import audited
from vault.backend import current_vault
from vault.exceptions import RecordTampered
from vault.fingerprints import version_of
from vault.fsck.findings import Code, Finding
from vault.fsck.looks import SETTLED, confirmed, is_older, written_at
from vault.keylist import key_ring
from vault.models import Card
from vault.opening import outdated
from vault.records import PARTITION_KEY, Item
from vault.store import OpenedCard
from vault.tokens import Token

#: The audited operation that opens cards to see whether they open.
OPERATION: Final = "fsck"


def check_items(items: Iterable[Item], *, opens: bool = True) -> list[Finding]:
    """What is wrong with the items of a page of a scan, looked at again until it is certain.

    What belongs to neither a card nor a fingerprint, such as a seal of the audit log, is somebody else's business.
    """
    cards: dict[Token, Item] = {}
    fingerprints: dict[str, Item] = {}
    for item in items:
        key = item[PARTITION_KEY]["S"]
        if Token.is_token(key):
            cards[Token(key)] = item
        elif version_of(key) is not None:
            fingerprints[key] = item
    store = current_vault().store
    owners = {name: store.owner(item) for name, item in fingerprints.items()}
    return [
        *confirmed(_cards(cards, opens=opens), lambda findings: _look_at_cards(findings, opens=opens)),
        *confirmed(_strays(fingerprints, owners), lambda findings: _look_at_fingerprints(findings, fingerprints)),
    ]


def check_damaged(fingerprints: Collection[str]) -> list[Finding]:
    """Which of these fingerprint items still fail their integrity check."""
    owners = current_vault().store.owners(fingerprints)
    return [_damaged(name) for name in fingerprints if name in owners and owners[name] is None]


# --- Cards -----------------------------------------------------------------------------------------------------------


def _look_at_cards(findings: Sequence[Finding], *, opens: bool) -> list[Finding]:
    vault = current_vault()
    if any(finding.code is Code.FOREIGN_KEY for finding in findings):
        # The key may have come onto the list after this process read it.
        vault.reload_keys()
    tokens = [Token.parse(token) for token in dict.fromkeys(finding.token for finding in findings)]
    return _cards(vault.store.read(tokens), opens=opens)


def _cards(items: Mapping[Token, Item], *, opens: bool) -> list[Finding]:
    rows = Card.objects.in_bulk([token.text for token in items])
    active = {token: card for token in items if (card := rows.get(token.text)) and not card.is_erased}
    unknown = [token for token, item in items.items() if token.text not in rows and _is_late(item)]
    erased = [
        Finding(Code.UNFINISHED_ERASURE, card.token)
        for card in rows.values()
        if card.is_erased and (card.erased_at is None or is_older(card.erased_at, SETTLED))
    ]
    if not opens:
        return [*erased, *(Finding(Code.UNKNOWN_ITEM, token.text) for token in unknown), *_outdated(active, items)]
    opened, broken = _opened({token: items[token] for token in (*active, *unknown)})
    unknown = [token for token in unknown if token in opened]
    outdated_ones = _outdated({token: card for token, card in active.items() if token in opened}, items)
    told = {finding.token for finding in outdated_ones}
    good = {token: card for token, card in opened.items() if token in active and token.text not in told}
    return [
        *erased,
        *broken,
        *(Finding(Code.UNKNOWN_ITEM, token.text) for token in unknown),
        *outdated_ones,
        *(Finding(Code.METADATA, token.text) for token in good if not is_described(active[token], good[token])),
        *_unrecognized(good),
    ]


def _is_late(item: Item) -> bool:
    """True if the row of an item should be there. It is written right after, and nobody knows after which crash."""
    written = written_at(item)
    return written is None or is_older(written, timedelta(seconds=current_vault().config.ORPHAN_GRACE))


def _outdated(cards: Mapping[Token, Card], items: Mapping[Token, Item]) -> list[Finding]:
    kinds = {token: outdated(card, items[token]) for token, card in cards.items()}
    return [Finding(Code(kind.value), token.text) for token, kind in kinds.items() if kind]


def _opened(items: Mapping[Token, Item]) -> tuple[dict[Token, OpenedCard], list[Finding]]:
    """Open cards, audited: those that open, and what is wrong with the others. Raises what is no fault of an item."""
    opened: dict[Token, OpenedCard] = {}
    broken: list[Finding] = []
    if not items:
        return opened, broken
    store = current_vault().store
    with audited(OPERATION, tokens=[token.text for token in items], cards=len(items)):
        for token, item in items.items():
            try:
                opened[token] = store.open_item(token, item)
            except RecordTampered as tampered:
                broken.append(Finding(Code(tampered.kind.value), token.text))
    return opened, broken


def is_described(card: Card, opened: OpenedCard) -> bool:
    """True if the row of a card says of it what it is."""
    pan = opened.record.pan
    return (card.brand, card.bin, card.last4) == (pan.brand, pan.bin, pan.last4)


def _unrecognized(cards: Mapping[Token, OpenedCard]) -> list[Finding]:
    """Cards that are not found, or not as themselves, when their numbers come again."""
    store = current_vault().store
    # More than one where two cards of a page have the same number.
    wanted: dict[str, list[Token]] = defaultdict(list)
    for token, opened in cards.items():
        # While the fingerprint key rotates, the second one is there as soon as the card was written anew.
        first, *others = store.fingerprints(opened.record.pan)
        for name in (first, *(other for other in others if other in opened.record.fingerprints)):
            wanted[name].append(token)
    owners = store.owners(wanted)
    found = []
    for name, token in ((name, token) for name, tokens in wanted.items() for token in tokens):
        if name not in owners:
            found.append(Finding(Code.FINGERPRINT_MISSING, token.text))
        elif owners[name] is None:
            found.append(_damaged(name, token.text))
        elif owners[name] != token:
            found.append(Finding(Code.DUPLICATE, token.text))
    return list(dict.fromkeys(found))


# --- Fingerprints ----------------------------------------------------------------------------------------------------


def _look_at_fingerprints(findings: Sequence[Finding], items: Mapping[str, Item]) -> list[Finding]:
    vault = current_vault()
    if any(finding.code is Code.FINGERPRINT_DAMAGED for finding in findings):
        # Its key may have come onto the list after this process read it.
        vault.reload_keys()
    owners = vault.store.owners([finding.fingerprint for finding in findings])
    return _strays({name: items[name] for name in owners}, owners)


def _strays(items: Mapping[str, Item], owners: Mapping[str, Token | None]) -> list[Finding]:
    """Fingerprint items that cannot be believed, and those that belong to no card."""
    if not items:
        return []
    vault = current_vault()
    recognized = set(key_ring(vault.config).recognized)
    grace = timedelta(seconds=vault.config.ORPHAN_GRACE)
    late = {name for name, item in items.items() if is_older(written_at(item), grace)}
    current = [name for name in items if version_of(name) in recognized]
    tokens = {owner for name in current if name in late and (owner := owners[name])}
    rows = Card.objects.filter(token__in=[token.text for token in tokens], status=Card.Status.ACTIVE)
    active = {Token(text) for text in rows.values_list("token", flat=True)}
    # A card with an item is dealt with as a card, whatever its row says.
    strays = tokens - active - vault.store.read(list(tokens - active)).keys()
    return [
        *(Finding(Code.FINGERPRINT_STRAY, fingerprint=name) for name in sorted(late.difference(current))),
        *(_damaged(name) for name in current if owners[name] is None),
        *(
            Finding(Code.FINGERPRINT_STRAY, owner.text, name)
            for name in current
            if name in late and (owner := owners[name]) in strays and owner
        ),
    ]


def _damaged(name: str, token: str = "") -> Finding:
    return Finding(Code.FINGERPRINT_DAMAGED, token, name)
