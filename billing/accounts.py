"""Where allauth is told that a card number is nobody's name."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import LoginForm as AllauthLoginForm

from vault.validators import validate_no_pan


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Refuses an address with a card number in it before it is stored, looked up or written to."""

    def clean_email(self, email: str) -> str:
        """Raise `ValidationError` for an address that holds a card number."""
        validate_no_pan(email)
        cleaned: str = super().clean_email(email)
        return cleaned


class LoginForm(AllauthLoginForm):  # type: ignore[misc]
    """Refuses a card number as a name before anybody is looked for under it: that look-up would be SQL."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Before the field's own validators, which are about addresses.
        self.fields["login"].validators.insert(0, validate_no_pan)
