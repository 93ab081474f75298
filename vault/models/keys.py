"""The list of keys: which may seal, which may open, which are done with. Never a key itself."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _, pgettext_lazy


class Key(models.Model):
    """A KMS key of the cards, or a version of the fingerprint secret. Written by `vault.rotation` alone.

    The list is in SQL and the items are in DynamoDB: who can plant an item cannot put the key it was sealed under on
    the list. A vault that was never rotated has no rows; it uses the key that `settings.VAULT` names.
    """

    class Purpose(models.TextChoices):
        CARD = "card", _("Card key")
        FINGERPRINT = "fingerprint", _("Fingerprint key")

    class State(models.TextChoices):
        # A fingerprint key alone: already written for every card, while not every card has it yet.
        NEXT = "next", pgettext_lazy("state of a key", "Next")
        ACTIVE = "active", _("Active")
        # Opens what it sealed, and seals nothing any more.
        OLD = "old", _("Opens only")
        RETIRED = "retired", _("Retired")

    purpose = models.CharField(_("purpose"), max_length=11, choices=Purpose.choices)
    # Counts from 1. Items that name no key were sealed under number 1; of a fingerprint it is the version.
    number = models.PositiveIntegerField(_("number"))
    arn = models.CharField(_("KMS key"), max_length=256)
    state = models.CharField(_("state"), max_length=7, choices=State.choices)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    changed_at = models.DateTimeField(_("changed"), default=timezone.now)
    # Data keys made before this are not used any more, however young they are.
    renewed_at = models.DateTimeField(_("data keys renewed"), null=True)

    class Meta:
        verbose_name = _("key")
        verbose_name_plural = _("keys")
        ordering = ["purpose", "number"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["purpose", "number"], name="vault_key_number")]

    def __str__(self) -> str:
        return f"{self.purpose} {self.number}"
