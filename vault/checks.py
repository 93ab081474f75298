"""System checks: E0xx settings, E1xx and W1xx fields, W2xx deployment. None of them calls AWS."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any, Final

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning as CheckWarning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, router
from django.utils.module_loading import import_string

from vault.conf import (
    DEVELOPMENT_KEY_REFUSED,
    EMBEDDED_REFUSED,
    EMULATOR_REFUSED,
    ONE_KEY_REFUSED,
    REGION_REFUSED,
    UNKNOWN_PURPOSE_REFUSED,
    vault_config,
)
from vault.models import AuditEvent

E_SETTINGS: Final = Error("settings.VAULT cannot be used.", id="vault.E001")
E_EMBEDDED: Final = Error(EMBEDDED_REFUSED, id="vault.E002")
E_REGION: Final = Error(REGION_REFUSED, id="vault.E003")
E_ONE_KEY: Final = Error(ONE_KEY_REFUSED, id="vault.E004")
E_PURPOSE: Final = Error(UNKNOWN_PURPOSE_REFUSED, id="vault.E005")
E_AUDIT_DATABASE: Final = Error(
    "The audit log needs a database connection of its own, outside transactions.",
    hint="settings.VAULT['AUDIT_DATABASE'] must name a connection other than 'default', without ATOMIC_REQUESTS.",
    id="vault.E006",
)
E_AUDIT_ROUTER: Final = Error(
    "Audit events would be written through the wrong connection.",
    hint="Add 'vault.routers.AuditRouter' to settings.DATABASE_ROUTERS, before others.",
    id="vault.E007",
)
E_CONFIRM_IDENTITY: Final = Error(
    "settings.VAULT['CONFIRM_IDENTITY'] does not name a function that can be imported.", id="vault.E008"
)
E_EMULATOR: Final = Error(EMULATOR_REFUSED, id="vault.E009")
E_DEVELOPMENT_KEY: Final = Error(DEVELOPMENT_KEY_REFUSED, id="vault.E010")

E_COPY_FIELD: Final = Error("brand_field and last4_field must name CharFields of the same model.", id="vault.E101")
E_BLANK_WITHOUT_NULL: Final = Error("A PANField with blank=True needs null=True.", id="vault.E102")
E_OPTION: Final = Error("A PANField does not take this option.", id="vault.E103")
W_QUERYSET: Final = CheckWarning(
    "The default manager is not made from PANQuerySet.",
    hint="Without it bulk_create asks the vault once for each row, and bulk_update and update refuse card numbers.",
    id="vault.W101",
)

W_ENDPOINT: Final = CheckWarning(
    "settings.VAULT['ENDPOINT_URL'] is not https: card data would be sent to an emulator or in clear.", id="vault.W201"
)
W_DATABASE_TLS: Final = CheckWarning(
    "A connection to MySQL does not require TLS with a certificate of the server's own name.",
    hint="Set OPTIONS of each database to {'ssl': {'ca': ...}, 'ssl_mode': 'VERIFY_IDENTITY'}.",
    id="vault.W202",
)
W_DEBUG_LOGS: Final = CheckWarning(
    "A logger is set to print request bodies, data keys or the parameters of SQL.",
    hint=(
        "Set boto3, botocore, s3transfer, urllib3, dynamodb_encryption_sdk and django.db.backends to WARNING or above, "
        "and nothing below them to less."
    ),
    id="vault.W203",
)

W_ONE_PERSON: Final = CheckWarning(
    "One person alone can see a card number.",
    hint="Set settings.VAULT['REVEAL_APPROVAL'] to True.",
    id="vault.W204",
)
W_NOBODY_TOLD: Final = CheckWarning(
    "Nobody is mailed when there is an alarm.",
    hint="Name somebody in settings.VAULT['ALARM_EMAILS'].",
    id="vault.W205",
)

_REFUSED_BY_SETTINGS: Final = (E_EMBEDDED, E_EMULATOR, E_DEVELOPMENT_KEY, E_REGION, E_ONE_KEY, E_PURPOSE)
_KNOWN_PROBLEMS: Final = {check.msg: check for check in _REFUSED_BY_SETTINGS}
_TALKATIVE: Final = ("boto3", "botocore", "s3transfer", "urllib3", "dynamodb_encryption_sdk", "django.db.backends")


def about(check: CheckMessage, obj: Any, hint: str | None = None) -> CheckMessage:
    """The constant `check`, said of `obj`."""
    said = copy(check)
    said.hint, said.obj = hint or check.hint, obj
    return said


@register(Tags.security)
def check_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Settings that the vault would refuse to start with."""
    try:
        config = vault_config()
    except ImproperlyConfigured as error:
        return [_KNOWN_PROBLEMS.get(str(error)) or about(E_SETTINGS, None, hint=str(error))]
    found: list[CheckMessage] = []
    alias = config.AUDIT_DATABASE
    if alias == DEFAULT_DB_ALIAS or settings.DATABASES.get(alias, {"ATOMIC_REQUESTS": True}).get("ATOMIC_REQUESTS"):
        found.append(E_AUDIT_DATABASE)
    elif router.db_for_write(AuditEvent) != alias or router.db_for_read(AuditEvent) != alias:
        found.append(E_AUDIT_ROUTER)
    if config.CONFIRM_IDENTITY and not _can_import(config.CONFIRM_IDENTITY):
        found.append(E_CONFIRM_IDENTITY)
    return found


def _can_import(path: str) -> bool:
    try:
        import_string(path)
    except ImportError:
        return False
    return True


@register(Tags.security, deploy=True)
def check_deployment(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Settings that work and must not be used with real cards."""
    found: list[CheckMessage] = []
    endpoint = str(settings.VAULT.get("ENDPOINT_URL", ""))
    if endpoint and not endpoint.startswith("https://"):
        found.append(W_ENDPOINT)
    databases = [each for each in settings.DATABASES.values() if each["ENGINE"] == "django.db.backends.mysql"]
    if not all(_has_verified_tls(each.get("OPTIONS", {})) for each in databases):
        found.append(W_DATABASE_TLS)
    if any(logger.getEffectiveLevel() < logging.WARNING for logger in _talkative_loggers()):
        found.append(W_DEBUG_LOGS)
    if not settings.VAULT.get("REVEAL_APPROVAL", True):
        found.append(W_ONE_PERSON)
    if not settings.VAULT.get("ALARM_EMAILS"):
        found.append(W_NOBODY_TOLD)
    return found


def _has_verified_tls(options: dict[str, Any]) -> bool:
    return bool(options.get("ssl", {}).get("ca")) and options.get("ssl_mode") == "VERIFY_IDENTITY"


def _talkative_loggers() -> Iterator[logging.Logger]:
    """As they are now, whoever set them, and what is below them: a level of its own counts there, and no parent's."""
    yield from map(logging.getLogger, _TALKATIVE)
    parts = tuple(f"{name}." for name in _TALKATIVE)
    made = list(logging.root.manager.loggerDict.items())
    yield from (each for name, each in made if name.startswith(parts) and isinstance(each, logging.Logger))
