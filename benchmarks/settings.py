"""A laptop's settings, with AWS answered by whoever listens at BENCH_AWS. Numbers of cards are made up."""

from billing.settings.local import *  # noqa: F403
from billing.settings.local import VAULT, env

VAULT |= {
    "BACKEND": "aws",
    "ENDPOINT_URL": env.str("BENCH_AWS"),
    "READ_BUDGET": 10_000_000,
    "SEARCH_BUDGET": 10_000_000,
    "API_LIMITS": {"*": 10_000_000},
}
