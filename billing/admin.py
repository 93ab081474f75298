"""Users and what gives them access in the admin. What is not changed here cannot be planted here."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import allauth.usersessions.admin  # noqa: F401 - registers what is taken out again below
import knox.admin  # noqa: F401 - the same
from allauth.account.admin import EmailAddressAdmin as AllauthEmailAddressAdmin
from allauth.account.models import EmailAddress
from allauth.mfa.admin import AuthenticatorAdmin as AllauthAuthenticatorAdmin
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin, UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import HttpRequest
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy as _
from knox.models import AuthToken

from billing.api_accounts import last_use, networks_of
from billing.service_accounts import AccountsMixin
from billing.token_digests import start_of
from billing.users import NAMES
from vault.admin import RefusePANSearchMixin, ViewOnlyMixin
from vault.validators import validate_no_pan

# Sessions are not here at all: deleting a row would not end one, but hide it from a deactivation.
admin.site.unregister([User, Authenticator, UserSession, AuthToken, Group, EmailAddress])


class _NamesWithoutPAN:
    """Refuses a card number in a name, before anything is looked for under it."""

    def formfield_for_dbfield(self, db_field: Any, request: Any, **options: Any) -> forms.Field | None:
        field: forms.Field | None = super().formfield_for_dbfield(db_field, request, **options)  # type: ignore[misc]
        # On the form's field and not on the model's alone: the form looks for a user of that name before it asks the
        # model, and that look-up would be SQL.
        if field is not None and db_field.name in (*NAMES, "name"):
            field.validators.insert(0, validate_no_pan)
        return field


def _joined(user: User) -> str:
    return ", ".join(networks_of(user)) or gettext("any")


class _PasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]  # no parameters when it runs
    """Django's own, whose help was put together in English before anybody was there to read it."""

    usable_password_help_text = format_lazy(  # type: ignore[assignment]
        '{}<ul id="id_unusable_warning" class="messagelist"><li class="warning">{}</li></ul>',
        DjangoUserAdmin.add_form.usable_password_help_text,
        _("If disabled, the current password for this user will be lost."),
    )


_STANDING: Final = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")


@admin.register(User)
class UserAdmin(_NamesWithoutPAN, RefusePANSearchMixin, DjangoUserAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    change_password_form = _PasswordForm
    # When somebody came is what happened, and nobody types it in.
    readonly_fields = ("api_networks", "last_login", "date_joined")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = super().get_fieldsets(request, obj)
        return shown if obj is None else (*shown, ("API", {"fields": ("api_networks",)}))

    @admin.display(description=_("networks"))
    def api_networks(self, user: User) -> str:
        """Set by `api_account` alone: whoever opens an account to another network is known to the machine."""
        return _joined(user)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nobody changes their own standing or rights: for that it takes another person."""
        is_own = obj is not None and obj.pk == request.user.pk
        return (*super().get_readonly_fields(request, obj), *(_STANDING if is_own else ()))


@admin.register(Group)
class GroupAdmin(_NamesWithoutPAN, RefusePANSearchMixin, DjangoGroupAdmin):  # type: ignore[type-arg,misc,unused-ignore]
    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nobody changes the rights of a group of their own, nor its name, by which rules and budgets go."""
        is_own = obj is not None and obj.user_set.filter(pk=request.user.pk).exists()
        return (*super().get_readonly_fields(request, obj), *(("name", "permissions") if is_own else ()))


@admin.register(EmailAddress)
class EmailAddressAdmin(_NamesWithoutPAN, RefusePANSearchMixin, AllauthEmailAddressAdmin):  # type: ignore[misc]
    """The addresses of users, which they sign in with."""


@admin.register(Authenticator)
class AuthenticatorAdmin(ViewOnlyMixin, RefusePANSearchMixin, AllauthAuthenticatorAdmin):  # type: ignore[misc]
    """Second factors: taken from whoever lost theirs, and never given. Whoever gives one can sign in with it."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type", "created_at", "last_used_at")
    list_select_related = ("user",)
    fields = list_display

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(AllauthAuthenticatorAdmin.has_delete_permission(self, request, obj))


@admin.register(AuthToken)
class AuthTokenAdmin(ViewOnlyMixin, RefusePANSearchMixin, AccountsMixin, admin.ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]
    """Tokens of the API: listed and taken, never given.

    Whoever is shown a token for any account acts as that account; `create_api_token` makes them at a shell.
    """

    list_display = ("user", "created", "expiry", "last_used", "networks", "digest_start")
    list_select_related = ("user", "user__api_account", "use")
    list_filter = ("created", "expiry")
    search_fields = ("user__username",)
    fields = list_display

    @admin.display(description=_("last used"))
    def last_used(self, token: AuthToken) -> datetime | str:
        """To a minute."""
        return last_use(token) or gettext("never")

    @admin.display(description=_("networks"))
    def networks(self, token: AuthToken) -> str:
        """Of its account."""
        return _joined(token.user)

    @admin.display(description=_("digest"))
    def digest_start(self, token: AuthToken) -> str:
        """As in the audit log."""
        return start_of(token.digest)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)
