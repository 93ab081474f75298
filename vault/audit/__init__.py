"""The record of who touched which card. An event that cannot be written stops the operation that it is about."""

from vault.audit.events import audited, exported, named, record
from vault.audit.origin import Origin, Process, acting_for, current_origin

__all__ = [
    "Origin",
    "Process",
    "acting_for",
    "audited",
    "current_origin",
    "exported",
    "named",
    "record",
]
