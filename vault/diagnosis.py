"""One round trip through the vault, step by step, and what each failure most likely means."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from vault.audit import audited
from vault.aws import CLOCK_WRONG, CREDENTIALS_STILLBORN
from vault.backend import Vault
from vault.conf import Backend
from vault.exceptions import RecordTampered, VaultError, VaultSealed
from vault.keylist import key_ring
from vault.pan import PAN
from vault.reconciliation.matching import CHECK
from vault.tokens import Token

_HINTS: Final = {
    "AccessDeniedException": "The role in use lacks this right. See the policy in docs/aws.md.",
    "DisabledException": "Enable the KMS key again, or cancel its deletion.",
    "KMSInvalidStateException": "Enable the KMS key again, or cancel its deletion.",
    "NotFoundException": "Run manage.py vault_provision.",
    "ResourceNotFoundException": "Run manage.py vault_provision.",
    "NoCredentialsError": "Give credentials by role, environment or AWS_PROFILE.",
    "ProfileNotFound": "AWS_PROFILE names a profile that is not in the AWS configuration.",
    "ExpiredTokenException": "The credentials have expired. Sign in again.",
    "UnrecognizedClientException": "AWS does not know these credentials.",
    "InvalidSignatureException": "The credentials are wrong, or the clock of this machine is.",
    "RequestExpired": "The clock of this machine is wrong.",
    CLOCK_WRONG: "The clock of this machine is wrong by {} minutes. Set it, and let NTP keep it.",
    CREDENTIALS_STILLBORN: "The clock of this machine is ahead, or the role gives out old credentials.",
    "EndpointConnectionError": "The endpoint cannot be reached: check AWS_REGION, VAULT_ENDPOINT_URL and the network.",
    "ConnectTimeoutError": "The endpoint cannot be reached: check AWS_REGION, VAULT_ENDPOINT_URL and the network.",
    "IncorrectKeyException": "The fingerprint secret was wrapped under another key than VAULT_FINGERPRINT_KEY.",
    "InvalidCiphertextException": "The fingerprint secret is not of this table. Restore it from a backup.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One step, and what is wrong with it: empty if nothing is. Steps after a failed one are not tried."""

    step: str
    problem: str = ""
    hint: str = ""
    was_tried: bool = True


def diagnose(vault: Vault) -> Iterator[Finding]:
    """Go the way of one card, with a made-up number of no brand that is deleted again, and yield what each step found.

    Nothing of the order history is read or written.
    """
    has_failed = False
    for step, attempt in _steps(vault):
        if has_failed:
            yield Finding(step, was_tried=False)
            continue
        try:
            attempt()
        except VaultError as error:
            has_failed = True
            yield Finding(step, error.aws_answer or error.message, _hint(error))
        else:
            yield Finding(step)


def _hint(error: VaultError) -> str:
    code, _, number = error.aws_answer.split(": ")[-1].partition(" ")
    return _HINTS.get(code, "").format(number)


def _steps(vault: Vault) -> list[tuple[str, Callable[[], object]]]:
    config = vault.config
    probe = _Probe(vault)
    where = "embedded" if config.BACKEND is Backend.EMBEDDED else config.REGION
    return [
        (f"Card key {config.CARD_KEY} ({where})", lambda: _require_sealing_key(vault)),
        (f"Fingerprint key {config.FINGERPRINT_KEY}", lambda: vault.session.require_key(config.FINGERPRINT_KEY)),
        (f"Table {config.TABLE} and fingerprint secret", lambda: _unwrap_fingerprint_keys(vault)),
        ("Keep a card", probe.keep),
        ("Recognize it", probe.find),
        ("Open it", probe.open),
        ("Delete it", probe.delete),
    ]


def _require_sealing_key(vault: Vault) -> None:
    """The key that seals now; by the name in the settings too, which an operator looks at."""
    for name in {vault.config.CARD_KEY, key_ring(vault.config).sealing.name}:
        vault.session.require_key(name)


def _unwrap_fingerprint_keys(vault: Vault) -> None:
    for version in key_ring(vault.config).recognized:
        vault.unwrap_fingerprint_key(version)


class _Probe:
    """A random number in a range that belongs to no card scheme."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        body = "9" + "".join(random.choice("0123456789") for _ in range(14))  # noqa: S311 - not a secret
        self._pan = next(pan for digit in "0123456789" if (pan := _valid(body + digit)))
        self._token: Token

    def keep(self) -> None:
        (kept,) = self._vault.store.keep([self._pan])
        self._token = kept.token

    def find(self) -> None:
        if self._vault.store.find(self._pan) != self._token:
            raise VaultSealed

    def open(self) -> None:
        with audited(CHECK, token=self._token.text, cards=1):
            (opened,) = self._vault.store.open([self._token])
        if opened.record.pan != self._pan:
            raise RecordTampered

    def delete(self) -> None:
        self._vault.store.remove(self._token, pan=self._pan)


def _valid(digits: str) -> PAN | None:
    try:
        return PAN(digits)
    except VaultError:
        return None
