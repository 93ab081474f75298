"""Erasing cards: the digits go for good, and a certificate says so."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from vault.audit import CURRENT, audited, named
from vault.backend import current_vault
from vault.exceptions import AccessDenied, CardInUse, OnHold, Refusal, TokenNotFound
from vault.models import Card, ErasureCertificate
from vault.origin import current_origin
from vault.pan import PAN
from vault.policy import Actor, Right, authorize
from vault.purposes import TEXT_LENGTH
from vault.redaction import contains_pan
from vault.tokens import Token


class Basis(StrEnum):
    """Why a card is erased; the value stands in its certificate."""

    REQUEST = "request"
    CARDHOLDER = "cardholder"
    RETENTION = "retention"
    ORPHAN = "orphan"


def erase(token: Token | str, *, actor: Actor | None, reason: str, is_owner: bool = False) -> ErasureCertificate:
    """Erase a card for good, and give the certificate that proves it.

    Card item and fingerprint items are removed; what refers to the card keeps the token, brand and last four. Erasing
    a card twice gives the same certificate. After a crash on the way nobody can read the card any more, and the next
    call, or `vault_fsck --repair`, does the rest. Not possible within a transaction, which could be rolled back.

    :param is_owner: the caller has made sure that the actor is the cardholder, who needs no right
    :raises AccessDenied: without the right, or for a reason that is empty, too long, or has a card number in it
    :raises TokenNotFound:
    :raises OnHold: the card is under legal hold
    """
    name = Token.parse(token).text
    with audited("erase", actor=actor, token=name, reason=reason, cards=1) as outcome:
        if not is_owner:
            authorize(actor, Right.ERASE)
        if not is_reason(reason):
            raise AccessDenied(Refusal.PURPOSE_TEXT)
        basis = Basis.CARDHOLDER if is_owner else Basis.REQUEST
        certificate = erase_card(name, basis=basis, reason=reason, actor=actor)
        outcome["certificate"] = certificate.number
    return certificate


def erase_card(
    token: str,
    *,
    basis: Basis,
    reason: str,
    actor: object | None = CURRENT,
    is_due: Callable[[Card], bool] | None = None,
) -> ErasureCertificate:
    """Erase a card: see `erase`. Asks no policy and writes no event; that is its caller's.

    `is_due` is asked under the lock of the card's row, behind which a use of the card waits: what it says is true at
    the moment of erasing. Raises `CardInUse` if it says no.
    """
    card = _close(token, is_due)
    remove_items(Token.parse(token))
    return _certified(card, basis=basis, reason=reason, actor=actor)


def erase_due(token: str, *, basis: Basis, reason: str, is_due: Callable[[Card], bool]) -> ErasureCertificate:
    """Erase a card that nobody asked to erase, if it still is due, audited. Raises as `erase_card`, and `OnHold`."""
    with audited("erase", token=token, reason=reason, cards=1) as outcome:
        certificate = erase_card(token, basis=basis, reason=reason, is_due=is_due)
        outcome["certificate"] = certificate.number
    return certificate


def finish(card: Card) -> ErasureCertificate:
    """Do the rest of an erasure that a crash cut off, audited. Its certificate says that much of who began it."""
    if not card.is_erased:
        raise TokenNotFound
    with audited("erase", token=card.token, reason=_FINISHED, cards=1) as outcome:
        remove_items(Token.parse(card.token))
        certificate = _certified(card, basis=Basis.REQUEST, reason=_FINISHED)
        outcome["certificate"] = certificate.number
    return certificate


_FINISHED: Final = "Finished after an interruption. See the audit log."


def remove_items(token: Token, *, pan: PAN | None = None) -> None:
    """Remove what DynamoDB has of a card that is erased in SQL. See `CardStore.remove`."""
    vault = current_vault()
    # Not with the list of a minute ago: a fingerprint under a key that is not on it would stay.
    vault.reload_keys()
    vault.store.remove(token, pan=pan)


def hold(token: Token | str, *, actor: Actor | None, reason: str) -> None:
    """Keep a card from being erased, by anybody, until `release`. Raises `AccessDenied`, `TokenNotFound`."""
    _set_hold("hold", token, actor=actor, reason=reason, text=reason)


def release(token: Token | str, *, actor: Actor | None, reason: str) -> None:
    """End a legal hold. Raises `AccessDenied`, `TokenNotFound`."""
    _set_hold("release", token, actor=actor, reason=reason, text="")


def is_reason(text: str) -> bool:
    """True for words that may stand in the audit log."""
    return 0 < len(text.strip()) <= TEXT_LENGTH and not contains_pan(text)


def _set_hold(operation: str, token: Token | str, *, actor: Actor | None, reason: str, text: str) -> None:
    name = Token.parse(token).text
    with audited(operation, actor=actor, token=name, reason=reason):
        authorize(actor, Right.HOLD)
        if not is_reason(reason):
            raise AccessDenied(Refusal.PURPOSE_TEXT)
        if not Card.objects.filter(token=name, status=Card.Status.ACTIVE).update(hold=text):
            raise TokenNotFound


def _close(token: str, is_due: Callable[[Card], bool] | None) -> Card:
    """From here on nobody reads the card, whatever becomes of this process."""
    with transaction.atomic(durable=True):
        try:
            card = Card.objects.select_for_update().get(token=token)
        except Card.DoesNotExist:
            raise TokenNotFound from None
        if not card.is_erased:
            if card.hold:
                raise OnHold
            if is_due is not None and not is_due(card):
                raise CardInUse
            card.status, card.erased_at = Card.Status.ERASED, timezone.now()
            card.save(update_fields=["status", "erased_at"])
    return card


def _certified(card: Card, *, basis: Basis, reason: str, actor: object | None = CURRENT) -> ErasureCertificate:
    if certificate := ErasureCertificate.objects.filter(card=card).first():
        return certificate
    vault = current_vault()
    origin = current_origin()
    who = {"actor": origin.actor, "actor_name": origin.actor_name} if actor is CURRENT else named(actor)
    number = f"era_{uuid.uuid4().hex}"
    facts: dict[str, Any] = {
        "certificate": number,
        "token": card.token,
        "brand": card.brand,
        "last4": card.last4,
        "erased_at": (card.erased_at or timezone.now()).isoformat(),
        "basis": basis.value,
        "reason": reason,
        "table": vault.config.TABLE,
        **who,
    }
    content, signature, key = vault.notary.sign(facts)
    signed = {"number": number, "issued_at": timezone.now(), "content": content, "signature": signature, "key": key}
    # Somebody else may have erased it at the same time; then theirs stands.
    return ErasureCertificate.objects.get_or_create(card=card, defaults=signed)[0]
