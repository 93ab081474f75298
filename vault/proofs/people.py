"""Who may do what with cards (PCI DSS 7.2)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.contrib.auth.models import Group

from vault import policy
from vault.access import granters
from vault.conf import vault_config
from vault.policy import Right
from vault.proofs.proof import Proof
from vault.redaction import redact


def readers() -> Proof:
    """By right of the vault everybody who has it and through what, and who could give it to themselves.

    Raises `AuditUnavailable`.
    """
    config = vault_config()
    data = {
        "rights": {right.value: [_holder(user, right) for user in policy.holders(right)] for right in Right},
        "could_grant_reading_to_themselves": [asdict(each) | {"name": redact(each.name)} for each in granters()],
        "locked": [{"id": str(each.user.pk), "since": each.since} for each in policy.locked_readers()],
        "rules": {
            "staff_needs_approval": config.REVEAL_APPROVAL,
            "break_glass": config.BREAK_GLASS,
            "cards_per_hour": config.READ_BUDGET,
            "cards_per_hour_of_groups": dict(config.GROUP_BUDGETS),
            "searches_per_hour": config.SEARCH_BUDGET,
            "purposes": list(config.PURPOSES),
        },
    }
    return Proof(data)


def _holder(user: Any, right: Right) -> dict[str, Any]:
    granted = policy.grants(right)
    directly = ["directly"] if granted.filter(user=user.pk).exists() else []
    groups = Group.objects.filter(user=user.pk, permissions__in=granted).order_by("name")
    through = [*directly, *map(redact, groups.values_list("name", flat=True))]
    return {
        "id": str(user.pk),
        # A name may have been put there by SQL.
        "name": redact(user.get_username()),
        "is_staff": bool(getattr(user, "is_staff", False)),
        "is_superuser": bool(getattr(user, "is_superuser", False)),
        "last_login": user.last_login,
        "through": through,
    }
