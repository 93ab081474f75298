"""Names that come from elsewhere, in English alone: of other packages' models and fields, and of settings."""

from __future__ import annotations

from typing import Final

from django.apps import apps
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _, gettext_noop

# As those packages call them: rights in the database have these names, in English.
_MODELS: Final[dict[str, tuple[Promise, Promise]]] = {
    "knox.AuthToken": (_("auth token"), _("auth tokens")),
    "mfa.Authenticator": (_("authenticator"), _("authenticators")),
}
_FIELDS: Final[dict[str, dict[str, Promise]]] = {
    "knox.AuthToken": {"user": _("user"), "created": _("created"), "expiry": _("expiry")},
    "mfa.Authenticator": {
        "user": _("user"),
        "type": _("type"),
        "created_at": _("created at"),
        "last_used_at": _("last used at"),
    },
}
#: What Django's admin says and its own German lacks: where it stands here, our catalog has it.
SENTENCES: Final = (
    gettext_noop("Reset password"),
    gettext_noop("Set password"),
    gettext_noop(
        "Whether the user will be able to authenticate using a password or not. If disabled, they may still be able "
        "to authenticate using other backends, such as Single Sign-On or LDAP."
    ),
    gettext_noop("Raw passwords are not stored, so there is no way to see the user’s password."),
    gettext_noop("After you’ve created a user, you’ll be able to edit more user options."),
)
#: The purposes that settings have by themselves, as forms call them. Settings cannot say it: to look for a translation
#: is to ask for the settings, and whoever asks while they are read gets half of them, for good.
PURPOSES: Final = (
    gettext_noop("Settlement"),
    gettext_noop("Refund"),
    gettext_noop("Fraud investigation"),
    gettext_noop("Dispute"),
    gettext_noop("Support"),
    gettext_noop("Migration"),
)


def translate() -> None:
    """Let the admin call them as their reader does. Migrations go by what the packages wrote, and do not change."""
    for label, (name, plural) in _MODELS.items():
        options = apps.get_model(label)._meta
        options.verbose_name, options.verbose_name_plural = name, plural
    for label, fields in _FIELDS.items():
        for field, text in fields.items():
            apps.get_model(label)._meta.get_field(field).verbose_name = text
