from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from vault.backend import current_vault
from vault.exceptions import VaultError
from vault.management.operators import OperatorCommand
from vault.management.progress import progress
from vault.models import Key
from vault.rotation import Rotation
from vault.stdout import taken


class Command(OperatorCommand):
    help = (
        "Change a key: make a new one that seals from now on, or retire an old one when a scan shows that nothing is "
        "under it. In between run vault_reencrypt. See vault_keys for the list."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("purpose", choices=Key.Purpose.values)
        action = parser.add_mutually_exclusive_group()
        action.add_argument("--to", metavar="KEY", default="", help="card: seal under this KMS key and make none")
        action.add_argument("--data-key", action="store_true", help="card: no new KMS key, but new data keys")
        action.add_argument("--promote", action="store_true", help="fingerprint: write cards under the next key alone")
        action.add_argument("--retire", metavar="NUMBER", type=int, help="take an old key off the list for good")
        parser.add_argument("--disable", action="store_true", help="with --retire: disable the KMS key as well")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        purpose = options["purpose"]
        is_card = purpose == Key.Purpose.CARD
        if (options["to"] or options["data_key"]) and not is_card:
            raise CommandError("--to and --data-key are for the card key.")
        if options["promote"] and is_card:
            raise CommandError("--promote is for the fingerprint key.")
        if options["disable"] and (options["retire"] is None or not is_card):
            raise CommandError("--disable goes with --retire of a card key.")
        try:
            with taken(), progress(unit="items") as seen:
                said = self._do(Rotation(current_vault()), purpose, options, seen)
        except VaultError as error:
            raise CommandError(f"{error.message} {error.aws_answer}".strip()) from None
        self.stdout.write(json.dumps(said, indent=2) if options["format"] == "json" else said["next"])

    @staticmethod
    def _do(rotation: Rotation, purpose: str, options: dict[str, Any], seen: Any) -> dict[str, Any]:
        """What was done, and what the operator does next."""
        if options["retire"] is not None:
            census = rotation.retire(purpose, options["retire"], disable=options["disable"], seen=seen)
            done = {"retired": options["retire"], "items": 0, "scanned": census.all_cards}
            return done | {"next": f"Retired: of {census.all_cards} cards none is under key {options['retire']}."}
        if options["promote"]:
            number = rotation.promote_fingerprint_key(seen=seen).number
            return {
                "active": number,
                "next": f"Key {number} is active. Next: vault_reencrypt, then --retire.",
            }
        if options["data_key"]:
            rotation.renew_data_keys()
            return {
                "renewed": True,
                "next": "New data keys from now on. For old cards: vault_reencrypt --all.",
            }
        if purpose == Key.Purpose.FINGERPRINT:
            number = rotation.add_fingerprint_key().number
            return {"added": number, "next": f"Key {number} is next. Next: vault_reencrypt, then --promote."}
        key = rotation.rotate_card_key(arn=options["to"])
        return {"active": key.number, "arn": key.arn, "next": f"Key {key.number} seals. Next: vault_reencrypt."}
