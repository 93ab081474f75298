"""What every place shares. Whatever protects card data is on here already; production only tightens.

The module that says where we are ends with `env.complete()`; `billing.apps` asks again, for those that forget it.
"""

from pathlib import Path
from typing import Any

import environ

from billing.settings import logging
from billing.settings.environment import env

BASE_DIR = Path(__file__).resolve().parents[2]
DATA_DIR = Path(env.text("DATA_DIR", default=str(BASE_DIR / "data"))).resolve()

# The commit of an image without a checkout, for `pci_evidence`.
SOURCE_COMMIT = env.text("SOURCE_COMMIT")

# Which of the surfaces this process answers: one image, several services.
SURFACES = env.choices("SURFACES", default=["web", "api", "admin"], among={"web", "api", "admin"})

DEBUG = False
ALLOWED_HOSTS: list[str] = env.words("ALLOWED_HOSTS")

INSTALLED_APPS = [
    # Before Django's own, so that its createsuperuser is the one that counts.
    "billing",
    "billing.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "billing.apps.FactorsConfig",
    "allauth.usersessions",
    "rest_framework",
    "billing.apps.TokensConfig",
    "django_filters",
    "drf_spectacular",
    "csp",
    "vault",
    "orders",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "vault.middleware.OriginMiddleware",
    "csp.middleware.CSPMiddleware",
    "billing.middleware.RefuseMethodsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "billing.middleware.LocaleMiddleware",
    # Before whatever looks for a session in the database.
    "vault.middleware.RefuseCardDataMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    # Before CommonMiddleware, which would repeat the address in a redirect of its own.
    "vault.middleware.RefusePANInURLMiddleware",
    "billing.middleware.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "billing.sign_out.SignOutMiddleware",
    "billing.middleware.InterruptionMiddleware",
    "billing.middleware.IdleMiddleware",
    "billing.middleware.SecondFactorMiddleware",
    "vault.middleware.UnavailableMiddleware",
]

# Every form of every app: what is rendered again after an error holds no card number.
FORM_RENDERER = "vault.forms.FormRenderer"

ROOT_URLCONF = "billing.urls"
WSGI_APPLICATION = "billing.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "billing.errors.known_user",
            ],
        },
    },
]

# --- Order history -------------------------------------------------------------------------------------------------

_here = f"sqlite:///{DATA_DIR / 'billing.sqlite3'}"
DATABASES = {"default": env.database("DATABASE_URL", "DATABASE_PASSWORD", default=_here)}
# One that cannot be understood is refused at the end; until then there is something to go on with.
DATABASES["default"] = DATABASES["default"] or environ.Env.db_url_config(_here)
# The audit log has a connection of its own: what it holds stays when the transaction of an order is rolled back.
if _audit := env.database("AUDIT_DATABASE_URL", "AUDIT_DATABASE_PASSWORD"):
    DATABASES["audit"] = _audit
elif DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    _beside = Path(DATABASES["default"]["NAME"])
    DATABASES["audit"] = DATABASES["default"] | {"NAME": str(_beside.with_name("audit.sqlite3"))}
else:
    # The same database. Tests have to be told: they rename one before the other.
    DATABASES["audit"] = DATABASES["default"] | {"TEST": {"MIRROR": "default"}}
DATABASE_ROUTERS = ["vault.routers.AuditRouter"]


# How many seconds an answer of the orders' database may take; 0 is as long as it takes. `billing.gunicorn_conf` sets it
# for its workers. Commands wait: a migration of a large table may take an hour, and half of one is worse.
_answer_seconds = env.number("DATABASE_READ_TIMEOUT", default=0, least=0)


def _with_options(database: dict[str, Any], *, seconds: int) -> dict[str, Any]:
    """The same database with what makes it safe; `seconds` is how long a writer waits for SQLite or for an answer."""
    if database["ENGINE"] == "django.db.backends.sqlite3":
        options = {
            "timeout": seconds,
            # A writer that waits for its turn at BEGIN cannot fail half way with "database is locked".
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        }
        return database | {"OPTIONS": options}
    options = {
        **database.get("OPTIONS", {}),
        "charset": "utf8mb4",
        "init_command": "SET sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
        "isolation_level": "read committed",
        "connect_timeout": 3,
    }
    keeping = {"CONN_MAX_AGE": env.number("CONN_MAX_AGE", default=60, least=0), "CONN_HEALTH_CHECKS": True}
    return database | keeping | {"OPTIONS": options}


DATABASES["default"] = _with_options(DATABASES["default"], seconds=20)
# Card operations wait for the audit log, so it has to answer or fail soon.
DATABASES["audit"] = _with_options(DATABASES["audit"], seconds=5)
if _answer_seconds and DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    DATABASES["default"]["OPTIONS"] |= {"read_timeout": _answer_seconds, "write_timeout": _answer_seconds}
    # A lock is given up by the server, and before that: then it is known that nothing was written.
    DATABASES["default"]["OPTIONS"]["init_command"] += f", innodb_lock_wait_timeout={max(_answer_seconds // 2, 1)}"
if DATABASES["audit"]["ENGINE"] == "django.db.backends.mysql":
    DATABASES["audit"]["OPTIONS"] |= {"read_timeout": 5, "write_timeout": 5}
# Rate limits and used codes hold in all processes and after a restart; too many entries make room by deleting others.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Constraints with a condition, which MySQL does not know: three of allauth's, which looks before it writes.
SILENCED_SYSTEM_CHECKS = ["models.W036"]

# --- Vault ---------------------------------------------------------------------------------------------------------

VAULT: dict[str, Any] = {
    "BACKEND": env.choice("VAULT_BACKEND", default="aws", among={"aws", "embedded"}),
    "EMBEDDED_DIR": str(DATA_DIR / "vault"),
    # PCI DSS 6.5.5: nobody's card number gets into a place that was not made for it. Production takes them all.
    "TEST_CARDS_ONLY": env.flag("VAULT_TEST_CARDS_ONLY", default=True),
    "REGION": env.text("AWS_REGION", default="eu-central-1"),
    "ENDPOINT_URL": env.text("VAULT_ENDPOINT_URL"),
    "PROFILE": env.text("AWS_PROFILE"),
    "TABLE": env.text("VAULT_TABLE", default="billing-vault"),
    "CARD_KEY": env.text("VAULT_CARD_KEY", default="alias/billing-vault-card"),
    "FINGERPRINT_KEY": env.text("VAULT_FINGERPRINT_KEY", default="alias/billing-vault-fingerprint"),
    "AUDIT_KEY": env.text("VAULT_AUDIT_KEY", default="alias/billing-vault-audit"),
    "CERTIFICATE_KEY": env.text("VAULT_CERTIFICATE_KEY", default="alias/billing-vault-certificate"),
    "AUDIT_DATABASE": "audit",
    "MATERIALS": env.choice("VAULT_MATERIALS", default="per-item", among={"per-item", "reused"}),
    "DATA_KEY_AHEAD": env.flag("VAULT_DATA_KEY_AHEAD", default=False),
    "DATA_KEY_MAX_AGE": env.number("VAULT_DATA_KEY_MAX_AGE", default=300),
    "DATA_KEY_MAX_ITEMS": env.number("VAULT_DATA_KEY_MAX_ITEMS", default=10_000),
    "KEYS_MAX_AGE": env.number("VAULT_KEYS_MAX_AGE", default=60),
    "CRYPTOPERIOD_DAYS": env.number("VAULT_CRYPTOPERIOD_DAYS", default=365),
    "RETENTION_AFTER_EXPIRY": env.number("VAULT_RETENTION_AFTER_EXPIRY", default=18),
    "RETENTION_AFTER_USE": env.number("VAULT_RETENTION_AFTER_USE", default=36),
    "ORPHAN_GRACE": env.number("VAULT_ORPHAN_GRACE", default=24 * 3600),
    "VERIFY_EVERY_DAYS": env.number("VAULT_VERIFY_EVERY_DAYS", default=92),
    "CONNECT_TIMEOUT": env.seconds("VAULT_CONNECT_TIMEOUT", default=1.0),
    "READ_TIMEOUT": env.seconds("VAULT_READ_TIMEOUT", default=3.0),
    # No limit for commands, which keep nobody waiting; `billing.gunicorn_conf` sets one for its workers.
    "CALLS_AT_ONCE": env.number("VAULT_CALLS_AT_ONCE", default=0, least=0),
    "PURPOSES": env.words(
        "VAULT_PURPOSES", default=["settlement", "refund", "fraud-investigation", "dispute", "support", "migration"]
    ),
    # By purpose, in JSON; .env.example has an example.
    "PURPOSE_RULES": env.mapping("VAULT_PURPOSE_RULES"),
    "READ_BUDGET": env.number("VAULT_READ_BUDGET", default=60),
    "SEARCH_BUDGET": env.number("VAULT_SEARCH_BUDGET", default=60),
    "GROUP_BUDGETS": env.mapping("VAULT_GROUP_BUDGETS"),
    # By the name of the limit, in JSON; docs/api.md has the names.
    "API_LIMITS": env.mapping("VAULT_API_LIMITS"),
    "REVEAL_APPROVAL": env.flag("VAULT_REVEAL_APPROVAL", default=True),
    "REVEAL_VALID": env.number("VAULT_REVEAL_VALID", default=24 * 3600),
    "CONFIRM_IDENTITY": "billing.accounts.confirm_identity",
    "BREAK_GLASS": env.flag("VAULT_BREAK_GLASS", default=True),
    "ALARM_EMAILS": env.words("VAULT_ALARM_EMAILS"),
}

# Whom mail comes from.
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("EMAIL_FROM", default="Billing <billing@localhost>")
# How many seconds a mail server may take: requests wait for it, and in an emergency it may be what is broken.
EMAIL_TIMEOUT = env.number("EMAIL_TIMEOUT", default=5)

# Reverse proxies in front of this process whose X-Forwarded-For entry can be believed; 0 believes none.
TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", default=0, least=0)

# --- Order pages ---------------------------------------------------------------------------------------------------

# What a customer should do about the account: `orders` knows nothing of accounts.
ORDERS_ACCOUNT_STEPS = "billing.account_steps.account_steps"
# Who sells, as receipts say it: the name, and the lines of the address below it.
RECEIPT_SELLER = env.text("RECEIPT_SELLER", default="Billing").replace(r"\n", "\n")

# --- Webhooks ------------------------------------------------------------------------------------------------------

# For how many days an event stays in the log after it was distributed.
WEBHOOKS_KEEP_DAYS = env.number("WEBHOOKS_KEEP_DAYS", default=30)
# Whether a consumer on this machine may be called without TLS.
WEBHOOKS_HTTP_ON_LOOPBACK = False

# --- Accounts ------------------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    # PCI DSS 8.3.6
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
ACCOUNT_ADAPTER = "billing.accounts.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "billing.accounts.LoginForm",
    "change_password": "billing.accounts.ChangePasswordForm",
    "reset_password": "billing.accounts.ResetPasswordForm",
    "signup": "billing.accounts.SignupForm",
}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
# Nobody is let in who cannot read the mail of the address; so a sign-up need not say whether somebody has it already.
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
# Codes and no links: a secret in an address would stand in logs, histories and referrers, and scanners of mail open it.
# A code is good in the browser alone that asked for it.
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED = True
# Mail may take a few minutes. Shorter than allauth's LOGIN_TIMEOUT: what ends first is the code, and that is explained.
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT = ACCOUNT_PASSWORD_RESET_BY_CODE_TIMEOUT = 10 * 60
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
# Whoever did not change the password or a second factor learns that somebody did.
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = False
# The failures of an account are counted in `billing.lockout`; these are about addresses, where many may sit behind one.
ACCOUNT_RATE_LIMITS = {"login_failed": "30/m/ip"}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_ADAPTER = "billing.second_factor.MFAAdapter"
MFA_FORMS = {
    "authenticate": "billing.second_factor.AuthenticateForm",
    "reauthenticate": "billing.second_factor.ReauthenticateForm",
    "authenticate_webauthn": "billing.second_factor.AuthenticateWebAuthnForm",
    "reauthenticate_webauthn": "billing.second_factor.ReauthenticateWebAuthnForm",
    "login_webauthn": "billing.passkeys.LoginWebAuthnForm",
    "add_webauthn": "billing.second_factor.AddWebAuthnForm",
    "edit_webauthn": "billing.second_factor.EditWebAuthnForm",
}
MFA_TOTP_ISSUER = "Billing"
# `billing.passkeys` refuses a key that did not ask for a PIN, a finger or a face.
MFA_PASSKEY_LOGIN_ENABLED = True
# Whether staff need a second factor for the admin and before a reveal (PCI DSS 8.4).
STAFF_MFA_REQUIRED = env.flag("STAFF_MFA_REQUIRED", default=True)
# After how many seconds without a request the session of staff ends (PCI DSS 8.2.8).
STAFF_IDLE_SECONDS = env.number("STAFF_IDLE_SECONDS", default=900)
# For how many seconds somebody who has shown who they are may reveal a card.
IDENTITY_FRESH_SECONDS = env.number("IDENTITY_FRESH_SECONDS", default=300)
# Earlier secret keys, which still open what was closed with them.
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "orders:overview"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "billing.errors.csrf_failure"

# --- API -----------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["billing.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    # No browsable API: its forms would show a rejected card number again.
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["vault.api.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "vault.api.schema.AutoSchema",
    "EXCEPTION_HANDLER": "vault.api.problems.problem_response",
    # OPTIONS would describe the serializers; the schema does that better.
    "DEFAULT_METADATA_CLASS": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Billing API",
    "DESCRIPTION": (
        "Orders paid with cards, and the cards themselves as tokens. The guide is docs/api.md. Errors are problem "
        "details (RFC 9457); each kind is explained at [/api/problems/](/api/problems/)."
    ),
    "VERSION": "1",
    "LICENSE": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
    "OAS_VERSION": "3.1.0",
    # The host that serves the document.
    "SERVERS": [{"url": "/"}],
    "TAGS": [
        {"name": "orders", "description": "Placed, looked at, cancelled and paid again."},
        {"name": "tokens", "description": "Card numbers in, tokens out, and back for those with the right."},
    ],
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    # `check --deploy` writes the document; where no API is served, there is nothing in it to give examples of.
    "ENABLE_DJANGO_DEPLOY_CHECK": "api" in SURFACES,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    # Whoever reads it need not say who they are, and a token that has expired does not lock anybody out of it.
    "SERVE_AUTHENTICATION": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    # Two components have it, so it cannot be named after one.
    "ENUM_NAME_OVERRIDES": {"CardStatusEnum": "vault.models.Card.Status"},
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "knoxApiToken": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "The word `Token`, a space, and the token of a service account: `Token 9f2c...`",
            }
        }
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "billing.openapi.add_examples",
    ],
}

# --- Browsers ------------------------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
DATA_UPLOAD_MAX_MEMORY_SIZE = FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
# Django would write larger files to a disk as it reads them, whatever is in them and to whichever page they are sent.
FILE_UPLOAD_HANDLERS = ["billing.uploads.InMemoryUploadHandler"]
# A list of the admin has 100 rows: all of them chosen, and what else its form sends.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
# What the vault says is translated beside it, as it is installed without the rest.
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
TIME_ZONE = "UTC"
USE_TZ = True

# --- Logs ----------------------------------------------------------------------------------------------------------

# Where crashes and errors are reported to, in the form of `billing.crash_reports` alone; nowhere without it.
SENTRY_DSN = env.text("SENTRY_DSN")
SENTRY_ENVIRONMENT = env.text("SENTRY_ENVIRONMENT", default="production")
SENTRY_RELEASE = env.text("SENTRY_RELEASE")

LOGGING = logging.LOGGING
LOGGING_CONFIG = "billing.logs.configure"
