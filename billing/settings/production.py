"""Production: everything that `base` leaves open is closed, and nothing has a default that would do."""

from typing import Final

from billing.settings.base import *  # noqa: F403
from billing.settings.base import DATABASES, MIDDLEWARE, SENTRY_DSN, VAULT
from billing.settings.environment import env

SENTRY_REFUSED: Final = "must begin with https://, as reports are not for the network"

# With the end of the last line of its file: that is how it always was read, and the keys of webhooks follow from it.
SECRET_KEY = env.needed("SECRET_KEY", "signs sessions, 50+ characters: openssl rand -base64 48", exact=True)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")
if not ALLOWED_HOSTS:
    env.needed("ALLOWED_HOSTS", "names this site answers to, billing.example.com")
VAULT |= {
    "EMBEDDED_ALLOWED": False,
    # A staging system with these settings says true, and is then safe from real cards.
    "TEST_CARDS_ONLY": env.flag("VAULT_TEST_CARDS_ONLY", default=False),
}

_kept = {"OPTIONS", "CONN_MAX_AGE", "CONN_HEALTH_CHECKS"}
_given = {
    "default": env.database(
        "DATABASE_URL", "DATABASE_PASSWORD", missing="the orders, mysql://billing@db.example.com:3306/billing"
    ),
    "audit": env.database(
        "AUDIT_DATABASE_URL", "AUDIT_DATABASE_PASSWORD", missing="audit log, mysql://billing_audit@HOST/billing_audit"
    ),
}
for _alias, _database in _given.items():
    DATABASES[_alias] = _database | {k: v for k, v in DATABASES[_alias].items() if k in _kept}
    # One that is not known yet will be MySQL.
    if _database.get("ENGINE") != "django.db.backends.sqlite3":
        # PCI DSS 4.2.1: the path of the RDS certificate bundle. The connection fails if the server cannot show its own.
        _ca = env.file("DATABASE_CA", "MySQL's certificates, /etc/ssl/certs/rds-global-bundle.pem")
        DATABASES[_alias]["OPTIONS"]["ssl"] = {"ca": _ca}
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
EMAIL_CONFIG = env.mail("EMAIL_URL", "EMAIL_PASSWORD", missing="takes mail, smtp+tls://USER@mail.example.com:587")
vars().update(EMAIL_CONFIG)
if SENTRY_DSN and not SENTRY_DSN.startswith("https://"):
    env.refuse("SENTRY_DSN", SENTRY_REFUSED)
env.complete()
