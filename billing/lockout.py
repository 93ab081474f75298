"""Ten failures lock for 30 minutes (PCI DSS 8.3.4), across processes and restarts: counted in the audit log."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.cache import cache
from django.utils import timezone
from django.utils.crypto import salted_hmac

from vault.audit import attempts, audited, record, was_recorded
from vault.exceptions import AccessDenied, Refusal, VaultError

LIMIT: Final = 10
LOCK: Final = timedelta(minutes=30)
#: What is said to whoever is locked out, whether there is such an account or not.
SENTENCE: Final = "Too many attempts failed. Wait for 30 minutes, then try again."
# Long enough for all who run into the same lock at once to look whether it was reported.
_REPORTING_SECONDS: Final = 10


class WrongCredentials(VaultError):
    """The password or the code is wrong."""


def subject_of_login(typed: str, accounts: Sequence[object]) -> str:
    """Whose attempts are counted together: those for the same accounts, or those for the same unknown name.

    A keyed digest, as what people type for a name may be a password. An account has one count for all its addresses.
    """
    known = ",".join(sorted(str(account) for account in accounts))
    text = f"account {known}" if known else f"name {typed.strip().casefold()}"
    return "login:" + salted_hmac("billing.lockout", text, algorithm="sha256").hexdigest()[:40]


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
