"""What the project says in `settings.VAULT`, typed and checked when it is first asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from vault.purposes import NAME_LENGTH, Purpose, PurposeRule


class Backend(StrEnum):
    """Who answers for DynamoDB and KMS."""

    AWS = "aws"
    EMBEDDED = "embedded"


class Materials(StrEnum):
    """Where the data key of a card comes from.

    PER_ITEM asks KMS for each card, so that CloudTrail names the token at every access; REUSED asks once for many.
    """

    PER_ITEM = "per-item"
    REUSED = "reused"


@dataclass(frozen=True, slots=True)
class VaultConfig:
    """Every setting of the vault. Times are in seconds. Raises `ImproperlyConfigured` for what it does not know.

    KEYS_MAX_AGE is how long a process works with a list of keys, at most. A key is due for rotation after
    CRYPTOPERIOD_DAYS. A card is kept for RETENTION_AFTER_EXPIRY months after it expires or, where its expiry is not
    known, for RETENTION_AFTER_USE months after it was last used. A card that nothing refers to may be that of an order
    which is being placed, until it is ORPHAN_GRACE old.

    CALLS_AT_ONCE is how many calls of AWS a process has on their way at most, 0 for no limit: in a server one less than
    it has threads, so that an AWS that hangs leaves it one; see `vault.gate`.

    DATA_KEY_AHEAD is for servers: the data key of the next new card is asked for while DynamoDB is waited for; see
    `vault.ahead`.

    A purpose may be named by everybody with the right, unless PURPOSE_RULES says something of it; see `PurposeRule`.
    The budgets are cards per actor and hour; GROUP_BUDGETS has other ones for reading, by the name of a group.
    API_LIMITS are requests per account and minute, for a batch rows, by the name of the limit; see `vault.api.limits`.
    TEST_CARDS_ONLY refuses every number outside the published test ranges; see `vault.testcards`.
    CONFIRM_IDENTITY names a function that is given a request and returns None if its user has just shown who they are,
    or else the response that asks for it; without one nobody sees a revealed number.
    """

    BACKEND: Backend
    REGION: str
    TABLE: str
    CARD_KEY: str
    FINGERPRINT_KEY: str
    AUDIT_KEY: str
    CERTIFICATE_KEY: str
    AUDIT_DATABASE: str = "audit"
    EMBEDDED_DIR: Path = Path("vault")
    EMBEDDED_ALLOWED: bool = False
    TEST_CARDS_ONLY: bool = False
    ENDPOINT_URL: str = ""
    PROFILE: str = ""
    MATERIALS: Materials = Materials.PER_ITEM
    DATA_KEY_MAX_AGE: int = 300
    DATA_KEY_MAX_ITEMS: int = 10_000
    DATA_KEY_AHEAD: bool = False
    KEYS_MAX_AGE: int = 60
    CRYPTOPERIOD_DAYS: int = 365
    RETENTION_AFTER_EXPIRY: int = 18
    RETENTION_AFTER_USE: int = 36
    ORPHAN_GRACE: int = 24 * 3600
    VERIFY_EVERY_DAYS: int = 92
    CONNECT_TIMEOUT: float = 1.0
    READ_TIMEOUT: float = 3.0
    MAX_ATTEMPTS: int = 4
    MAX_CONNECTIONS: int = 32
    CALLS_AT_ONCE: int = 0
    PURPOSES: tuple[str, ...] = ()
    PURPOSE_RULES: tuple[PurposeRule, ...] = ()
    READ_BUDGET: int = 60
    SEARCH_BUDGET: int = 60
    GROUP_BUDGETS: tuple[tuple[str, int], ...] = ()
    API_LIMITS: tuple[tuple[str, int], ...] = ()
    REVEAL_APPROVAL: bool = True
    REVEAL_VALID: int = 24 * 3600
    BREAK_GLASS: bool = True
    CONFIRM_IDENTITY: str = ""
    ALARM_EMAILS: tuple[str, ...] = ()

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> Self:
        """The settings as given; unknown, missing and impossible ones raise `ImproperlyConfigured` by name."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ImproperlyConfigured(f"settings.VAULT has unknown keys: {', '.join(unknown)}.")
        missing = [name for name in _REQUIRED if not values.get(name)]
        if missing:
            raise ImproperlyConfigured(f"settings.VAULT lacks: {', '.join(missing)}.")
        config = cls(**{name: _converted(name, value) for name, value in values.items()})
        # A web server runs no system checks, so what must never happen is refused here as well.
        if problem := config.problem():
            raise ImproperlyConfigured(problem)
        return config

    def rule(self, purpose: str) -> PurposeRule | None:
        """What has to be met to name this purpose; None if it is not on the list."""
        if purpose not in self.PURPOSES:
            return None
        return next((rule for rule in self.PURPOSE_RULES if rule.name == purpose), PurposeRule(purpose))

    def api_limit(self, name: str) -> int:
        """How much an account may do of this within a minute."""
        limits = dict(self.API_LIMITS)
        return limits.get(name) or limits.get("*", API_LIMIT)

    def problem(self) -> str | None:
        """Why these settings, each possible in itself, must not be used together; None if they may."""
        if not self.EMBEDDED_ALLOWED and (problem := self._problem_with_real_cards()):
            return problem
        keys = self._keys()
        if len(set(keys)) < len(keys):
            return ONE_KEY_REFUSED
        if any(_region(key) not in (None, self.REGION) for key in keys):
            return REGION_REFUSED
        if any(rule.name not in self.PURPOSES for rule in self.PURPOSE_RULES):
            return UNKNOWN_PURPOSE_REFUSED
        return None

    def _problem_with_real_cards(self) -> str | None:
        """What somebody tries things out with (PCI DSS 3.6.1.2)."""
        if self.BACKEND is Backend.EMBEDDED:
            return EMBEDDED_REFUSED
        if self.ENDPOINT_URL and not _is_of_aws(self.ENDPOINT_URL):
            return EMULATOR_REFUSED
        if any(_account(key) in _EMULATED_ACCOUNTS for key in self._keys()):
            return DEVELOPMENT_KEY_REFUSED
        return None

    def _keys(self) -> tuple[str, ...]:
        return self.CARD_KEY, self.FINGERPRINT_KEY, self.AUDIT_KEY, self.CERTIFICATE_KEY


#: The limit of what the settings say nothing of.
API_LIMIT: Final = 3000

EMBEDDED_REFUSED: Final = "The embedded vault is for laptops and tests; here settings.VAULT['BACKEND'] must be 'aws'."
EMULATOR_REFUSED: Final = (
    "settings.VAULT['ENDPOINT_URL'] must be https and a name of AWS; emulators and HTTP are for laptops and tests."
)
DEVELOPMENT_KEY_REFUSED: Final = "A KMS key in settings.VAULT is of an account that only emulators and examples have."
ONE_KEY_REFUSED: Final = "The keys for cards, fingerprints, the audit log and certificates must be four KMS keys."
UNKNOWN_PURPOSE_REFUSED: Final = "settings.VAULT['PURPOSE_RULES'] has a rule for a purpose that is not in PURPOSES."
REGION_REFUSED: Final = "The KMS keys must be of the region of the table, settings.VAULT['REGION']."


# LocalStack's, moto's, and that of AWS's own examples, which other emulators took.
_EMULATED_ACCOUNTS: Final = frozenset({"000000000000", "123456789012", "111122223333"})
# A certificate for such a name is what proves that AWS answers, through a VPC endpoint as well.
_DOMAINS_OF_AWS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


def _is_of_aws(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and (parts.hostname or "").endswith(_DOMAINS_OF_AWS)


def _account(key: str) -> str | None:
    parts = key.split(":")
    return parts[4] if key.startswith("arn:") and len(parts) > 4 else None  # noqa: PLR2004 - arn:aws:kms:REGION:ACCOUNT


def _region(key: str) -> str | None:
    """The region in an ARN; None for an alias or a key id, which AWS resolves in the client's own region."""
    parts = key.split(":")
    return parts[3] if key.startswith("arn:") and len(parts) > 3 else None  # noqa: PLR2004 - arn:aws:kms:REGION:...


def _rules(values: Mapping[str, Mapping[str, Any]]) -> tuple[PurposeRule, ...]:
    return tuple(PurposeRule.from_settings(name, rule) for name, rule in values.items())


def _budgets(values: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    budgets = tuple((name, int(cards)) for name, cards in values.items())
    if any(cards <= 0 for _, cards in budgets):
        raise ValueError
    return budgets


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    # A text is a list of letters to Python.
    if isinstance(values, str):
        raise TypeError
    return tuple(values)


def _purposes(values: Iterable[str]) -> tuple[str, ...]:
    """Names that `Purpose.parse` gives back as they are, and that fit into the audit log."""
    names = _texts(values)
    if any(Purpose.parse(name) != Purpose(name) or not 0 < len(name) <= NAME_LENGTH for name in names):
        raise ValueError
    return names


_REQUIRED: Final = ("BACKEND", "REGION", "TABLE", "CARD_KEY", "FINGERPRINT_KEY", "AUDIT_KEY", "CERTIFICATE_KEY")
_CONVERTERS: Final[dict[str, Any]] = {
    "BACKEND": Backend,
    "MATERIALS": Materials,
    "EMBEDDED_DIR": Path,
    "EMBEDDED_ALLOWED": bool,
    "TEST_CARDS_ONLY": bool,
    "DATA_KEY_MAX_AGE": int,
    "DATA_KEY_AHEAD": bool,
    "DATA_KEY_MAX_ITEMS": int,
    "KEYS_MAX_AGE": int,
    "CRYPTOPERIOD_DAYS": int,
    "RETENTION_AFTER_EXPIRY": int,
    "RETENTION_AFTER_USE": int,
    "ORPHAN_GRACE": int,
    "VERIFY_EVERY_DAYS": int,
    "CONNECT_TIMEOUT": float,
    "READ_TIMEOUT": float,
    "MAX_ATTEMPTS": int,
    "MAX_CONNECTIONS": int,
    "CALLS_AT_ONCE": int,
    "PURPOSES": _purposes,
    "PURPOSE_RULES": _rules,
    "READ_BUDGET": int,
    "SEARCH_BUDGET": int,
    "GROUP_BUDGETS": _budgets,
    "API_LIMITS": _budgets,
    "REVEAL_APPROVAL": bool,
    "REVEAL_VALID": int,
    "BREAK_GLASS": bool,
    "ALARM_EMAILS": _texts,
}

_MAY_BE_ZERO: Final = frozenset({"CALLS_AT_ONCE"})


def _converted(name: str, value: Any) -> Any:
    try:
        converted = _CONVERTERS.get(name, str)(value)
    except (AttributeError, TypeError, ValueError):
        raise ImproperlyConfigured(f"settings.VAULT[{name!r}] has an impossible value.") from None
    is_number = isinstance(converted, int | float) and not isinstance(converted, bool)
    if is_number and (converted < 0 or (converted == 0 and name not in _MAY_BE_ZERO)):
        raise ImproperlyConfigured(f"settings.VAULT[{name!r}] must be above zero.")
    return converted


#: What `settings.VAULT` was when it was last looked at, and what became of it.
_last: tuple[dict[str, Any], VaultConfig] | None = None


def vault_config() -> VaultConfig:
    """The vault's settings as they are now. Raises `ImproperlyConfigured`."""
    global _last  # noqa: PLW0603 - a request asks seven times, and reading them takes longer than most it asks for
    last = _last
    if last is None or last[0] != settings.VAULT:
        # A copy to the bottom: what somebody changes in place is seen as well.
        _last = last = copy.deepcopy(dict(settings.VAULT)), VaultConfig.from_settings(settings.VAULT)
    return last[1]
