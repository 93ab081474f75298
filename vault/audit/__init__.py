"""The record of who touched which card. An event that cannot be written stops the operation that it is about."""

from vault.audit.events import CURRENT, audited, exported, named, record
from vault.audit.history import Attempt, attempts, was_recorded
from vault.origin import Origin, Process, acting_for, current_origin

__all__ = [
    "CURRENT",
    "Attempt",
    "Origin",
    "Process",
    "acting_for",
    "attempts",
    "audited",
    "current_origin",
    "exported",
    "named",
    "record",
    "was_recorded",
]
