"""What the installation says of itself: checks, settings, staff, service accounts, sign-ins."""

from __future__ import annotations

from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import User
from django.core import checks
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from billing import lockout
from billing.api_accounts import last_use, networks_of, tokens_of
from billing.cardscripts.inventory import drift_of_files, read
from billing.rights import rights_on_api
from billing.sbom import bill_of_materials
from billing.token_digests import start_of
from vault.proofs import Proof
from vault.redaction import redact

WARNED: Final = "A system check warns; see the messages."
DRIFTED: Final = "A script of a page with a card number is not the one in the inventory."
WITHOUT_FACTOR: Final = "Somebody of staff has no second factor."
WITHOUT_END: Final = "An API token has no end."
CONFIGURED: Final = "A setting that PCI DSS asks for is switched off; see where `is_met` is false."


def check_results() -> Proof:
    """The system checks, those for deployment and of the databases among them."""
    found = checks.run_checks(include_deployment_checks=True)
    # By their tag alone: models would be warned of what MySQL does without, such as unique constraints with conditions.
    databases = list(settings.DATABASES)
    found += checks.run_checks(tags=[checks.Tags.database], include_deployment_checks=True, databases=databases)
    messages = [
        {"id": each.id, "level": each.level, "message": redact(str(each.msg)), "hint": redact(str(each.hint or ""))}
        for each in found
        if not each.is_silenced()
    ]
    silenced = sorted({str(each.id) for each in found if each.is_silenced()})
    warned = any(each.is_serious(checks.WARNING) for each in found if not each.is_silenced())
    return Proof({"messages": messages, "silenced": silenced}, (WARNED,) if warned else ())


def scripts() -> Proof:
    """The inventory of scripts, held against the files of this installation. `card_scripts URL` asks a live server."""
    inventory = read()
    drift = [{"what": each.what, "problem": each.problem} for each in drift_of_files(inventory)]
    listed = [
        {
            "path": each.path,
            "integrity": each.integrity,
            "purpose": each.purpose,
            "pages": [*each.pages, *each.sometimes],
        }
        for each in inventory.scripts
    ]
    data = {
        "scripts": listed,
        "pages": inventory.pages,
        "headers": inventory.headers | inventory.headers_over_https,
        "drift": drift,
    }
    return Proof(data, (DRIFTED,) if drift else ())


def bill() -> Proof:
    """The bill of materials."""
    made = bill_of_materials()
    return Proof(made.document, made.findings)


def staff() -> Proof:
    """Everybody who may enter the admin, and with how many factors of which kind."""
    people = []
    for user in User.objects.filter(Q(is_staff=True) | Q(is_superuser=True)).order_by("username"):
        kinds = Authenticator.objects.filter(user=user).order_by("type").values_list("type", flat=True)
        people.append(
            {
                "id": str(user.pk),
                "name": redact(user.get_username()),
                "is_active": user.is_active,
                "is_superuser": user.is_superuser,
                "last_login": user.last_login,
                "second_factors": sorted(set(kinds)),
            }
        )
    has_factor = Authenticator.objects.filter(user=OuterRef("pk")).exclude(type=Authenticator.Type.RECOVERY_CODES)
    bare = User.objects.filter(Q(is_staff=True) | Q(is_superuser=True), ~Exists(has_factor), is_active=True)
    return Proof({"staff": people}, (WITHOUT_FACTOR,) if bare.exists() else ())


def service_accounts() -> Proof:
    """Whoever has a token of the API or a right on it and is not staff: rights, networks, and when the tokens end."""
    of_api = Q(user_permissions__content_type__app_label__in=("orders", "vault"))
    of_api |= Q(groups__permissions__content_type__app_label__in=("orders", "vault"))
    accounts = User.objects.filter(of_api | Q(auth_token_set__isnull=False), is_staff=False, is_superuser=False)
    listed, is_endless = [], False
    for user in accounts.distinct().order_by("username"):
        tokens = [
            {"digest": start_of(each.digest), "created": each.created, "expires": each.expiry, "used": last_use(each)}
            for each in tokens_of(user)
        ]
        is_endless |= any(each["expires"] is None for each in tokens)
        listed.append(
            {
                "id": str(user.pk),
                "name": redact(user.get_username()),
                "is_active": user.is_active,
                "rights": [{"name": each.name, "through": each.through} for each in rights_on_api(user)],
                "networks": networks_of(user),
                "tokens": tokens,
            }
        )
    return Proof({"accounts": listed, "at": timezone.now()}, (WITHOUT_END,) if is_endless else ())


# --- Settings: each with what is asked of it, and of secrets nothing ------------------------------------------------


def environment() -> Proof:
    """What an installation with real cards must not be."""
    return _settings(
        _row("3.6.1.2", "VAULT.BACKEND", settings.VAULT["BACKEND"], settings.VAULT["BACKEND"] == "aws"),
        _row("6.2.4", "DEBUG", settings.DEBUG, not settings.DEBUG),
    )


def taken_cards() -> Proof:
    """Whether real card numbers are taken; what is right depends on what the installation is for."""
    return _settings(_row("6.5.5", "VAULT.TEST_CARDS_ONLY", bool(settings.VAULT.get("TEST_CARDS_ONLY")), None))


def transport() -> Proof:
    """That nothing goes in clear between browsers, programs, this application and its databases."""
    return _settings(
        _row("4.2.1", "SECURE_SSL_REDIRECT", *2 * (settings.SECURE_SSL_REDIRECT,)),
        _row("4.2.1", "SECURE_HSTS_SECONDS", settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_SECONDS >= _YEAR),
        _row("4.2.1", "SESSION_COOKIE_SECURE", *2 * (settings.SESSION_COOKIE_SECURE,)),
        _row("4.2.1", "CSRF_COOKIE_SECURE", *2 * (settings.CSRF_COOKIE_SECURE,)),
        _row("4.2.1", "a card over plain HTTP is refused", *2 * (_PLAIN in settings.MIDDLEWARE,)),
        *(_row("4.2.1", f"DATABASES.{alias} over TLS", *_tls(each)) for alias, each in settings.DATABASES.items()),
    )


def sign_in_rules() -> Proof:
    """What is asked of people before they see anything."""
    length = _least_length()
    return _settings(
        _row("8.2.8", "STAFF_IDLE_SECONDS", *_at_most(settings.STAFF_IDLE_SECONDS, _IDLE)),
        _row("8.3.2", "PASSWORD_HASHERS", settings.PASSWORD_HASHERS[0], "MD5" not in settings.PASSWORD_HASHERS[0]),
        _row("8.3.4", "failures that lock", *_at_most(lockout.LIMIT, _FAILURES)),
        _row("8.3.4", "seconds of a lock", lockout.LOCK.seconds, lockout.LOCK.seconds >= _LOCKED),
        _row("8.3.6", "length of passwords", length, length >= _LENGTH),
        _row("8.4", "STAFF_MFA_REQUIRED", *2 * (settings.STAFF_MFA_REQUIRED,)),
        _row("8.4", "MFA_SUPPORTED_TYPES", settings.MFA_SUPPORTED_TYPES, None),
        _row("8.4", "IDENTITY_FRESH_SECONDS", *_at_most(settings.IDENTITY_FRESH_SECONDS, _IDLE)),
    )


def _settings(*rows: dict[str, Any]) -> Proof:
    return Proof({"settings": list(rows)}, (CONFIGURED,) if any(row["is_met"] is False for row in rows) else ())


_PLAIN: Final = "vault.middleware.RefusePlainHTTPMiddleware"
_YEAR: Final = 365 * 24 * 3600
_IDLE: Final = 15 * 60
_FAILURES: Final = 10
_LOCKED: Final = 30 * 60
_LENGTH: Final = 12


def _row(requirement: str, name: str, value: Any, is_met: bool | None) -> dict[str, Any]:
    """A setting; `is_met` is None where it depends on what the installation is for."""
    return {"requirement": requirement, "setting": name, "value": value, "is_met": is_met}


def _at_most(value: int, most: int) -> tuple[int, bool]:
    return value, value <= most


def _tls(database: dict[str, Any]) -> tuple[str, bool]:
    """A database on this machine has no way over which anybody could listen."""
    if database["ENGINE"] == "django.db.backends.sqlite3":
        return "a file", True
    options = database.get("OPTIONS", {})
    mode = options.get("ssl_mode", "")
    is_verified = bool(options.get("ssl")) and mode in {"VERIFY_CA", "VERIFY_IDENTITY"}
    # What another backend calls it is not known here.
    return mode or "not required", is_verified and database["ENGINE"] == "django.db.backends.mysql"


def _least_length() -> int:
    validators: Any = settings.AUTH_PASSWORD_VALIDATORS
    lengths = (
        int(each.get("OPTIONS", {}).get("min_length", 8))
        for each in validators
        if each["NAME"].endswith(".MinimumLengthValidator")
    )
    return max(lengths, default=0)
