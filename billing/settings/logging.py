"""What is logged, how, and from which level: one definition for Django and for gunicorn (`billing/gunicorn_conf.py`).

Imports none of the other settings, as gunicorn logs before Django. What the lines look like is in `billing.logs`.
"""

import logging
import os
from typing import Any, Final

from billing.settings.environment import env

LEVEL_UNKNOWN: Final = "must be INFO, WARNING, ERROR or CRITICAL; DEBUG on a laptop"
FORMATS: Final = frozenset({"json", "line"})

# Only there may logs tell more than is good for card data, and be for people to read.
IS_LAPTOP: Final = os.environ.get("DJANGO_SETTINGS_MODULE") == "billing.settings.local"

# At DEBUG these print request bodies, data keys, session tokens, SQL with its parameters: no setting may lower them.
# What the encryption client has to say, it says with the item in hand.
PINNED: Final = {
    "boto3": "WARNING",
    "botocore": "WARNING",
    "s3transfer": "WARNING",
    "urllib3": "WARNING",
    "cryptography": "WARNING",
    "MySQLdb": "WARNING",
    "django.db.backends": "WARNING",
    "sentry_sdk": "WARNING",
    "dynamodb_encryption_sdk": "CRITICAL",
}


def level() -> str:
    """LOG_LEVEL, for everything but what is pinned. Less than INFO is refused in production."""
    name = env.text("LOG_LEVEL", default="INFO").upper()
    number = logging.getLevelNamesMapping().get(name)
    if number is None or number < (logging.DEBUG if IS_LAPTOP else logging.INFO):
        env.refuse("LOG_LEVEL", LEVEL_UNKNOWN)
        return "INFO"
    return name


def line_format() -> str:
    """`json` or, where LOG_FORMAT says so on a laptop, `line`."""
    name = env.choice("LOG_FORMAT", default="line" if IS_LAPTOP else "json", among=FORMATS)
    return name if IS_LAPTOP else "json"


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "redact": {"()": "vault.redaction.RedactingFilter"},
        "without_queries": {"()": "billing.logs.WithoutQueries"},
    },
    "formatters": {"json": {"()": "billing.logs.JSONFormatter"}, "line": {"()": "billing.logs.LineFormatter"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "filters": ["redact"], "formatter": line_format()},
        # Audit events go to stdout as they are in the database: one JSON object a line, and a failed write is an error.
        # What could be a card number was masked before the digest was made; a filter here would break the digest.
        "audit": {"class": "vault.stdout.StdoutHandler"},
    },
    "root": {"handlers": ["stderr"], "level": level()},
    "loggers": {
        # Without handlers of their own, not even those that Django and gunicorn would give them: mails with a report of
        # the request, lines that nobody redacts. What they say goes up to the root.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "level": "INFO", "propagate": True, "filters": ["without_queries"]},
        "gunicorn.error": {"handlers": [], "level": "INFO", "propagate": True, "filters": ["without_queries"]},
        "gunicorn.access": {"handlers": [], "level": "INFO", "propagate": True, "filters": ["without_queries"]},
        "vault.audit": {"handlers": ["audit"], "level": "INFO", "propagate": False},
        **{name: {"handlers": [], "level": lowest, "propagate": True} for name, lowest in PINNED.items()},
    },
}
if env.text("SENTRY_DSN"):
    LOGGING["handlers"]["sentry"] = {
        "class": "billing.crash_reports.ErrorHandler",
        "level": "ERROR",
        "filters": ["redact"],
    }
    LOGGING["root"]["handlers"].append("sentry")
