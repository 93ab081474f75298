"""The requirements of PCI DSS v4.0.1 that the product supports, and in which file each is proven, or why in none."""

from __future__ import annotations

from typing import Final

_TESTS: Final = (
    "It is a property of the code: docs/pci-dss.md names the tests. Nothing that an installation says adds to it."
)

#: By requirement the files that prove it.
PROVEN_BY: Final[dict[str, tuple[str, ...]]] = {
    "3.2.1": ("retention.json",),
    "3.5.1": ("strays.json", "consistency.json"),
    "3.5.1.1": ("keys.json",),
    "3.6.1.1": ("keys.json",),
    "3.6.1.2-4": ("environment.json", "checks.json"),
    "3.7.4, 3.7.5": ("keys.json",),
    "4.2.1": ("transport.json",),
    "6.3.2": ("sbom.cdx.json",),
    "6.4.3, 11.6.1": ("scripts.json",),
    "6.5.5": ("taken-cards.json",),
    "7.2, 7.3.3": ("access.json", "rights.jsonl"),
    "8.2.8": ("sign-in-rules.json",),
    "8.3.4": ("sign-in-rules.json", "sign-ins.json"),
    "8.3.6, 8.4, 8.5": ("sign-in-rules.json", "staff.json"),
    "8.6": ("service-accounts.json",),
    "10.2": ("audit.json", "reads.json", "rights.jsonl"),
    "10.3": ("audit.json",),
    "12.10.7": ("strays.json",),
}

#: Those of which no file can say anything.
NOT_PROVEN: Final[dict[str, str]] = {
    "3.3.1-3.3.3": _TESTS,
    "3.4.1": _TESTS,
    "3.4.2": _TESTS,
    "3.7.7": "An item under a key that is not on the list is refused and alarmed: audit.json counts the alarms "
    "card.tampered. That it is refused is a property of the code; docs/pci-dss.md names the tests.",
    "6.2.4": _TESTS,
    "10.5.1": "No command purges the audit log, and its own database user may not delete. audit.json says when the "
    "first event of the period was written; what backups and archives keep is the operator's to show.",
    "10.7.2": _TESTS,
}
