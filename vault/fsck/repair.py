"""Putting right what can be put right without guessing. What is destroyed is asked about again right before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from django.utils import timezone

from vault import erasure
from vault.audit import audited
from vault.backend import current_vault
from vault.exceptions import CardInUse, OnHold, RecordTampered, TokenNotFound
from vault.fsck.findings import Code, Finding
from vault.fsck.items import OPERATION
from vault.fsck.references import Column
from vault.fsck.rows import is_orphan
from vault.models import Card
from vault.resealing import settle
from vault.retention import date_card, retention
from vault.store import OpenedCard
from vault.tokens import Token

_ORPHAN: Final = "Nothing refers to it; its order was never written."


def repair(finding: Finding, columns: Sequence[Column]) -> bool:
    """Put one thing right; True if it is not wrong any more, for whatever reason.

    Raises `VaultUnavailable`, `VaultSealed`, `AuditUnavailable`: then nobody knows.
    """
    if not finding.is_repairable:
        return False
    try:
        if finding.code is Code.ORPHAN:
            _erase_orphan(finding, columns)
        else:
            _REPAIRS[finding.code](finding)
    except CardInUse:
        # Somebody needs it after all.
        return True
    except (Card.DoesNotExist, OnHold, RecordTampered, TokenNotFound):
        return False
    return True


def _erase_orphan(finding: Finding, columns: Sequence[Column]) -> None:
    erasure.erase_due(
        finding.token, basis=erasure.Basis.ORPHAN, reason=_ORPHAN, is_due=lambda card: is_orphan(card, columns)
    )


def _erase_rest(finding: Finding) -> None:
    erasure.finish(Card.objects.get(token=finding.token))


def _date(finding: Finding) -> None:
    date_card(finding.token)


def _opened(token: str) -> OpenedCard:
    name = Token.parse(token)
    with audited(OPERATION, token=token, cards=1):
        return current_vault().store.open([name])[0]


def _write_row(finding: Finding) -> None:
    """The row of a card that SQL has lost. Nobody knows who keeps its token, so somebody outside may."""
    opened, now = _opened(finding.token), timezone.now()
    pan = opened.record.pan
    columns = {
        "brand": pan.brand,
        "bin": pan.bin,
        "last4": pan.last4,
        "item_version": opened.state.version,
        "item_digest": opened.state.digest,
        "sealed_at": now,
        "used_at": now,
        "is_external": True,
    }
    Card.objects.get_or_create(token=finding.token, defaults=columns | retention(expires=None, used_at=now))


def _write_fingerprints(finding: Finding) -> None:
    pan, damaged = _opened(finding.token).record.pan, finding.fingerprint
    store = current_vault().store
    if damaged in store.fingerprints(pan) and store.owners([damaged]) == {damaged: None}:
        store.remove_fingerprint(damaged)
    store.restore_fingerprints(Token.parse(finding.token), pan)


def _remove_stray(finding: Finding) -> None:
    """Remove a fingerprint item, unless the number was kept anew in the meantime."""
    store = current_vault().store
    owner = Token.parse(finding.token) if finding.token else None
    if store.owners([finding.fingerprint]) == {finding.fingerprint: owner}:
        store.remove_fingerprint(finding.fingerprint)


def _describe(finding: Finding) -> None:
    if finding.reference:
        card = Card.objects.get(token=finding.token)
        right = {"brand": card.brand, "last4": card.last4}
        finding.reference.column.write(finding.reference.key, finding.token, right)
        return
    pan = _opened(finding.token).record.pan
    Card.objects.filter(token=finding.token).update(brand=pan.brand, bin=pan.bin, last4=pan.last4)


def _settle(finding: Finding) -> None:
    """Say in the row of a card which of two states its item has."""
    token = Token.parse(finding.token)
    settle(Card.objects.get(token=token.text), current_vault().store.read([token]).get(token))


_REPAIRS: Final[dict[Code, Callable[[Finding], None]]] = {
    Code.UNKNOWN_ITEM: _write_row,
    Code.FINGERPRINT_DAMAGED: _write_fingerprints,
    Code.FINGERPRINT_MISSING: _write_fingerprints,
    Code.FINGERPRINT_STRAY: _remove_stray,
    Code.METADATA: _describe,
    Code.UNFINISHED_CHANGE: _settle,
    Code.UNFINISHED_ERASURE: _erase_rest,
    Code.UNDATED: _date,
}
