"""Ten failures lock for 30 minutes (PCI DSS 8.3.4), across processes and restarts: counted in the audit log."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.cache import cache
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_noop

from vault.audit import attempts, audited, record, was_recorded
from vault.exceptions import AccessDenied, Refusal, VaultError

LIMIT: Final = 10
LOCK: Final = timedelta(minutes=30)
#: What is said to whoever is locked out, whether there is such an account or not.
SENTENCE: Final = gettext_noop("Too many attempts failed. Wait for 30 minutes, then try again.")
# Long enough for all who run into the same lock at once to look whether it was reported.
_REPORTING_SECONDS: Final = 10


class WrongCredentials(VaultError):
    """The password or the code is wrong."""


class AnotherAccount(WrongCredentials):
    """The password is that of another account with the same address."""


def subject_of_account(key: object) -> str:
    """Under which the attempts at an account are counted, whichever of its addresses is typed."""
    return _subject(f"account {key}")


def subject_of_name(typed: str) -> str:
    """Under which those are counted that name nobody. A keyed digest: what people type for a name may be a password."""
    return _subject(f"name {typed.strip().casefold()}")


def _subject(text: str) -> str:
    return "login:" + salted_hmac("billing.lockout", text, algorithm="sha256").hexdigest()[:40]


@contextmanager
def attempt_at_each(operation: str, accounts: Sequence[object], **about: Any) -> Iterator[dict[str, Any]]:
    """One `attempt` for each account that may be meant; all of them are refused if one is locked.

    The block puts the key of whoever it was under "user" into what this yields. For the others it was a failure: they
    are counted one by one, or whoever shares an address with somebody could lift or thin out the count of the other.
    """
    outcome: dict[str, Any] = {}
    with ExitStack() as stack:
        for account in accounts:
            stack.enter_context(_attempt_at(operation, account, outcome, accounts=list(accounts), **about))
        yield outcome


@contextmanager
def _attempt_at(operation: str, account: object, outcome: dict[str, Any], **about: Any) -> Iterator[None]:
    try:
        with attempt(operation, subject_of_account(account), **about) as own:
            yield
            _take(outcome, own, account)
    except AnotherAccount:
        # What the block raised itself goes on its way: this is about the end of one that went well.
        if "user" not in outcome:
            raise


@contextmanager
def attempt(operation: str, subject: str, **about: Any) -> Iterator[dict[str, Any]]:
    """Audit what runs inside, unless `subject` is locked: then raise `AccessDenied`, and nothing runs.

    The block raises `WrongCredentials` for a failure; leaving it otherwise is a success, after which counting begins
    anew. Raises `AuditUnavailable` instead of running it, or instead of letting it succeed.
    """
    operation_id = uuid.uuid4().hex
    try:
        with audited(operation, subject=subject, operation_id=operation_id, **about) as outcome:
            # Asked after the intent stands: of many guesses at once, the eleventh sees ten others. The other way round
            # all of them would see none.
            _refuse_locked(operation, subject, operation_id)
            yield outcome
    except (AccessDenied, WrongCredentials):
        if is_locked(operation, subject):
            _report(operation, subject)
        raise


def _take(outcome: dict[str, Any], own: dict[str, Any], account: object) -> None:
    if outcome.get("user") != account:
        raise AnotherAccount
    own["user"] = account


def _refuse_locked(operation: str, subject: str, operation_id: str) -> None:
    if is_locked(operation, subject, leaving_out=operation_id):
        raise AccessDenied(Refusal.LOCKED)


def is_locked(operation: str, subject: str, *, leaving_out: str = "") -> bool:
    """True if the last ten attempts that were let through lie within 30 minutes and none succeeded since.

    The lock ends 30 minutes after the tenth. What is refused meanwhile does not prolong it: or anybody could keep
    somebody out for good.
    """
    now = timezone.now()
    open_or_failed: list[datetime] = []
    for each in attempts(operation, subject, since=now - 2 * LOCK):
        if each.outcome == "done":
            open_or_failed.clear()
        elif each.outcome != "denied" and each.operation_id != leaving_out:
            open_or_failed.append(each.time)
    times = sorted(open_or_failed)
    runs = zip(times, times[LIMIT - 1 :], strict=False)
    return any(last - first <= LOCK and now - last < LOCK for first, last in runs)


def _report(operation: str, subject: str) -> None:
    """Write the alarm once for each lock."""
    name = f"{operation}.lock"
    # Of several processes one adds the key. Losing the cache loses nothing but this: the lock does not stand there.
    if not cache.add(f"billing.lockout.{name}.{subject}", 1, _REPORTING_SECONDS):
        return
    if not was_recorded(name, subject, since=timezone.now() - LOCK):
        record(name, is_alarm=True, subject=subject, minutes=LOCK.seconds // 60)
