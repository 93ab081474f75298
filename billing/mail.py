"""Mail that cannot be sent, and mail on a laptop: in the terminal, so that who tries the demo finds the code in it."""

from __future__ import annotations

import sys
from typing import Any, Final

from django.core.mail import EmailMessage
from django.core.mail.backends.console import EmailBackend as ConsoleBackend

_LINE: Final = "-" * 72


class MailUnavailable(Exception):
    """The mail server is away, and what was asked for is of no use without the mail."""


class TerminalBackend(ConsoleBackend):
    """Writes what a reader would see of a mail, to stderr: stdout has the audit log, one JSON object a line."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("stream", sys.stderr)
        super().__init__(*args, **options)

    def write_message(self, message: EmailMessage) -> None:
        head = f"Mail to {', '.join(message.to)}: {message.subject}"
        self.stream.write(f"\n{_LINE}\n{head}\n\n{message.body}\n{_LINE}\n")
