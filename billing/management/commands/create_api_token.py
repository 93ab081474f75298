"""The one way to a token of the API: at a shell, by somebody whom the machine knows, and never in the admin."""

import re
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from billing.api_accounts import AccountRefused, find_account, issue_token
from vault.management.operators import OperatorCommand
from vault.stdout import taken

LIFE: Final = "--expires takes days from 1 to 366, such as 30 or 90d, or hours from 1 to 8784, such as 12h."
_LIFE: Final = re.compile("([0-9]{1,4})([dh]?)")
_MOST: Final = timedelta(days=366)


class Command(OperatorCommand):
    help = (
        "Make an API token for a service account and print it once. Only its digest is kept. An account has two live "
        "tokens at most: the one in use, and the one that takes over."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the name of the account")
        parser.add_argument("--expires", metavar="LIFE", help="90d, 12h, or days alone; without it, ten hours")
        parser.add_argument(
            "--replace-oldest", action="store_true", help="revoke the oldest token if there are two live ones already"
        )

    def handle(self, *args: Any, user: str, expires: str | int | None, replace_oldest: bool, **options: Any) -> None:
        life = None if expires is None else _life(str(expires))
        # Its creation is recorded by `billing.access_log`, as on every path.
        with taken():
            try:
                token = issue_token(find_account(user), life=life, replaces_oldest=replace_oldest)
            except AccountRefused as refused:
                raise CommandError(str(refused)) from None
            self.stdout.write(token)


def _life(text: str) -> timedelta:
    # A parser of the command line would repeat what it does not understand.
    match = _LIFE.fullmatch(text)
    if match is None:
        raise CommandError(LIFE)
    count = int(match[1])
    life = timedelta(hours=count) if match[2] == "h" else timedelta(days=count)
    if not timedelta() < life <= _MOST:
        raise CommandError(LIFE)
    return life
