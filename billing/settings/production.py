"""Production: everything that `base` leaves open is closed, and nothing has a default that would do."""

from typing import Final

from django.core.exceptions import ImproperlyConfigured

from billing.settings.base import *  # noqa: F403
from billing.settings.base import DATABASES, MIDDLEWARE, SENTRY_DSN, VAULT, env

SENTRY_REFUSED: Final = "SENTRY_DSN must begin with https://: reports of crashes do not go over the network in clear."

SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
VAULT |= {
    "EMBEDDED_ALLOWED": False,
    # A staging system with these settings says true, and is then safe from real cards.
    "TEST_CARDS_ONLY": env.bool("VAULT_TEST_CARDS_ONLY", default=False),
}

for _alias, _variable in {"default": "DATABASE_URL", "audit": "AUDIT_DATABASE_URL"}.items():
    _kept = {"OPTIONS", "CONN_MAX_AGE", "CONN_HEALTH_CHECKS"}
    DATABASES[_alias] = env.db_url(_variable) | {k: v for k, v in DATABASES[_alias].items() if k in _kept}
    if DATABASES[_alias]["ENGINE"] == "django.db.backends.mysql":
        # PCI DSS 4.2.1: the path of the RDS certificate bundle. The connection fails if the server cannot show its own.
        DATABASES[_alias]["OPTIONS"]["ssl"] = {"ca": env.str("DATABASE_CA")}
        DATABASES[_alias]["OPTIONS"]["ssl_mode"] = "VERIFY_IDENTITY"

MIDDLEWARE = ["vault.middleware.RefusePlainHTTPMiddleware", *MIDDLEWARE]
SECURE_SSL_REDIRECT = True
# The load balancer asks these over plain HTTP from within the network.
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 63_072_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
LANGUAGE_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Host-session"
CSRF_COOKIE_NAME = "__Host-csrf"
# Alarms go by mail: a default would lose them.
EMAIL_CONFIG = env.email_url("EMAIL_URL")
vars().update(EMAIL_CONFIG)
if SENTRY_DSN and not SENTRY_DSN.startswith("https://"):
    raise ImproperlyConfigured(SENTRY_REFUSED)
