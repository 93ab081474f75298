"""`docker compose up`: the tiers of production on one machine, a stand-in for AWS, and published test cards alone."""

from typing import Final
from urllib.parse import urlsplit

from billing.settings.environment import env
from billing.settings.local import *  # noqa: F403
from billing.settings.local import VAULT

STAND_IN_REQUIRED: Final = "must be http and name the stand-in for AWS: what is open here is not for AWS itself"

_stand_in = urlsplit(env.text("VAULT_ENDPOINT_URL"))
if _stand_in.scheme != "http" or ".amazonaws." in f".{_stand_in.hostname}." or ".aws." in f".{_stand_in.hostname}.":
    env.refuse("VAULT_ENDPOINT_URL", STAND_IN_REQUIRED)
VAULT |= {"BACKEND": "aws", "TEST_CARDS_ONLY": True}
env.complete()
