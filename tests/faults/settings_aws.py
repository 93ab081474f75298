"""A laptop that asks AWS, or whoever is at VAULT_ENDPOINT_URL."""

from billing.settings.local import *  # noqa: F403
from billing.settings.local import VAULT

VAULT |= {"BACKEND": "aws"}
