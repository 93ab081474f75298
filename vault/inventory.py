"""The inventory of keys (PCI DSS 3.6.1.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.utils import timezone

from vault.backend import Vault
from vault.census import take
from vault.kmskeys import KMSKeys
from vault.models import ErasureCertificate, Key
from vault.pace import silent
from vault.rotation import items_under

_CARD_ALGORITHM = "AES-256-CBC, HMAC-SHA-256"
_FINGERPRINT_ALGORITHM = "HMAC-SHA-256"
_MAC_ALGORITHM = "HMAC-SHA-256 in KMS"


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    """One key: what it is for, how strong it is in bits, how old in days, and how many items are under it.

    :param items: None if nobody counted
    """

    number: int
    purpose: str
    state: str
    key: str
    kms_state: str
    algorithm: str
    bits: int
    created: datetime
    age: int
    cryptoperiod_end: date
    is_overdue: bool
    items: int | None


def inventory(vault: Vault, *, counts: bool = True, seen: Callable[[int], object] = silent) -> Iterator[InventoryEntry]:
    """Every key of the vault. Asks KMS about each and, with `counts`, scans the table. Raises as they do."""
    census = take(vault.store, seen=seen) if counts else None
    kms = KMSKeys(vault.session.kms())
    for key in _listed(vault):
        facts = kms.describe(key.arn)
        created = facts.created_at
        algorithm = _CARD_ALGORITHM
        if key.purpose == Key.Purpose.FINGERPRINT:
            created = vault.fingerprint_keys.created_at(key.number) or created
            algorithm = _FINGERPRINT_ALGORITHM
        items = None if census is None else items_under(key, census)
        yield _entry(vault, key, facts.arn, facts.state, algorithm, facts.bits, created, items)
    signed = {"audit": census.seals, "certificate": ErasureCertificate.objects.count()} if census else {}
    for purpose, name in (("audit", vault.config.AUDIT_KEY), ("certificate", vault.config.CERTIFICATE_KEY)):
        facts, key = kms.describe(name), Key(purpose=purpose, number=1, state=Key.State.ACTIVE)
        yield _entry(
            vault, key, facts.arn, facts.state, _MAC_ALGORITHM, facts.bits, facts.created_at, signed.get(purpose)
        )


def exported(entry: InventoryEntry) -> dict[str, Any]:
    """A key as JSON has it."""
    dates = {"created": entry.created.isoformat(), "cryptoperiod_end": entry.cryptoperiod_end.isoformat()}
    return asdict(entry) | dates


def _listed(vault: Vault) -> list[Key]:
    """The list, or what it would begin with."""
    named = [
        Key(purpose=Key.Purpose.CARD, number=1, arn=vault.config.CARD_KEY, state=Key.State.ACTIVE),
        Key(purpose=Key.Purpose.FINGERPRINT, number=1, arn=vault.config.FINGERPRINT_KEY, state=Key.State.ACTIVE),
    ]
    return list(Key.objects.all()) or named


def _entry(
    vault: Vault, key: Key, arn: str, kms_state: str, algorithm: str, bits: int, created: datetime, items: int | None
) -> InventoryEntry:
    today = timezone.localdate()
    end = timezone.localdate(created) + timedelta(days=vault.config.CRYPTOPERIOD_DAYS)
    # Keys for MACs protect no card data, and what they signed has to be verified for years.
    is_in_use = key.state in {Key.State.ACTIVE, Key.State.NEXT} and key.purpose in Key.Purpose.values
    return InventoryEntry(
        number=key.number,
        purpose=key.purpose,
        state=key.state,
        key=arn,
        kms_state=kms_state,
        algorithm=algorithm,
        bits=bits,
        created=created,
        age=(timezone.now() - created).days,
        cryptoperiod_end=end,
        is_overdue=is_in_use and end < today,
        items=items,
    )
