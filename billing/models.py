"""What is kept of service accounts beside their users and their tokens."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext, gettext_lazy as _

from billing.token_digests import start_of


class APIAccount(models.Model):
    """From where an account may use the API. A user without a row may do so from anywhere, as with an empty list."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="api_account"
    )
    # As `billing.networks.parse` writes them.
    networks = models.JSONField(default=list, editable=False)

    class Meta:
        verbose_name = _("networks of an API account")
        verbose_name_plural = _("networks of API accounts")
        default_permissions = ()

    def __str__(self) -> str:
        return ", ".join(self.networks) or gettext("any")


class TokenUse(models.Model):
    """When a token of the API was used last, up to a minute earlier than it was."""

    # Without a constraint in the database: between the deletion of this row and that of the token another process may
    # write a new one, and then the database would refuse to revoke the token.
    token = models.OneToOneField(
        "knox.AuthToken", on_delete=models.CASCADE, primary_key=True, related_name="use", db_constraint=False
    )
    last_used = models.DateTimeField(editable=False)

    class Meta:
        verbose_name = _("use of an API token")
        verbose_name_plural = _("uses of API tokens")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{start_of(self.token_id)}: {self.last_used:%Y-%m-%d %H:%M} UTC"
