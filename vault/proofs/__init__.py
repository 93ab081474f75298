"""What an assessor is handed: proofs of a period, as data, each with what is wrong in it (docs/evidence.md).

They hold counts, dates, names and tokens' digests where needed, and never digits of a card.
"""

from vault.proofs.cards import consistency, incidents, retention
from vault.proofs.keys import keys
from vault.proofs.people import readers
from vault.proofs.periods import Period
from vault.proofs.proof import Proof
from vault.proofs.trail import audit_log, changes, counts, reads

__all__ = [
    "Period",
    "Proof",
    "audit_log",
    "changes",
    "consistency",
    "counts",
    "incidents",
    "keys",
    "readers",
    "reads",
    "retention",
]
