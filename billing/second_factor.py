"""The second factor: how its secrets are kept, who has one, and whether it was used in this session."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from allauth.account.adapter import get_adapter as account_adapter
from allauth.account.authentication import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter, get_adapter
from allauth.mfa.base.forms import (
    AuthenticateForm as AllauthAuthenticateForm,
    ReauthenticateForm as AllauthReauthenticateForm,
)
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from allauth.mfa.utils import is_mfa_enabled
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm as AllauthAddWebAuthnForm,
    AuthenticateWebAuthnForm as AllauthAuthenticateWebAuthnForm,
    EditWebAuthnForm as AllauthEditWebAuthnForm,
    ReauthenticateWebAuthnForm as AllauthReauthenticateWebAuthnForm,
)
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Min
from django.dispatch import receiver
from django.forms import Field, HiddenInput, JSONField
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext

from billing import lockout
from vault.exceptions import AccessDenied
from vault.validators import validate_no_pan

#: Recovery codes alone are none: they stand in for one.
FACTORS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)

_SET_UP_AT: Final = "billing.set_up_at"


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Keeps the secrets of authenticator apps and recovery codes encrypted under a key that follows from SECRET_KEY.

    Whoever reads the database alone cannot compute codes. SECRET_KEY_FALLBACKS still open what they closed.
    """

    def encrypt(self, text: str) -> str:
        return _fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Raises `cryptography.fernet.InvalidToken` for what was changed or closed with another key."""
        return _fernet().decrypt(encrypted_text.encode()).decode()


def _fernet() -> MultiFernet:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_key(str(secret))) for secret in secrets])


def _key(secret: str) -> bytes:
    # A key for this purpose alone: what Django signs with the same secret says nothing about it.
    return urlsafe_b64encode(hmac.digest(secret.encode(), b"billing.second_factor", hashlib.sha256))


def has_second_factor(user: Any) -> bool:
    """True if the user set up an app or a key."""
    return bool(is_mfa_enabled(user, types=list(FACTORS)))


def used_at(request: HttpRequest, method: str = "mfa") -> float | None:
    """When this session's user last showed a second factor, or with "password" the first one; None if never.

    What was shown before any factor that the user has now was set up says nothing about those.
    """
    records = get_authentication_records(request, request.user)
    times = [record["at"] for record in records if record.get("method") == method]
    if method == "mfa":
        factors = Authenticator.objects.filter(user_id=request.user.pk, type__in=FACTORS)
        oldest = factors.aggregate(oldest=Min("created_at"))["oldest"]
        times = [at for at in times if oldest is not None and at >= oldest.timestamp()]
    return max(times, default=None)


@receiver(authenticator_added)
def note_set_up(request: HttpRequest, **_: Any) -> None:
    request.session[_SET_UP_AT] = time.time()


def was_just_set_up(request: HttpRequest) -> bool:
    """True if a second factor was set up in this very session, as recently as identities are confirmed for."""
    return bool(0 <= time.time() - request.session.get(_SET_UP_AT, 0) < settings.IDENTITY_FRESH_SECONDS)


def reauthentication_page(user: Any) -> str:
    """Where the user shows again who they are: with the second factor, for whoever has one."""
    methods = account_adapter().get_reauthentication_methods(user)
    # Without any there is nothing to show: the page of the password refuses then.
    return str(methods[0]["url"] if methods else reverse("account_reauthenticate"))


# --- Failures are counted ------------------------------------------------------------------------------------------


@contextmanager
def _counted(user: Any, kind: str) -> Iterator[None]:
    """Lock the user's second factor after ten failures; wrong codes are what allauth says they are."""
    try:
        with lockout.attempt("mfa.use", f"user:{user.pk}", user=user.pk, kind=kind):
            try:
                yield
            except ValidationError as error:
                if getattr(error, "code", "") == "too_many_login_attempts":
                    raise
                raise lockout.WrongCredentials from error
    except AccessDenied:
        raise ValidationError(gettext(lockout.SENTENCE), code="locked") from None
    except lockout.WrongCredentials as wrong:
        raise wrong.__cause__ from None  # type: ignore[misc]


class AuthenticateForm(AllauthAuthenticateForm):  # type: ignore[misc]
    """A code after the password."""

    def clean_code(self) -> str:
        with _counted(self.user, "code"):
            return str(super().clean_code())


class ReauthenticateForm(AllauthReauthenticateForm):  # type: ignore[misc]
    """A code in the middle of a session."""

    def clean_code(self) -> str:
        with _counted(self.user, "code"):
            return str(super().clean_code())


# What reading an answer raises that no browser wrote.
NONSENSE: Final = (AttributeError, KeyError, TypeError, ValueError)


class CredentialField(JSONField):
    """What a key answers, which is good once: it is not in the page again."""

    widget = HiddenInput

    def to_python(self, value: Any) -> Any:
        """Raise `ValidationError` also for JSON that no browser wrote: too deep, or with a number of 5,000 digits."""
        try:
            return super().to_python(value)
        except (RecursionError, ValueError):
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial


class _CountedKey:
    """What is no answer of a security key is a wrong one, where allauth would fail with an error of ours."""

    user: Any

    def clean_credential(self) -> Any:
        with _counted(self.user, "webauthn"):
            try:
                return super().clean_credential()  # type: ignore[misc]
            except NONSENSE:
                raise get_adapter().validation_error("incorrect_code") from None


class AuthenticateWebAuthnForm(_CountedKey, AllauthAuthenticateWebAuthnForm):  # type: ignore[misc]
    """A security key after the password."""

    credential = CredentialField()


class ReauthenticateWebAuthnForm(_CountedKey, AllauthReauthenticateWebAuthnForm):  # type: ignore[misc]
    """A security key in the middle of a session."""

    credential = CredentialField()


# --- Names of keys --------------------------------------------------------------------------------------------------


class _NameWithoutPAN:
    """Refuses a card number as the name of a key."""

    fields: dict[str, Field]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["name"].validators.append(validate_no_pan)


class AddWebAuthnForm(_NameWithoutPAN, AllauthAddWebAuthnForm):  # type: ignore[misc]
    """A new security key."""

    credential = CredentialField()

    def clean(self) -> dict[str, Any]:
        try:
            cleaned: dict[str, Any] = super().clean()
        except NONSENSE:
            raise get_adapter().validation_error("incorrect_code") from None
        return cleaned


class EditWebAuthnForm(_NameWithoutPAN, AllauthEditWebAuthnForm):  # type: ignore[misc]
    """Another name for a security key."""
