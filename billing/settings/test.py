"""The test suite: fast password hashes, everything in memory or in temporary folders."""

from billing.settings.base import *  # noqa: F403
from billing.settings.base import INSTALLED_APPS, MIDDLEWARE, VAULT
from billing.settings.environment import env

SECRET_KEY = "only-for-tests"  # noqa: S105 - protects nothing
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# The tests of the admin sign in with a password alone; those of the second factor switch this on.
STAFF_MFA_REQUIRED = False
WEBHOOKS_HTTP_ON_LOOPBACK = True
VAULT |= {"BACKEND": "embedded", "EMBEDDED_ALLOWED": True}
INSTALLED_APPS = [*INSTALLED_APPS, "tests.shop"]
# Static files are not collected for tests.
MIDDLEWARE = [name for name in MIDDLEWARE if "whitenoise" not in name]
# Without the redaction of each record as it is made: the leak scanner is to see what our own code gives to a logger.
LOGGING_CONFIG = "logging.config.dictConfig"
SENTRY_DSN = ""
env.complete()
