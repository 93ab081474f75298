"""The vault in Django's admin: cards, requests to see one or export many, certificates,
incidents, keys, and the audit log.
"""

from vault.admin.audit import AuditEventAdmin
from vault.admin.cards import CardAdmin
from vault.admin.certificates import ErasureCertificateAdmin
from vault.admin.dates import DatesMixin
from vault.admin.exports import ExportRequestAdmin
from vault.admin.incidents import IncidentAdmin
from vault.admin.keys import KeyAdmin, RunAdmin
from vault.admin.lists import RefusePANSearchMixin, ViewOnlyMixin
from vault.admin.longlists import LongListMixin
from vault.admin.reveals import RevealRequestAdmin
from vault.admin.sheets import CSVMixin

__all__ = [
    "AuditEventAdmin",
    "CSVMixin",
    "CardAdmin",
    "DatesMixin",
    "ErasureCertificateAdmin",
    "ExportRequestAdmin",
    "IncidentAdmin",
    "KeyAdmin",
    "LongListMixin",
    "RefusePANSearchMixin",
    "RevealRequestAdmin",
    "RunAdmin",
    "ViewOnlyMixin",
]
