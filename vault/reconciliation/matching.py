"""Which decryptions are of this vault, and which of them the audit log accounts for."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from sys import intern
from typing import Final, NamedTuple

from vault.reconciliation.trail import Decryption
from vault.tokens import Token

#: Operations in the audit log that ask KMS to open what is not one card, and that no token stands for.
FINGERPRINT_KEY: Final = "fingerprint_key.unwrap"
DATA_KEY: Final = "data_key.unwrap"
#: The made-up card of `vault_check`.
CHECK: Final = "check"

# What the application sends as the encryption context. Kept here as literals on purpose: a mistake in the modules that
# send it must show here and not be followed.
_TABLE: Final = "*aws-kms-table*"
_TOKEN: Final = "token"  # noqa: S105 - the name of an attribute
_REUSED_MARK: Final = "vault-reused-data-key"

# The clocks of AWS and of the application's machines differ.
_SKEW: Final = timedelta(seconds=2)


class Reason(StrEnum):
    """Why a decryption went round the application; the value is the stable code, `sentence` is for people."""

    UNAUDITED = "unaudited"
    FOREIGN_CONTEXT = "foreign_context"
    RE_ENCRYPTED = "re_encrypted"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES: Final = {
    Reason.UNAUDITED: "no audited operation is left that accounts for it",
    Reason.FOREIGN_CONTEXT: "the application never sends this encryption context",
    Reason.RE_ENCRYPTED: "the application never re-encrypts",
}


@dataclass(frozen=True, slots=True)
class Keys:
    """What makes a decryption one of this vault: the table's name, and the ARNs of all keys it has, or had."""

    table: str
    arns: frozenset[str]

    def owns(self, decryption: Decryption) -> bool:
        """True if it names our table, or was or should have been made with one of our keys."""
        context = decryption.context
        if context.get(_TABLE) == self.table or _is_fingerprint(context, self.table):
            return True
        ours = {_everywhere(arn) for arn in self.arns}
        # Where access was denied, CloudTrail has neither context nor key but in the sentence.
        return _everywhere(decryption.key) in ours or any(key in decryption.refusal for key in ours)


def _everywhere(arn: str) -> str:
    """Account and id of a key. A multi-Region key opens under the same id in every region that it is copied to."""
    return arn.split(":", 4)[-1]


def _is_fingerprint(context: dict[str, str], table: str) -> bool:
    return context.get("purpose") == "fingerprint" and context.get("table") == table


class Warrant(NamedTuple):
    """That an audited operation was about to open something: a token, or one of the operations above."""

    time: datetime
    account: str


@dataclass(frozen=True, slots=True)
class Opening:
    """A decryption of this vault, as far as it is shown. `token` is empty where there is none."""

    time: datetime
    principal: str
    source: str
    token: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A decryption that went round the application, and how that is known.

    :param others: principals who opened the same within the window; it may as well have been theirs that nobody audited
    """

    opening: Opening
    reason: Reason
    others: tuple[str, ...] = ()


class Reconciliation:
    """Collects the decryptions of a vault, and then the audited operations that account for them.

    One operation accounts for one decryption, of its own token and within the window after it. So somebody who opens a
    card beside an audited read of the same card is seen: two were opened, and one is accounted for. Which of the two
    went round the application their times do not tell; the finding names both principals.

    Memory grows with the decryptions of this vault in the trail and not with the audit log.
    """

    def __init__(self, keys: Keys, *, window: timedelta) -> None:
        self._keys = keys
        self._window = window
        self._seen: set[str] = set()
        self._openings: dict[str, list[Opening]] = defaultdict(list)
        self._principals: Counter[str] = Counter()
        self._times_by_principal: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
        self._findings: list[Finding] = []
        self._times: list[datetime] = []
        self.failed: Counter[tuple[str, str]] = Counter()
        self.records = 0
        self.opened = 0
        self.accounted = 0

    def add(self, decryption: Decryption) -> None:
        """Take a decryption from the trail, in any order. What CloudTrail delivered twice counts once."""
        self.records += 1
        if not self._keys.owns(decryption) or decryption.id in self._seen:
            return
        self._seen.add(decryption.id)
        if decryption.error:
            self.failed[decryption.error, decryption.principal] += 1
            return
        self.opened += 1
        account = self._account(decryption)
        token = account if Token.is_token(account) else ""
        opening = Opening(
            decryption.time, intern(decryption.principal), intern(decryption.source), token, decryption.event_id
        )
        if decryption.event != "Decrypt":
            self._findings.append(Finding(opening, Reason.RE_ENCRYPTED))
        elif not account:
            self._findings.append(Finding(opening, Reason.FOREIGN_CONTEXT))
        else:
            self._openings[account].append(opening)
            self._principals[opening.principal] += 1
            self._times.append(opening.time)

    def _account(self, decryption: Decryption) -> str:
        """What has to stand in the audit log for this one; empty if nothing of the application sends it."""
        context = decryption.context
        if _is_fingerprint(context, self._keys.table):
            return FINGERPRINT_KEY
        if context.get(_TABLE) != self._keys.table:
            return ""
        token = context.get(_TOKEN, "")
        if _REUSED_MARK in context:
            return "" if token else DATA_KEY
        return token if Token.is_token(token) else ""

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """From when to when the audit log has to be read; None if nothing in it is needed."""
        if not self._times:
            return None
        return min(self._times) - self._window - _SKEW, max(self._times) + timedelta(seconds=1) + _SKEW

    def settle(self, warrants: Iterable[Warrant]) -> list[Finding]:
        """What is left when every warrant has been taken, in the order of time.

        `warrants` comes backward in time. As all windows are equally long, each operation taking the latest decryption
        that it can account for leaves as few as possible.
        """
        # Within one second, whoever opens most is taken for the application.
        for account, openings in self._openings.items():
            openings.sort(key=lambda opening: (opening.time, self._principals[opening.principal]))
            for opening in openings:
                self._times_by_principal[account][opening.principal].append(opening.time)
        left = {account: openings.copy() for account, openings in self._openings.items()}
        for warrant in warrants:
            self._take(warrant, left.get(warrant.account, []))
        for account, openings in left.items():
            for opening in openings:
                self._report(account, opening)
        return sorted(self._findings, key=lambda finding: (finding.opening.time, finding.opening.event_id))

    def _take(self, warrant: Warrant, openings: list[Opening]) -> None:
        latest = warrant.time + self._window
        while openings and openings[-1].time > latest:
            # No operation before this one reaches as far.
            self._report(warrant.account, openings.pop())
        # The times of CloudTrail are whole seconds, cut off.
        if openings and openings[-1].time >= warrant.time.replace(microsecond=0) - _SKEW:
            openings.pop()
            self.accounted += 1

    def _report(self, account: str, opening: Opening) -> None:
        first, last = opening.time - self._window, opening.time + self._window
        others = {
            principal
            for principal, times in self._times_by_principal[account].items()
            if bisect_left(times, first) < bisect_right(times, last)
        }
        self._findings.append(Finding(opening, Reason.UNAUDITED, tuple(sorted(others - {opening.principal}))))
