"""A laptop's settings, with AWS answered by whoever listens at BENCH_AWS. Numbers of cards are made up."""

import os

from billing.settings.local import *  # noqa: F403
from billing.settings.local import VAULT

VAULT |= {
    "BACKEND": "aws",
    "ENDPOINT_URL": os.environ["BENCH_AWS"],
    "READ_BUDGET": 10_000_000,
    "SEARCH_BUDGET": 10_000_000,
    "API_LIMITS": {"*": 10_000_000},
}
