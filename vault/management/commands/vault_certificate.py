from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from vault.audit import audited
from vault.backend import current_vault
from vault.evidence import MEMBERS, prove
from vault.exceptions import RecordTampered, VaultError
from vault.management.operators import OperatorCommand
from vault.stdout import taken

_INVALID: Final = "The certificate is not what was signed."
_NO_CERTIFICATE: Final = "This is not an erasure certificate."
_OTHER_KEY: Final = "The certificate names a key that is not this vault's. If you trust it, say so with --key."
_LONGEST: Final = 100_000


class Command(OperatorCommand):
    help = (
        "Prove an erasure certificate, by asking KMS. Ends with 0 if it is valid, 2 if it is not, 1 if that could not "
        "be found out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        verifying = actions.add_parser("verify", help="prove a certificate that was downloaded, or answered by the API")
        verifying.add_argument("file", metavar="FILE", help="its JSON; - is standard input")
        verifying.add_argument("--key", metavar="ARN", help="the key to trust, if the vault has another one by now")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with taken():
                self._verify(options)
        except RecordTampered:
            raise CommandError(_INVALID, returncode=2) from None
        except VaultError as error:
            raise CommandError(f"{error.message} {error.aws_answer}".strip()) from None

    def _verify(self, options: dict[str, Any]) -> None:
        given = _certificate(options["file"])
        with audited("certificate.verify", subject="file"):
            vault = current_vault()
            # Anybody can sign with a key of their own, and let everybody verify it.
            if given["key"] != (options["key"] or vault.session.key_arn(vault.config.CERTIFICATE_KEY)):
                raise CommandError(_OTHER_KEY)
            prove(given)
        # Signed: so it holds what the vault wrote, and nothing that would move the cursor of a terminal.
        for name, value in sorted(json.loads(given["content"]).items()):
            self.stdout.write(f"{name:<12} {value}")
        self.stdout.write(self.style.SUCCESS("The certificate is valid."))


def _certificate(path: str) -> dict[str, str]:
    """What stands in a file, or on standard input. Raises `CommandError` for what is no certificate."""
    try:
        with sys.stdin if path == "-" else Path(path).open(encoding="utf-8") as file:
            given = json.loads(file.read(_LONGEST))
    except OSError as error:
        raise CommandError(f"The file cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise CommandError(_NO_CERTIFICATE) from None
    if not isinstance(given, dict) or given.keys() != set(MEMBERS):
        raise CommandError(_NO_CERTIFICATE)
    if not all(isinstance(value, str) for value in given.values()):
        raise CommandError(_NO_CERTIFICATE)
    return given
