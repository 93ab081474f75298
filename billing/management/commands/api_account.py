"""A service account at a glance, and what an operator changes about it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from billing.api_accounts import (
    AccountRefused,
    find_account,
    last_use,
    networks_of,
    revoke_token,
    revoke_tokens,
    set_networks,
    tokens_of,
)
from billing.networks import MOST, parse
from billing.rights import rights_on_api
from billing.token_digests import start_of
from vault.management.operators import OperatorCommand
from vault.redaction import redact
from vault.stdout import taken

NETWORKS: Final = (
    f"--networks takes up to {MOST} networks without host bits and with commas between them, such as "
    "10.0.0.0/8,2001:db8::/32. To lift them pass --any-network."
)


class Command(OperatorCommand):
    help = (
        "Show the rights, tokens and networks of a service account; set its networks or revoke tokens. What is changed "
        "holds from the next request, and is in the audit log."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the name of the account")
        change = parser.add_mutually_exclusive_group()
        change.add_argument("--networks", metavar="NETWORK,...", help="let it call the API from these alone")
        change.add_argument("--any-network", action="store_true", help="let it call the API from anywhere")
        change.add_argument("--revoke", metavar="START", help="revoke the token whose digest begins so")
        change.add_argument("--revoke-all", action="store_true", help="revoke all its tokens")

    def handle(self, *args: Any, user: str, **options: Any) -> None:
        with taken():
            try:
                account = find_account(user)
                _change(account, options)
            except AccountRefused as refused:
                raise CommandError(str(refused)) from None
            # Read anew: it shows what is, not what was asked for.
            self.stdout.write("\n".join(_lines(User.objects.get(pk=account.pk))))


def _change(account: User, options: dict[str, Any]) -> None:
    if options["networks"] is not None:
        try:
            networks = parse(options["networks"])
        except ValueError:
            raise CommandError(NETWORKS) from None
        set_networks(account, networks)
    elif options["any_network"]:
        set_networks(account, [])
    elif options["revoke"] is not None:
        revoke_token(account, options["revoke"])
    elif options["revoke_all"]:
        revoke_tokens(account)


def _lines(account: User) -> Iterator[str]:
    standing = "staff, for whom there are no tokens" if account.is_staff or account.is_superuser else "service account"
    activity = "" if account.is_active else "not active, "
    # A name may have been put there by SQL.
    yield f"{redact(account.get_username())} (user:{account.pk}), {activity}{standing}"
    rights = [
        f"{right.name}: {right.meaning} ({', '.join(map(redact, right.through))})" for right in rights_on_api(account)
    ]
    yield from _section("Rights", rights or ["none"])
    yield from _section("Tokens", [_token(each) for each in tokens_of(account)] or ["none"])
    yield from _section("Networks", networks_of(account) or ["any"])


def _section(title: str, lines: list[str]) -> Iterator[str]:
    yield f"{title}:"
    yield from (f"  {line}" for line in lines)


def _token(token: Any) -> str:
    if token.expiry is None:
        end = "without an end"
    else:
        end = f"{'until' if token.expiry > timezone.now() else 'expired'} {_time(token.expiry)}"
    used = last_use(token)
    use = f"last used {_time(used)}" if used else "never used"
    return f"{start_of(token.digest)}  made {_time(token.created)}, {end}, {use}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
