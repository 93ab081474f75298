"""Requests to look at one number once."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from vault.models.cards import Card
from vault.purposes import TEXT_LENGTH


class RevealRequest(models.Model):
    """That one person may look at one card once, asked for and decided. Changed by `vault.reveals` alone."""

    class State(models.TextChoices):
        PENDING = "pending", _("Waiting for approval")
        APPROVED = "approved", _("Approved")
        REFUSED = "refused", _("Refused")
        # From the moment a number is asked for. A process that dies here has used the request up.
        OPENING = "opening", _("Being shown")
        SHOWN = "shown", _("Shown")

    card = models.ForeignKey(Card, on_delete=models.PROTECT, related_name="reveal_requests", verbose_name=_("card"))
    requester = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("requested by")
    )
    purpose = models.CharField(_("purpose"), max_length=32)
    reason = models.CharField(_("reason"), max_length=TEXT_LENGTH)
    ticket = models.CharField(_("ticket"), max_length=64)
    is_break_glass = models.BooleanField(_("break-glass"), default=False)
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.PENDING)
    created_at = models.DateTimeField(_("requested"), default=timezone.now, db_index=True)
    expires_at = models.DateTimeField(_("expires"))
    decider = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decided by"),
    )
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    decision = models.CharField(_("decision"), max_length=TEXT_LENGTH, blank=True)
    shown_at = models.DateTimeField(_("shown"), null=True, blank=True)

    class Meta:
        verbose_name = _("reveal request")
        verbose_name_plural = _("reveal requests")
        ordering = ["-created_at", "-pk"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["state", "expires_at"], name="vault_reveal_waiting")]
        permissions = [("approve_reveal", "Can approve that somebody sees a card number")]

    def __str__(self) -> str:
        return f"{self.card} · {self.ticket}"

    def has_expired(self, now: datetime | None = None) -> bool:
        """True once the time is over in which it could be decided and used."""
        return (now or timezone.now()) >= self.expires_at
