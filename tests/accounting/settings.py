"""The settings of a laptop, with moto in the place of AWS where VAULT_BACKEND says so."""

from billing.settings.environment import env
from billing.settings.local import *  # noqa: F403
from billing.settings.local import VAULT

VAULT |= {"BACKEND": env.text("VAULT_BACKEND", default="embedded")}
