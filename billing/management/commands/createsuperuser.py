"""Django's command, which refuses a card number as a name before it looks for a user of that name.

Where nobody is asked for a password and none is given, the account has one that nobody knows: its owner asks for a
new one by mail. Without any it would be an account of a program, which gets none.
"""

from __future__ import annotations

import os
import secrets
from typing import Any

from django.contrib.auth.management.commands.createsuperuser import Command as DjangoCommand
from django.core.exceptions import ValidationError

from vault.validators import validate_no_pan


class Command(DjangoCommand):
    def handle(self, *args: Any, **options: Any) -> str | None:
        if options["interactive"] or "DJANGO_SUPERUSER_PASSWORD" in os.environ:
            return super().handle(*args, **options)
        os.environ["DJANGO_SUPERUSER_PASSWORD"] = secrets.token_urlsafe(48)
        try:
            return super().handle(*args, **options)
        finally:
            del os.environ["DJANGO_SUPERUSER_PASSWORD"]

    def _validate_username(self, username: str, *args: Any) -> str | None:
        """The sentence that says what is wrong with the name; None if nothing is."""
        try:
            validate_no_pan(username)
        except ValidationError as error:
            return "; ".join(error.messages)
        problem: str | None = super()._validate_username(username, *args)  # type: ignore[misc]
        return problem
