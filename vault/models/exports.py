"""Requests to hand cards over to somebody else, and who agreed."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from vault.models.cards import Card
from vault.purposes import TEXT_LENGTH


class ExportRequest(models.Model):
    """That cards may be wrapped for one recipient's key, once. Changed by `vault.exports` and `vault.exportruns`."""

    class State(models.TextChoices):
        PENDING = "pending", _("Waiting for approval")
        APPROVED = "approved", _("Approved")
        REFUSED = "refused", _("Refused")
        # From the first run on; a run that was stopped goes on in the same file.
        RUNNING = "running", _("Running, or stopped on the way")
        DONE = "done", _("Done")
        EXPIRED = "expired", _("Expired")

    class Selection(models.TextChoices):
        # Those that are on file when it is asked: what is added later, nobody has approved.
        ALL = "all", _("All cards on file")
        TOKENS = "tokens", _("Chosen cards")

    requester = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("requested by")
    )
    recipient = models.CharField(_("recipient"), max_length=100)
    # As a JWK, rebuilt from what was given: nothing else that stood there is kept.
    public_key = models.TextField(_("public key"))
    key_thumbprint = models.CharField(_("thumbprint"), max_length=43)
    purpose = models.CharField(_("purpose"), max_length=32)
    reason = models.CharField(_("reason"), max_length=TEXT_LENGTH)
    ticket = models.CharField(_("ticket"), max_length=64)
    selection = models.CharField(_("selection"), max_length=6, choices=Selection.choices)
    cards = models.ManyToManyField(Card, through="ExportedCard", related_name="+")
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.PENDING)
    created_at = models.DateTimeField(_("requested"), default=timezone.now, db_index=True)
    expires_at = models.DateTimeField(_("expires"))
    # Stands in the file as well: no second file is written for one request.
    run = models.CharField(max_length=32, blank=True, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    counts = models.JSONField(_("counts"), default=dict, blank=True)

    class Meta:
        verbose_name = _("export request")
        verbose_name_plural = _("export requests")
        ordering = ["-created_at", "-pk"]
        default_permissions = ("view",)
        permissions = [
            ("request_export", "Can ask to export cards to a recipient's key"),
            ("approve_export", "Can approve that cards are exported"),
        ]

    def __str__(self) -> str:
        return f"{self.recipient} · {self.ticket}"

    def has_expired(self, now: datetime | None = None) -> bool:
        """True once the time is over in which it could be decided and run."""
        return (now or timezone.now()) >= self.expires_at


class ExportedCard(models.Model):
    """One card that was chosen by its token."""

    request = models.ForeignKey(ExportRequest, on_delete=models.PROTECT, related_name="chosen")
    card = models.ForeignKey(Card, on_delete=models.PROTECT, related_name="exports")

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["request", "card"], name="vault_exportedcard_once")]

    def __str__(self) -> str:
        return f"{self.card_id} in {self.request_id}"


class ExportApproval(models.Model):
    """What one person decided about a request."""

    class Decision(models.TextChoices):
        APPROVED = "approved", _("Approved")
        REFUSED = "refused", _("Refused")

    request = models.ForeignKey(ExportRequest, on_delete=models.PROTECT, related_name="approvals")
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    decision = models.CharField(max_length=8, choices=Decision.choices)
    note = models.CharField(max_length=TEXT_LENGTH, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["at", "pk"]
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["request", "approver"], name="vault_exportapproval_once")]

    def __str__(self) -> str:
        return f"{self.decision} by {self.approver}"
