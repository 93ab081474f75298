"""The one way to an endpoint and to its secret: at a shell, by somebody whom the machine knows."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from orders.feed import deliveries, endpoints
from orders.feed.models import Attempt, Delivery, Endpoint, Event
from orders.feed.signing import shown_secret
from vault.exceptions import VaultError
from vault.management.operators import OperatorCommand
from vault.redaction import contains_pan
from vault.stdout import taken

NO_ACCOUNT: Final = "There is no such account."
NO_ENDPOINT: Final = "There is no such endpoint."
NO_EVENT: Final = "There is no such event."
WHICH: Final = "Name an event, or say --failed."
_LINES: Final = 50


class Command(OperatorCommand):
    help = "Make, list and change the endpoints that events are sent to. A secret is shown once, and kept nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True, metavar="add|list|rotate|disable|enable|resend|log")
        add = acts.add_parser("add", help="make an endpoint, and show its secret")
        add.add_argument("account", help="the name of the account whose events it is sent")
        add.add_argument("url", help="where to, beginning with https://")
        add.add_argument("--types", default="", help=f"some of {','.join(Event.Type.values)}; without it, all")
        acts.add_parser("list", help="all endpoints")
        rotate = acts.add_parser("rotate", help="give an endpoint another secret, and show it")
        rotate.add_argument("endpoint")
        rotate.add_argument(
            "--at-once", action="store_true", help="the one before leaked: do not sign with it any more"
        )
        acts.add_parser("disable", help="send nothing more to an endpoint").add_argument("endpoint")
        acts.add_parser("enable", help="send to an endpoint again").add_argument("endpoint")
        resend = acts.add_parser("resend", help="send an event again, or all that were given up")
        resend.add_argument("event", nargs="?", default="")
        resend.add_argument("--failed", action="store_true")
        acts.add_parser("log", help="the latest attempts at an endpoint").add_argument("endpoint")

    def handle(self, *args: Any, act: str, **options: Any) -> None:
        try:
            with taken():
                getattr(self, f"_{act}")(options)
        except endpoints.EndpointRefused as refused:
            raise CommandError(str(refused)) from None
        except VaultError as error:
            raise CommandError(error.message) from None

    def _add(self, options: dict[str, Any]) -> None:
        name, types = options["account"], options["types"]
        # Asking for a card number under the names of users would be SQL.
        account = None if contains_pan(name) else User.objects.filter(username=name).first()
        if account is None:
            raise CommandError(NO_ACCOUNT)
        endpoint = endpoints.add(account, url=options["url"], types=types.split(",") if types else ())
        self._show(endpoint)

    def _list(self, options: dict[str, Any]) -> None:
        for endpoint in Endpoint.objects.select_related("account").iterator():
            state = "active" if endpoint.is_active else "disabled"
            types = ",".join(endpoint.types)
            self.stdout.write(f"{endpoint}  {state:<8}  {endpoint.account}  {endpoint.address}  {types}")

    def _rotate(self, options: dict[str, Any]) -> None:
        endpoint = _endpoint(options)
        endpoints.rotate(endpoint, at_once=options["at_once"])
        self._show(endpoint)

    def _disable(self, options: dict[str, Any]) -> None:
        endpoints.disable(_endpoint(options))

    def _enable(self, options: dict[str, Any]) -> None:
        endpoints.enable(_endpoint(options))

    def _resend(self, options: dict[str, Any]) -> None:
        name, is_failed = options["event"], options["failed"]
        if bool(name) == is_failed:
            raise CommandError(WHICH)
        chosen = Delivery.objects.filter(state=Delivery.State.FAILED)
        if name:
            event = None if contains_pan(name) else Event.objects.filter(public_id=name).first()
            if event is None:
                raise CommandError(NO_EVENT)
            chosen = Delivery.objects.filter(event=event)
        self.stdout.write(f"{deliveries.send_again(chosen)} to be sent again")

    def _log(self, options: dict[str, Any]) -> None:
        latest = Attempt.objects.filter(delivery__endpoint=_endpoint(options)).select_related("delivery__event")
        for attempt in latest.order_by("-id")[:_LINES]:
            event, state = attempt.delivery.event, attempt.delivery.state
            came = f"{attempt.at:%Y-%m-%d %H:%M:%S}  {attempt!s:<8}  {attempt.duration_ms:>5} ms"
            self.stdout.write(f"{came}  {event}  {event.type}  {state}")

    def _show(self, endpoint: Endpoint) -> None:
        self.stdout.write(f"{endpoint}\n{shown_secret(endpoint)}")


def _endpoint(options: dict[str, Any]) -> Endpoint:
    name = options["endpoint"]
    endpoint = None if contains_pan(name) else Endpoint.objects.filter(public_id=name).first()
    if endpoint is None:
        raise CommandError(NO_ENDPOINT)
    return endpoint
