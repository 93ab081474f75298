"""What is kept of service accounts beside their users and their tokens, and of staff the filters that they saved."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext, gettext_lazy as _

from billing.token_digests import start_of
from vault.validators import validate_no_pan


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


class SavedFilter(models.Model):
    """What a list of the admin is filtered, searched and sorted by, under a name. See `billing.filters`."""

    #: Longer than any filter that is clicked together.
    QUERY_LENGTH = 1_000

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_filters")
    model = models.CharField(max_length=100)
    name = models.CharField(_("name"), max_length=60, validators=[validate_no_pan])
    query = models.CharField(max_length=QUERY_LENGTH)
    is_shared = models.BooleanField(
        _("for colleagues too"),
        default=False,
        help_text=_("Whoever may see this list finds the filter above it, and may open its link."),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("saved filter")
        verbose_name_plural = _("saved filters")
        ordering: ClassVar[list[str]] = ["name", "id"]
        default_permissions = ()
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["owner", "model", "name"], name="saved_filter_once_per_name"),
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["model", "name"], name="saved_filter_of_list")]

    def __str__(self) -> str:
        return self.name
