"""The one way to a token of the API: at a shell, by somebody whom the machine knows, and never in the admin."""

from datetime import timedelta
from typing import Any, Final

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from knox.models import get_token_model

from vault.redaction import contains_pan
from vault.stdout import taken

UNKNOWN: Final = "There is no such user."
INACTIVE: Final = "This user is not active."
STAFF: Final = "This user is staff. Tokens are for service accounts, which sign in nowhere else."
DAYS: Final = "--expires takes a number of days from 1 to 366."
_MOST_DAYS: Final = 366


class Command(BaseCommand):
    help = "Make an API token for a service account and print it once. Only its digest is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the name of the account")
        parser.add_argument("--expires", type=int, metavar="DAYS", help="until it ends; without it, ten hours")

    def handle(self, *args: Any, user: str, expires: int | None, **options: Any) -> None:
        if expires is not None and not 1 <= expires <= _MOST_DAYS:
            raise CommandError(DAYS)
        life = {} if expires is None else {"expiry": timedelta(days=expires)}
        # Its creation is recorded by `billing.access_log`, as on every path.
        with taken():
            _, token = get_token_model().objects.create(_service_account(user), **life)
            self.stdout.write(token)


def _service_account(name: str) -> User:
    # Asking for a card number under the names of users would be SQL.
    user = None if contains_pan(name) else User.objects.filter(username=name).first()
    if user is None:
        raise CommandError(UNKNOWN)
    if not user.is_active:
        raise CommandError(INACTIVE)
    if user.is_staff or user.is_superuser:
        raise CommandError(STAFF)
    return user
