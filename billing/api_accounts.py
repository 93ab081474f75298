"""Service accounts: who may have tokens of the API and how many, from where they count, and when one was used."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from knox.models import AuthToken

from billing.models import APIAccount, TokenUse
from billing.token_digests import start_of
from vault.audit import audited
from vault.redaction import contains_pan

_logger: Final = logging.getLogger(__name__)

#: The one that is in use, and the one that takes over.
MOST_LIVE: Final = 2

UNKNOWN: Final = "There is no such user."
INACTIVE: Final = "This user is not active."
STAFF: Final = "This user is staff. Tokens are for service accounts, which sign in nowhere else."
FULL: Final = (
    "This account has two live tokens, which is all it may have. `api_account USER` shows which one is in use; revoke "
    "the other with `api_account USER --revoke START`, or pass --replace-oldest."
)
NO_TOKEN: Final = "This account has no token whose digest begins so."  # noqa: S105 - none itself
SEVERAL_TOKENS: Final = "More than one token of this account has a digest that begins so. Type more of it."

# How coarse the clock of a token is, so that a request does not write to the database.
_TICK: Final = timedelta(minutes=1)


class AccountRefused(Exception):
    """What was asked of an account is not to be had; the message is a constant that says why."""


# --- Who -------------------------------------------------------------------------------------------------------------


def find_account(name: str) -> User:
    """The user of that name, whoever it is. Raises `AccountRefused`."""
    # Asking for a card number under the names of users would be SQL.
    user = None if contains_pan(name) else User.objects.filter(username=name).first()
    if user is None:
        raise AccountRefused(UNKNOWN)
    return user


def _locked(user: User) -> User:
    """The account as it is now, and stays until the transaction ends: one change at a time."""
    found = User.objects.select_for_update().filter(pk=user.pk).first()
    if found is None:
        raise AccountRefused(UNKNOWN)
    if found.is_staff or found.is_superuser:
        raise AccountRefused(STAFF)
    return found


# --- Tokens ----------------------------------------------------------------------------------------------------------


def issue_token(user: User, *, life: timedelta | None = None, replaces_oldest: bool = False) -> str:
    """A new token for a service account, which is shown now and never again; it lives as knox says without `life`.

    No account has more than `MOST_LIVE` of them. With `replaces_oldest` the oldest are revoked as far as it takes, in
    the same transaction. Raises `AccountRefused`, or `AuditUnavailable`; then nothing is made or revoked.
    """
    with transaction.atomic():
        account = _locked(user)
        if not account.is_active:
            raise AccountRefused(INACTIVE)
        live = list(live_tokens(account).order_by("created", "digest"))
        spare = live[: max(len(live) - MOST_LIVE + 1, 0)]
        if spare and not replaces_oldest:
            raise AccountRefused(FULL)
        # Made first: if something fails now, the log has one too many and not one that is said to be revoked and lives.
        _, token = AuthToken.objects.create(account, **({} if life is None else {"expiry": life}))
        for each in spare:
            each.delete()
    return str(token)


def live_tokens(user: User) -> QuerySet[Any]:
    """The tokens of an account that have not expired."""
    mine: QuerySet[Any] = AuthToken.objects.filter(user_id=user.pk)
    return mine.filter(Q(expiry=None) | Q(expiry__gt=timezone.now()))


def tokens_of(user: User) -> QuerySet[Any]:
    """All tokens of an account, the oldest first, with their use."""
    mine: QuerySet[Any] = AuthToken.objects.filter(user_id=user.pk)
    return mine.select_related("use").order_by("created", "digest")


def last_use(token: Any) -> datetime | None:
    """When the token was used last; None if it never was. Asks nothing for a token that came with its use."""
    use: TokenUse | None = getattr(token, "use", None)
    return use.last_used if use else None


def revoke_token(user: User, start: str) -> None:
    """Revoke the one token of the account whose digest begins so. Raises `AccountRefused`, or `AuditUnavailable`."""
    # Compared here and not in SQL: it may be a card number, or a token.
    found = [each for each in tokens_of(user) if start and each.digest.startswith(start)]
    if len(found) != 1:
        raise AccountRefused(SEVERAL_TOKENS if found else NO_TOKEN)
    found[0].delete()


def revoke_tokens(user: User) -> None:
    """Revoke all tokens of the account. Raises `AuditUnavailable`; then none is revoked."""
    tokens_of(user).delete()


# --- Networks --------------------------------------------------------------------------------------------------------


def networks_of(user: Any) -> list[str]:
    """The networks that the account may call from; empty if it may from anywhere."""
    account: APIAccount | None = getattr(user, "api_account", None)
    return list(account.networks) if account else []


def set_networks(user: User, networks: Sequence[str]) -> None:
    """Let the account call from these networks alone, or from anywhere if there are none.

    `networks` are as `billing.networks.parse` gives them. Raises `AccountRefused`, or `AuditUnavailable`; then nothing
    changes.
    """
    with transaction.atomic():
        account = _locked(user)
        change = {"networks_before": networks_of(account), "networks": list(networks)}
        # Within the transaction: what cannot be recorded is undone.
        with audited("account.networks", subject=f"user:{account.pk}", **change):
            APIAccount.objects.update_or_create(user=account, defaults={"networks": list(networks)})


# --- At each request -------------------------------------------------------------------------------------------------


def find_token(digest: str) -> Any:
    """The token with this digest, with its user, the user's networks and its last use; None if there is none.

    All of it is of one moment, in one query.
    """
    found: QuerySet[Any] = AuthToken.objects.filter(pk=digest)
    return found.select_related("user__api_account", "use").first()


def has_expired(token: Any) -> bool:
    """True for a token whose time is over."""
    return token.expiry is not None and token.expiry < timezone.now()


def note_use(token: Any) -> bool:
    """Write down that a token was used now, unless it came with a use of the last minute. True if that was done.

    Raises nothing: it is for people to look at, and no reason to turn a caller away. What goes wrong is logged.
    """
    now, last_used = timezone.now(), last_use(token)
    if last_used is not None and now - last_used < _TICK:
        return False
    try:
        with transaction.atomic():
            if last_used is None:
                TokenUse.objects.bulk_create([TokenUse(token_id=token.pk, last_used=now)], ignore_conflicts=True)
            else:
                # Of requests that come at once one writes.
                TokenUse.objects.filter(pk=token.pk, last_used__lte=now - _TICK).update(last_used=now)
    except DatabaseError as error:
        _logger.warning(
            "The use of an API token could not be noted (digest %s, %s).", start_of(token.pk), type(error).__name__
        )
        return False
    return True
