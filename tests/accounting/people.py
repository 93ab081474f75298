"""Who places orders and erases cards in a run. Made once, before the first worker starts."""

import json
from pathlib import Path

from django.contrib.auth.models import User
from knox.models import AuthToken

from tests.factories import make_user

CUSTOMERS = 2
_SERVICE = ("orders.add_order", "orders.change_order", "vault.tokenize_pan")


def main(arguments: list[str]) -> None:
    """Two customers for each worker, a service account for each, a reader, and staff; tokens go into a file."""
    path, workers = Path(arguments[0]), int(arguments[1])
    tokens = []
    for slot in range(workers):
        for number in range(CUSTOMERS):
            make_user(f"customer{slot}-{number}")
        tokens.append(AuthToken.objects.create(make_user(f"service{slot}", *_SERVICE))[1])
    make_user("reader", "vault.detokenize_pan", "vault.detokenize_unattended")
    make_user("staff", "vault.erase_card", is_staff=True)
    path.write_text(json.dumps(tokens))


def named(name: str) -> User:
    return User.objects.get(username=name)
