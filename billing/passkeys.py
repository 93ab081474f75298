"""Signing in with a passkey alone: two factors in one, and so nothing less is taken for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import LoginWebAuthnForm as AllauthLoginWebAuthnForm
from allauth.mfa.webauthn.internal import auth
from django.core.exceptions import ValidationError

from billing import lockout
from billing.second_factor import NONSENSE, CredentialField
from vault.audit import audited
from vault.exceptions import AccessDenied


class LoginWebAuthnForm(AllauthLoginWebAuthnForm):  # type: ignore[misc]
    """Counts as an attempt at the account whose key it is, and is refused while that is locked."""

    credential = CredentialField()

    def clean_credential(self) -> Authenticator:
        """Raise `ValidationError` for anything but a key of an active user that has just verified who holds it.

        Raises `AuditUnavailable` if the log cannot be written: nobody signs in unseen (PCI DSS 10.2.1).
        """
        answer = self.cleaned_data["credential"]
        try:
            with _attempt(_owner(answer)):
                return self._checked(answer)
        except AccessDenied:
            raise ValidationError(lockout.SENTENCE, code="locked") from None
        except lockout.WrongCredentials:
            raise get_adapter().validation_error("incorrect_code") from None

    def _checked(self, answer: Any) -> Authenticator:
        try:
            _require_verified_holder(answer)
            authenticator: Authenticator = super().clean_credential()
        except (ValidationError, *NONSENSE):
            raise lockout.WrongCredentials from None
        if not authenticator.user.is_active:
            raise lockout.WrongCredentials
        return authenticator


def _require_verified_holder(answer: Any) -> None:
    """The key asked for a PIN, a finger or a face. The signature, which allauth checks afterwards, covers this.

    Allauth leaves it to the challenge. That lies in the session, and a challenge for a second factor does not insist:
    with one of those from an account of their own, whoever found a key could sign in as its owner with it alone.
    """
    if not auth.parse_authentication_response(answer).response.authenticator_data.is_user_verified():
        raise lockout.WrongCredentials


def _owner(answer: Any) -> Any:
    """The user who has the key that this claims to come from; None if nobody has it.

    Users are numbered. If the number alone counted, anybody could lock everybody out, one number after the other.
    """
    try:
        user = auth.extract_user_from_response(answer)
        key = auth.parse_authentication_response(answer).raw_id
        return user if auth.get_authenticator_by_credential_id(user, key) else None
    except (ValidationError, *NONSENSE):
        return None


@contextmanager
def _attempt(user: Any) -> Iterator[None]:
    """Attempts with a passkey are counted with those at the password and with those at the second factor: it is both.

    Raises `AccessDenied` while either is locked.
    """
    if user is None:
        with audited("sign_in", where="passkey"):
            yield
        return
    account = lockout.subject_of_account(user.pk)
    with (
        lockout.attempt("sign_in", account, accounts=[user.pk], where="passkey") as outcome,
        lockout.attempt("mfa.use", f"user:{user.pk}", user=user.pk, kind="passkey"),
    ):
        yield
        outcome["user"] = user.pk
