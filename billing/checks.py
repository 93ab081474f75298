"""System checks of the project: W0xx deployment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning as CheckWarning, register

W_SECOND_FACTOR: Final = CheckWarning(
    "Staff can use the admin with a password alone.",
    hint="Set STAFF_MFA_REQUIRED to true (PCI DSS 8.4).",
    id="billing.W001",
)
W_IDLE: Final = CheckWarning(
    "The session of staff lasts longer than 15 minutes without a request.",
    hint="Set STAFF_IDLE_SECONDS to 900 or less (PCI DSS 8.2.8).",
    id="billing.W002",
)
W_FRESH: Final = CheckWarning(
    "Who showed who they are more than 15 minutes ago can see a card number.",
    hint="Set IDENTITY_FRESH_SECONDS to 900 or less.",
    id="billing.W003",
)
_LONGEST_FRESH: Final = 15 * 60
_LONGEST_IDLE: Final = 15 * 60


@register(Tags.security, deploy=True)
def check_sign_in(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Settings that work and must not be used with real cards."""
    found: list[CheckMessage] = []
    if not settings.STAFF_MFA_REQUIRED:
        found.append(W_SECOND_FACTOR)
    if settings.STAFF_IDLE_SECONDS > _LONGEST_IDLE:
        found.append(W_IDLE)
    if settings.IDENTITY_FRESH_SECONDS > _LONGEST_FRESH:
        found.append(W_FRESH)
    return found
