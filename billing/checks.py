"""System checks of the project: E0xx what must never be where real cards are, W0xx deployment."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any, Final

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth.models import User
from django.core.checks import CheckMessage, Error, Tags, Warning as CheckWarning, register
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Q

from billing.second_factor import FACTORS
from vault.redaction import RedactingFilter
from vault.stdout import StdoutHandler

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
W_UNREDACTED: Final = CheckWarning(
    "A handler of a logger does not mask card numbers.",
    hint="Give it the filter vault.redaction.RedactingFilter; docs/checks.md says how to find it.",
    id="billing.W004",
)
W_CRASH_REPORTS: Final = CheckWarning(
    "A client of Sentry reports from this process that is not the one of billing.crash_reports.",
    hint="Remove every other call of sentry_sdk.init, and unset SENTRY_PRINT_ENVELOPES.",
    id="billing.W005",
)
W_DEMO: Final = CheckWarning(
    "The demo was run over this database: it has accounts whose passwords others may know.",
    hint="Delete them, or take a database of its own.",
    id="billing.W006",
)
W_NO_FACTOR: Final = CheckWarning(
    "There are accounts of staff without a second factor.",
    hint="They are asked for one at their next sign-in; deactivate those that nobody uses (PCI DSS 8.4).",
    id="billing.W007",
)
E_DEBUG: Final = Error("DEBUG is on: pages of errors would show settings, variables and SQL.", id="billing.E001")
E_SECRET_KEY: Final = Error(
    "SECRET_KEY can be guessed: sessions, second factors and the keys of webhooks follow from it.",
    hint='Make one with: python -c "import secrets; print(secrets.token_urlsafe(50))"',
    id="billing.E002",
)
E_COOKIES: Final = Error(
    "The cookies of sessions or of forms could travel over plain HTTP, to other sites or into a script.",
    hint="Leave SESSION_COOKIE_* and CSRF_COOKIE_* as billing.settings.production has them.",
    id="billing.E003",
)
E_SURFACES: Final = Error(
    "SURFACES is empty, or has something that this project does not serve.",
    hint="Take one or more of web, api and admin.",
    id="billing.E004",
)
W_ONE_TIER: Final = CheckWarning(
    "One process serves pages to customers and can read card numbers.",
    hint="Serve SURFACES=web by a process of its own, in a role that may not decrypt with the card key; docs/aws.md.",
    id="billing.W008",
)
_SURFACES: Final = frozenset({"web", "api", "admin"})
# Those whose users read numbers, with kms:Decrypt.
_READING: Final = frozenset({"api", "admin"})
_LONGEST_FRESH: Final = 15 * 60
_LONGEST_IDLE: Final = 15 * 60


_SHORTEST_SECRET: Final = 50
_FEWEST_CHARACTERS: Final = 10
_DEMO_ADDRESSES: Final = ("customer@example.com", "staff@example.com")
# What everybody can read in the sources of this project, or of any that Django began.
_PUBLIC_SECRETS: Final = ("django-insecure-", "only-for-tests")


def has_real_cards() -> bool:
    """True where the embedded vault is not even allowed: everywhere but on laptops and in tests."""
    return not settings.VAULT.get("EMBEDDED_ALLOWED", False)


@register(Tags.security)
def check_production(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """What must never be where real cards are: no command runs, and no server starts (`billing.start`)."""
    if not has_real_cards():
        return []
    found: list[CheckMessage] = []
    if settings.DEBUG:
        found.append(E_DEBUG)
    if not _is_strong(settings.SECRET_KEY):
        found.append(E_SECRET_KEY)
    is_safe = (
        settings.SESSION_COOKIE_SECURE
        and settings.SESSION_COOKIE_HTTPONLY
        and settings.SESSION_COOKIE_SAMESITE in {"Lax", "Strict"}
        and settings.CSRF_COOKIE_SECURE
        and settings.CSRF_COOKIE_SAMESITE in {"Lax", "Strict"}
    )
    if not is_safe:
        found.append(E_COOKIES)
    return found


@register(Tags.security)
def check_surfaces(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """A process that serves nothing, or less than somebody believes."""
    surfaces = set(settings.SURFACES)
    return [] if surfaces and surfaces <= _SURFACES else [E_SURFACES]


@register(Tags.security, deploy=True)
def check_tiers(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """What undoes the split: who breaks into a page for customers would be where cards are opened."""
    surfaces = set(settings.SURFACES)
    return [W_ONE_TIER] if "web" in surfaces and surfaces & _READING else []


def _is_strong(secret: str) -> bool:
    return (
        len(secret) >= _SHORTEST_SECRET
        and len(set(secret)) >= _FEWEST_CHARACTERS
        and not secret.startswith(_PUBLIC_SECRETS)
    )


@register(Tags.security, deploy=True)
def check_logs(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Ways for a card number out of this process that none of our settings opened: a library, or somebody's code."""
    found: list[CheckMessage] = []
    if not all(map(_redacts, _handlers())):
        found.append(W_UNREDACTED)
    # Without the client's module there is no client.
    if "sentry_sdk" in sys.modules:
        from billing import crash_reports

        if crash_reports.is_foreign():
            found.append(W_CRASH_REPORTS)
    return found


def _handlers() -> Iterator[logging.Handler]:
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    return (handler for logger in [logging.root, *loggers] for handler in logger.handlers)


def _redacts(handler: logging.Handler) -> bool:
    # What is audited was masked before it was digested.
    if isinstance(handler, logging.NullHandler | StdoutHandler):
        return True
    return any(isinstance(each, RedactingFilter) for each in handler.filters)


@register(Tags.database, deploy=True)
def check_accounts(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Accounts that should not be, for `check --deploy --database default`. Says how many, and not whose they are."""
    if DEFAULT_DB_ALIAS not in (databases or ()) or User._meta.db_table not in connection.introspection.table_names():
        return []
    found: list[CheckMessage] = []
    if User.objects.filter(email__in=_DEMO_ADDRESSES).exists():
        found.append(W_DEMO)
    staff = User.objects.filter(Q(is_staff=True) | Q(is_superuser=True), is_active=True)
    if number := staff.exclude(authenticator__type__in=FACTORS).count():
        said = copy(W_NO_FACTOR)
        said.obj = f"{number} of them"
        found.append(said)
    return found


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
