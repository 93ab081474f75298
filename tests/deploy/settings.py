"""A tier: it asks whoever is at VAULT_ENDPOINT_URL, and its static files are not collected."""

from tests.faults.settings_aws import *  # noqa: F403
from tests.faults.settings_aws import STORAGES

STORAGES |= {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
