from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from vault.management.operators import OperatorCommand
from vault.models import Card
from vault.stdout import taken

_CHUNK: Final = 2_000
_LONGEST: Final = 36_500


class Command(OperatorCommand):
    help = "List the cards on file that have expired or will within so many days, the earliest first. Asks SQL alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--within", metavar="DAYS", type=int, default=60, help="how far to look ahead, 60 if not said"
        )
        parser.add_argument("--format", choices=["text", "json"], default="text", help="json is one object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["within"] <= _LONGEST:
            raise CommandError(f"Say between 0 and {_LONGEST} days.")
        line = _json if options["format"] == "json" else _text
        cards = Card.objects.filter(
            status=Card.Status.ACTIVE, expires__lte=timezone.localdate() + timedelta(days=options["within"])
        )
        with taken():
            for card in cards.order_by("expires", "token").iterator(_CHUNK):
                self.stdout.write(line(card))


def _text(card: Card) -> str:
    return f"{card.token}  {card.brand:<10}  {card.last4}  {card.expires:%Y-%m}"


def _json(card: Card) -> str:
    return json.dumps(
        {"token": card.token, "brand": card.brand, "last4": card.last4, "expires": f"{card.expires:%Y-%m}"}
    )
