"""The settings of a laptop, with moto in the place of AWS where VAULT_BACKEND says so."""

from billing.settings.local import *  # noqa: F403
from billing.settings.local import VAULT, env

VAULT |= {"BACKEND": env.str("VAULT_BACKEND", default="embedded")}
