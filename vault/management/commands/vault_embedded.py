from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any, Final

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from vault.embedded import Roles, RolesRefused
from vault.embedded.server import EmbeddedServer
from vault.management.operators import OperatorCommand

REAL_CARDS_REFUSED: Final = "The embedded DynamoDB and KMS are for laptops and tests, and this is where real cards are."
ROLES_REFUSED: Final = "The file of roles must be a JSON object that lists the policies of each access key."
FILE_REFUSED: Final = "The file of roles cannot be read."
ADDRESS_REFUSED: Final = "This address cannot be listened on."


class Command(OperatorCommand):
    help = (
        "Answer DynamoDB and KMS on a port, from the files of the embedded vault, until SIGTERM. With --roles an "
        "access key may do what its IAM policies say. For laptops and tests alone: HTTP in clear, and no signature is "
        "verified."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS")
        parser.add_argument("--port", type=int, default=8001, help="0 for any that is free; it is printed")
        parser.add_argument("--directory", type=Path, help="where its files are; the embedded vault's if not given")
        parser.add_argument("--roles", type=Path, metavar="FILE", help="JSON: access key id to list of IAM policies")

    def handle(self, *args: Any, **options: Any) -> None:
        # Whoever reaches the port reads every card: nothing of this may run beside real ones.
        if not settings.VAULT.get("EMBEDDED_ALLOWED", False):
            raise CommandError(REAL_CARDS_REFUSED)
        roles = _roles(options["roles"]) if options["roles"] else None
        directory = options["directory"] or Path(str(settings.VAULT["EMBEDDED_DIR"]))
        try:
            server = EmbeddedServer((options["bind"], options["port"]), directory, roles)
        except (OSError, OverflowError):
            raise CommandError(ADDRESS_REFUSED) from None
        self._serve(server)

    def _serve(self, server: EmbeddedServer) -> None:
        stopping = threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            stopping.set()

        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, stop)
        with server:
            # In a thread of its own: a signal interrupts the main one, and a server cannot be stopped from within.
            answering = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
            answering.start()
            host, port = server.server_address[:2]
            self.stdout.write(f"Listening on http://{host!s}:{port}")
            self.stdout.flush()
            stopping.wait()
            server.stop()
            answering.join()


def _roles(path: Path) -> Roles:
    try:
        return Roles.load(path)
    except RolesRefused:
        raise CommandError(ROLES_REFUSED) from None
    except OSError:
        raise CommandError(FILE_REFUSED) from None
