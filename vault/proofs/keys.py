"""The inventory of keys (PCI DSS 3.6.1.1) and what was done with them (3.7.4, 3.7.5)."""

from __future__ import annotations

from typing import Final

from vault.backend import current_vault
from vault.inventory import exported, inventory
from vault.models import Key
from vault.proofs.periods import Period
from vault.proofs.proof import Proof, those_met
from vault.proofs.trail import within

OVERDUE: Final = "A key in use is past its cryptoperiod."
UNDER_RETIRED: Final = "There are items under a retired key."
_OPERATIONS: Final = ("key.promote", "key.renew", "key.retire", "key.rotate")


def keys(period: Period) -> Proof:
    """Every key as it is now, with its items counted by a scan, and the changes of keys within the period.

    Raises `AuditUnavailable`, `VaultSealed`, `VaultUnavailable`.
    """
    entries = list(inventory(current_vault()))
    changes = within(period).filter(operation__in=_OPERATIONS).order_by("time", "pk")
    return Proof(
        {
            "keys": [exported(entry) for entry in entries],
            "changes": list(changes.values("time", "operation", "outcome", "subject", "actor", "actor_name")),
        },
        those_met(
            {
                OVERDUE: any(entry.is_overdue for entry in entries),
                # None was left when it was retired: what has come since is from a backup, or from whoever has the key.
                UNDER_RETIRED: any(entry.state == Key.State.RETIRED and entry.items for entry in entries),
            }
        ),
    )
