"""What the order history may know of a card: everything but the number."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from vault.pan import Brand, mask
from vault.tokens import LENGTH


class Card(models.Model):
    """One row for each card in the vault, written by `vault.services` alone."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("On file")
        ERASED = "erased", _("No longer on file")

    token = models.CharField(_("token"), max_length=LENGTH, primary_key=True, editable=False)
    brand = models.CharField(
        _("brand"), max_length=16, editable=False, choices=[(brand.value, brand.label) for brand in Brand]
    )
    bin = models.CharField(_("BIN"), max_length=8, editable=False)
    last4 = models.CharField(_("last four"), max_length=4, editable=False, db_index=True)
    expires = models.DateField(_("expires"), null=True, blank=True, editable=False)
    status = models.CharField(_("status"), max_length=8, choices=Status.choices, default=Status.ACTIVE, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True, db_index=True)
    # Of the item in DynamoDB as last written, so that an older one put back is noticed.
    item_version = models.PositiveIntegerField(editable=False)
    item_digest = models.CharField(max_length=64, editable=False)

    class Meta:
        verbose_name = _("card")
        verbose_name_plural = _("cards")
        ordering = ["-created_at", "token"]
        default_permissions = ("view",)
        permissions = [
            ("tokenize_pan", "Can store card numbers and use any token"),
            ("detokenize_pan", "Can read card numbers"),
            ("search_pan", "Can find a card by its number"),
        ]

    def __str__(self) -> str:
        return f"{Brand(self.brand).label} {self.masked}"

    @property
    def masked(self) -> str:
        return mask(self.last4)
