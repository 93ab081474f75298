"""Card numbers found where none belong, and what was done about it (PCI DSS 12.10.7)."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from vault.models.runs import Run
from vault.pan import Brand, mask
from vault.purposes import TEXT_LENGTH


class Incident(models.Model):
    """A column or a file in which card numbers were found. Changed by `vault.scanning` alone."""

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        CONFIRMED = "confirmed", _("Confirmed")
        FALSE_ALARM = "false", _("False alarm")
        CLEANED = "cleaned", _("Cleaned up")

    # There is one for each source: what turns up again is opened again.
    source = models.CharField(_("source"), max_length=255, unique=True)
    state = models.CharField(_("state"), max_length=9, choices=State.choices, default=State.OPEN)
    opened_at = models.DateTimeField(_("opened"), default=timezone.now, db_index=True)
    reopened_at = models.DateTimeField(_("turned up again"), null=True)
    last_seen = models.DateTimeField(_("last seen"), default=timezone.now)
    # All that the run counted; of the places no more are kept than `vault.scanning.incidents.KEPT`.
    found = models.PositiveBigIntegerField(_("found"), default=0)
    run = models.ForeignKey(Run, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("last run"))
    note = models.CharField(_("note"), max_length=TEXT_LENGTH, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided"), null=True)
    # More than there were when somebody called it a false alarm is not what they looked at.
    found_when_decided = models.PositiveBigIntegerField(_("found when decided"), default=0)

    class Meta:
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        ordering = ["-opened_at", "-pk"]
        default_permissions = ("view",)
        permissions = [("work_incident", "Can work off incidents")]

    def __str__(self) -> str:
        return self.source


class Stray(models.Model):
    """One place of an incident, and what may be said of the number there."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="strays", verbose_name=_("incident"))
    place = models.CharField(_("place"), max_length=400)
    # Primary key of the row, to look there again. Null for a file, and for a key that could be a card number itself.
    key = models.JSONField(_("key"), null=True)
    brand = models.CharField(_("brand"), max_length=16, choices=[(brand.value, _(brand.label)) for brand in Brand])
    last4 = models.CharField(_("last four"), max_length=4)
    first_seen = models.DateTimeField(_("first seen"), default=timezone.now)
    last_seen = models.DateTimeField(_("last seen"), default=timezone.now)
    # When somebody looked again and found none.
    gone_at = models.DateTimeField(_("gone"), null=True)

    class Meta:
        verbose_name = _("stray card number")
        verbose_name_plural = _("stray card numbers")
        ordering = ["pk"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["incident", "place", "brand", "last4"], name="vault_stray_once_per_place")
        ]

    def __str__(self) -> str:
        return self.place

    @property
    def masked(self) -> str:
        return mask(self.last4)
