"""`docker compose up`: the tiers of production on one machine, a stand-in for AWS, and published test cards alone."""

from typing import Final
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from billing.settings.local import *  # noqa: F403
from billing.settings.local import VAULT

STAND_IN_REQUIRED: Final = (
    "VAULT_ENDPOINT_URL must be http and name the stand-in for AWS: what is open here is not for AWS itself."
)

_stand_in = urlsplit(VAULT["ENDPOINT_URL"])
if _stand_in.scheme != "http" or ".amazonaws." in f".{_stand_in.hostname}." or ".aws." in f".{_stand_in.hostname}.":
    raise ImproperlyConfigured(STAND_IN_REQUIRED)
VAULT |= {"BACKEND": "aws", "TEST_CARDS_ONLY": True}
