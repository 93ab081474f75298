"""For processes that share databases in files: tests.billing.test_lockout."""

from billing.settings.test import *  # noqa: F403

# Here the failures of an account are counted, and not those of an address.
ACCOUNT_RATE_LIMITS = False
