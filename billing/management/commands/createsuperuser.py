"""Django's command, which refuses a card number as a name before it looks for a user of that name."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands.createsuperuser import Command as DjangoCommand
from django.core.exceptions import ValidationError

from vault.validators import validate_no_pan


class Command(DjangoCommand):
    def _validate_username(self, username: str, *args: Any) -> str | None:
        """The sentence that says what is wrong with the name; None if nothing is."""
        try:
            validate_no_pan(username)
        except ValidationError as error:
            return "; ".join(error.messages)
        problem: str | None = super()._validate_username(username, *args)  # type: ignore[misc]
        return problem
