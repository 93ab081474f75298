"""The vault in Django's admin: cards, requests to see one, certificates of erasure, and the audit log."""

from vault.admin.audit import AuditEventAdmin
from vault.admin.cards import CardAdmin
from vault.admin.certificates import ErasureCertificateAdmin
from vault.admin.lists import RefusePANSearchMixin, ViewOnlyMixin
from vault.admin.reveals import RevealRequestAdmin

__all__ = [
    "AuditEventAdmin",
    "CardAdmin",
    "ErasureCertificateAdmin",
    "RefusePANSearchMixin",
    "RevealRequestAdmin",
    "ViewOnlyMixin",
]
