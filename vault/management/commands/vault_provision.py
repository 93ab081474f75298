from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from vault.audit import audited
from vault.backend import current_vault
from vault.exceptions import VaultError
from vault.keylist import key_ring
from vault.management.operators import OperatorCommand
from vault.provisioning import Action, Change, Principals, Provisioner
from vault.stdout import taken

UNCHANGED: Final = Action.UNCHANGED


class Command(OperatorCommand):
    help = "Create or verify the KMS keys and the DynamoDB table of the vault. Run it as often as you like."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what would be done and change nothing")
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument(
            "--use-principal", metavar="ARN", action="append", default=[], help="who may use the keys; repeatable"
        )
        parser.add_argument(
            "--admin-principal", metavar="ARN", action="append", default=[], help="who may administer them; repeatable"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        vault = current_vault()
        use, administration = tuple(options["use_principal"]), tuple(options["admin_principal"])
        if set(use) & set(administration):
            raise CommandError("A principal may use the keys or administer them, not both.")
        changes: list[Change] = []
        event: AbstractContextManager[dict[str, Any]]
        try:
            provisioner = Provisioner(
                config=vault.config,
                dynamodb=vault.session.dynamodb(),
                kms=vault.session.kms(),
                fingerprint_keys=vault.fingerprint_keys,
                fingerprint_version=key_ring(vault.config).written[0],
                principals=Principals(administration=administration, use=use),
                dry_run=options["dry_run"],
            )
            # Making keys and tables is an event (PCI DSS 10.2.1.7); looking at them is none.
            event = nullcontext({}) if options["dry_run"] else audited("provision", subject=vault.config.TABLE)
            with taken(), event as outcome:
                for change in provisioner.run():
                    changes.append(change)
                    if options["format"] == "text":
                        self.stdout.write(self._line(change, is_dry=options["dry_run"]))
                outcome["made"] = [f"{each.resource}: {each.detail}" for each in changes if each.action != UNCHANGED]
        except VaultError as error:
            raise CommandError(f"{error.message} {error.aws_answer}".strip()) from None
        if options["format"] == "json":
            report = {"dry_run": options["dry_run"], "changes": [asdict(change) for change in changes]}
            self.stdout.write(json.dumps(report, indent=2))

    @staticmethod
    def _line(change: Change, *, is_dry: bool) -> str:
        planned = {Action.CREATED: "to create", Action.CHANGED: "to change"}
        action = planned.get(change.action, change.action) if is_dry else change.action
        return f"{action:<10} {change.resource}: {change.detail}"
