"""The vault's door: policy, audit and store behind a few functions.

Tokens come out freely; digits come out of the functions named `detokenize` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q

from vault import alarms, erasure
from vault.acceptance import refuse_real
from vault.audit import CURRENT, audited
from vault.backend import current_vault
from vault.cardrows import Status, Tokenization, keep, note_use, remember
from vault.exceptions import (
    AuditUnavailable,
    CardErased,
    RecordTampered,
    TokenNotFound,
    VaultError,
    VaultSealed,
    VaultUnavailable,
)
from vault.models import Card, ErasureCertificate, RevealRequest
from vault.opening import open_cards, open_each
from vault.pan import PAN
from vault.policy import (
    DETOKENIZE,
    SEARCH,
    Actor,
    Right,
    authorize_reading,
    authorize_search,
    is_granted,
    is_granted_sight,
)
from vault.purposes import Purpose
from vault.store import KeptCard
from vault.tokens import Token

__all__ = [
    "Erasure",
    "Status",
    "Tokenization",
    "describe",
    "detokenize",
    "detokenize_each",
    "detokenize_many",
    "erase",
    "erasures",
    "find",
    "is_erased",
    "mark_used",
    "may_follow_erasures",
    "may_use_any_token",
    "search",
    "tokenize",
    "tokenize_each",
    "tokenize_many",
]


def tokenize(pan: PAN, *, expires: date | None = None, is_external: bool = True) -> Tokenization:
    """Keep a card; the same number has the same token, whoever hands it in. See `tokenize_many`."""
    return tokenize_many([pan], expires=[expires], is_external=is_external)[0]


def tokenize_many(
    pans: Sequence[PAN], *, expires: Sequence[date | None] | None = None, is_external: bool = True
) -> list[Tokenization]:
    """Keep cards and return their tokens, in the order given.

    The vault is written before the order history: if the transaction around this call is rolled back, the card is kept
    all the same, and the next call for the number finds it. `expires` is the last day of the month on the card; a known
    card takes a new one over. Say `is_external=False` if the token goes into a `PANField` and nowhere else: then
    `vault_fsck` takes a card that no such field refers to for one whose order was never written, and removes it.

    Raises `VaultUnavailable` or `VaultSealed`, `AuditUnavailable`, `RecordTampered`, and `InvalidPAN` for a number that
    is real where TEST_CARDS_ONLY is set. No token was given out then; of many cards, those that were written before AWS
    failed lie in the vault: the next call for their numbers finds them, or `vault_fsck --repair` writes their rows.
    """
    dates = list(expires) if expires is not None else [None] * len(pans)
    with _alarmed(), audited("tokenize", cards=len(pans)) as outcome:
        refuse_real(pans)
        kept: list[KeptCard] = []
        for start in range(0, len(pans), _CARDS_AT_ONCE):
            # Each time with the list of keys of now: a key may be retired that an older list still seals under.
            kept += keep(pans[start : start + _CARDS_AT_ONCE])
        results = remember(pans, kept, dates, is_external=is_external)
        tokens = [result.token.text for result in results]
        outcome.update({"token": tokens[0]} if len(tokens) == 1 else {"tokens": tokens})
    return results


def tokenize_each(
    pans: Sequence[PAN], *, expires: Sequence[date | None], is_external: bool = True
) -> list[Tokenization | VaultError]:
    """Keep each card that can be kept, in the order given; in the place of any other stands the reason why not.

    Once the vault or the audit log does not answer, the cards that are left are not tried. Raises that reason if no
    card could be kept.
    """
    results: list[Tokenization | VaultError] = []
    lost: VaultError | None = None
    for start in range(0, len(pans), _CARDS_TRIED_AT_ONCE):
        some = slice(start, start + _CARDS_TRIED_AT_ONCE)
        try:
            results += [lost] * len(pans[some]) if lost else _kept(pans[some], expires[some], is_external=is_external)
        except (AuditUnavailable, VaultSealed, VaultUnavailable) as error:
            lost = error
            results += [lost] * len(pans[some])
    if lost and not any(isinstance(result, Tokenization) for result in results):
        raise lost
    return results


def _kept(pans: Sequence[PAN], expires: Sequence[date | None], *, is_external: bool) -> list[Tokenization | VaultError]:
    try:
        return [*tokenize_many(pans, expires=expires, is_external=is_external)]
    except RecordTampered as tampered:
        if len(pans) == 1:
            return [tampered]
    # One of them was tampered with. Each by itself says which; for the others it is no more than once again.
    return [
        result
        for pan, date in zip(pans, expires, strict=True)
        for result in _kept([pan], [date], is_external=is_external)
    ]


def find(pan: PAN) -> Token | None:
    """The token of a card that is kept already, else None. Nothing is written but the audit event."""
    with _alarmed(), audited("find") as outcome:
        token = current_vault().store.find(pan)
        if token and Card.objects.filter(token=token.text, status=Card.Status.ERASED).exists():
            token = None
        outcome["token"] = token.text if token else ""
    return token


def describe(token: Token | str) -> Card:
    """What is known of a card without opening it. Calls neither KMS nor DynamoDB. Raises `TokenNotFound`."""
    try:
        return Card.objects.get(token=Token.parse(token).text)
    except Card.DoesNotExist:
        raise TokenNotFound from None


def is_erased(field: str) -> Exists:
    """An expression for queries over a model with a `PANField`: true where its card is no longer on file. SQL alone."""
    return Exists(Card.objects.filter(token=OuterRef(field), status=Card.Status.ERASED))


def search(pan: PAN, *, actor: Actor | None) -> Card | None:
    """The card with this number, for an actor with the right to search; None if none is on file.

    Raises `AccessDenied`, `AuditUnavailable`, `VaultSealed`, `VaultUnavailable`.
    """
    with _alarmed(actor), audited(SEARCH, actor=actor, cards=1) as outcome:
        authorize_search(actor)
        token = current_vault().store.find(pan)
        card = Card.objects.filter(token=token.text, status=Card.Status.ACTIVE).first() if token else None
        outcome["token"] = card.token if card else ""
    return card


def may_use_any_token(actor: Actor | None) -> bool:
    """True for a trusted service account, which keeps cards and uses any token. Being a superuser is no such right."""
    return is_granted(actor, Right.TOKENIZE)


def mark_used(token: Token | str) -> Card:
    """Note that a card is paid with once more, and describe it. Raises `TokenNotFound`, `CardErased`.

    From then on it is kept as long as a card that was used just now.
    """
    card = describe(token)
    if note_use(card, None, is_external=False) is None:
        raise CardErased
    return card


def erase(token: Token | str, *, actor: Actor | None, reason: str, is_owner: bool = False) -> ErasureCertificate:
    """Erase a card for good, and give the certificate that proves it. See `vault.erasure.erase`.

    Raises `AccessDenied`, `TokenNotFound`, `OnHold`, `AuditUnavailable`, `VaultSealed`, `VaultUnavailable`.
    """
    return erasure.erase(token, actor=actor, reason=reason, is_owner=is_owner)


@dataclass(frozen=True, slots=True)
class Erasure:
    """That a card was erased, as its certificate says."""

    certificate: str
    certified_at: datetime
    token: str
    brand: str
    last4: str
    erased_at: datetime


def erasures(*, since: datetime, after: Erasure | None = None, limit: int = 500) -> list[Erasure]:
    """Erasures that were certified at `since` or later, the oldest first; with `after`, those behind that one.

    Costs as much as it returns, whatever else there is. A certificate is committed soon after the moment that it
    bears, and not at it: whoever follows erasures has to look back a while.
    """
    found = ErasureCertificate.objects.filter(issued_at__gte=since).select_related("card")
    if after is not None:
        later = Q(issued_at__gt=after.certified_at) | Q(number__gt=after.certificate)
        found = found.filter(later, issued_at__gte=after.certified_at)
    return [
        Erasure(
            certificate=certificate.number,
            certified_at=certificate.issued_at,
            token=certificate.card_id,
            brand=certificate.card.brand,
            last4=certificate.card.last4,
            erased_at=certificate.card.erased_at or certificate.issued_at,
        )
        for certificate in found.order_by("issued_at", "number")[:limit]
    ]


def may_follow_erasures(actor: Actor | None) -> bool:
    """True for an active actor who was granted to view or to store cards. Being a superuser is no such grant."""
    return is_granted_sight(actor)


def detokenize(
    token: Token | str, *, actor: Actor | None, purpose: Purpose | str, reveal: RevealRequest | None = None
) -> PAN:
    """The card number under `token`, for an actor with the right and a purpose. See `detokenize_many`."""
    return detokenize_many([token], actor=actor, purpose=purpose, reveal=reveal)[0]


def detokenize_many(
    tokens: Sequence[Token | str],
    *,
    actor: Actor | None,
    purpose: Purpose | str,
    reveal: RevealRequest | None = None,
) -> list[PAN]:
    """The card numbers under `tokens`, in the order given: all of them or none.

    The purpose is a `Purpose`, or its text form: "refund: charged twice". `reveal` is the approved request that staff
    need where approval is switched on; see `vault.reveals`.

    Raises `DetokenizationDenied` with the reason, `TokenNotFound`, `CardErased`, `RecordTampered` for an item that is
    not the one last written, `AuditUnavailable`, `VaultSealed`, `VaultUnavailable`.
    """
    wanted = [Token.parse(token) for token in tokens]
    names = [token.text for token in wanted]
    purpose = Purpose.parse(purpose)
    about: dict[str, Any] = {"token": names[0]} if len(names) == 1 else {"tokens": names}
    about |= {"purpose": purpose.name, "reason": purpose.text}
    with _alarmed(actor, **about), audited(DETOKENIZE, actor=actor, cards=len(names), **about):
        authorize_reading(actor, purpose=purpose, tokens=names, reveal=reveal)
        return open_cards(wanted)


def detokenize_each(
    tokens: Sequence[str], *, actor: Actor | None, purpose: Purpose, is_all_or_none: bool = False
) -> list[PAN | VaultError | None]:
    """The card number under each token, or the reason why there is none, in the order given.

    With `is_all_or_none` nothing is opened if one of them cannot be; the others are None then. What is no token is
    `TokenNotFound`, as an unknown one. All count in the budget, and all stand in one audit event. Raises
    `DetokenizationDenied`, `AuditUnavailable`, `VaultSealed`, `VaultUnavailable`.
    """
    wanted = [Token(text) for text in tokens if Token.is_token(text)]
    about: dict[str, Any] = {"purpose": purpose.name, "reason": purpose.text}
    names = [token.text for token in wanted]
    with (
        _alarmed(actor, **about),
        audited(DETOKENIZE, actor=actor, cards=len(tokens), tokens=names, **about) as outcome,
    ):
        authorize_reading(actor, purpose=purpose, tokens=names, reveal=None)
        unknown = {text: TokenNotFound() for text in tokens if not Token.is_token(text)}
        if unknown and is_all_or_none:
            return [unknown.get(text) for text in tokens]
        found = dict(zip(names, open_each(wanted, is_all_or_none=is_all_or_none), strict=True))
        failed = {name: type(each).__name__ for name, each in found.items() if isinstance(each, VaultError)}
        outcome |= {"failed": failed, "opened": sum(isinstance(each, PAN) for each in found.values())}
    for name, each in found.items():
        if isinstance(each, RecordTampered):
            alarms.sound("card.tampered", _TAMPERED, actor=actor, kind=each.kind.value, token=name, **about)
    return [unknown.get(text) or found[text] for text in tokens]


_TAMPERED: Final = "A stored card failed its integrity check. Nothing was given out."
# As much as one list of keys is good for; the store looks at it again before each write.
_CARDS_AT_ONCE: Final = 1_000
# If AWS fails in the middle, these are what nobody knows of whether they were kept.
_CARDS_TRIED_AT_ONCE: Final = 100


@contextmanager
def _alarmed(actor: object | None = CURRENT, **about: Any) -> Iterator[None]:
    """Raise an alarm for what nobody but an attacker, or a restore gone wrong, does to an item."""
    try:
        yield
    except RecordTampered as tampered:
        alarms.sound("card.tampered", _TAMPERED, actor=actor, kind=tampered.kind.value, **about)
        raise
