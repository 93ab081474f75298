"""What SQL may know: everything about a card but its number, and who did what with it."""

from vault.models.cards import Card, ErasureCertificate, ItemChange
from vault.models.events import AppendOnly, AuditEvent, AuditEventQuerySet
from vault.models.exports import ExportApproval, ExportedCard, ExportRequest
from vault.models.incidents import Incident, Stray
from vault.models.keys import Key
from vault.models.requests import Allowance, IdempotentRequest
from vault.models.reveals import RevealRequest
from vault.models.runs import Run

__all__ = [
    "Allowance",
    "AppendOnly",
    "AuditEvent",
    "AuditEventQuerySet",
    "Card",
    "ErasureCertificate",
    "ExportApproval",
    "ExportRequest",
    "ExportedCard",
    "IdempotentRequest",
    "Incident",
    "ItemChange",
    "Key",
    "RevealRequest",
    "Run",
    "Stray",
]
