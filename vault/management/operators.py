"""What all commands for operators have in common."""

from __future__ import annotations

import gc
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from vault.redaction import redact


class OperatorCommand(BaseCommand):
    """Ends with 1 at arguments that it does not understand, and says so without a card number that is among them.

    By itself the parser repeats them word for word, and ends with the 2 that means here that something is left to do.
    """

    #: How it ends then.
    not_understood = 1

    def execute(self, *args: Any, **options: Any) -> str | None:
        # As in a worker of the server: what is loaded stays until the end, and need not be looked over again and again.
        gc.freeze()
        return super().execute(*args, **options)

    def run_from_argv(self, argv: list[str]) -> None:
        parser = self.create_parser(argv[0], argv[1])
        try:
            parser.parse_args(argv[2:])
        except CommandError as error:
            parser.print_usage(sys.stderr)
            self.stderr.write(redact(str(error)))
            sys.exit(self.not_understood)
        super().run_from_argv(argv)
