"""What SQL may know: everything about a card but its number, who asked to see it, and who did."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn, Self

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from vault.pan import Brand, mask
from vault.purposes import TEXT_LENGTH
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
            ("detokenize_unattended", "Can read card numbers without approval (service accounts, not staff)"),
            ("search_pan", "Can find a card by its number"),
            ("erase_card", "Can erase cards"),
            ("manage_keys", "Can manage the keys of the vault"),
        ]

    def __str__(self) -> str:
        return f"{Brand(self.brand).label} {self.masked}"

    @property
    def masked(self) -> str:
        return mask(self.last4)


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
        permissions = [("approve_reveal", "Can approve that somebody sees a card number")]

    def __str__(self) -> str:
        return f"{self.card} · {self.ticket}"

    def has_expired(self, now: datetime | None = None) -> bool:
        """True once the time is over in which it could be decided and used."""
        return (now or timezone.now()) >= self.expires_at


class AppendOnly(TypeError):
    """Audit events are written once, by `vault.audit`, and neither changed nor deleted."""


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Reads."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnly

    def delete(self) -> NoReturn:
        raise AppendOnly

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly

    def of(self, actor: str) -> Self:
        """What this actor did, or tried to do."""
        return self.filter(actor=actor)


class AuditEvent(models.Model):
    """One row for each thing that was about to happen, and one for what became of it. See `vault.audit`."""

    class Outcome(models.TextChoices):
        INTENT = "intent", _("About to")
        DONE = "done", _("Done")
        DENIED = "denied", _("Denied")
        FAILED = "failed", _("Failed")

    chain = models.CharField(_("chain"), max_length=32)
    number = models.PositiveBigIntegerField(_("number"))
    previous = models.CharField(_("digest before"), max_length=64)
    digest = models.CharField(_("digest"), max_length=64)
    time = models.DateTimeField(_("time"), db_index=True)
    operation = models.CharField(_("operation"), max_length=32)
    operation_id = models.CharField(_("operation id"), max_length=32)
    outcome = models.CharField(_("outcome"), max_length=8, choices=Outcome.choices)
    actor = models.CharField(_("actor"), max_length=64)
    actor_name = models.CharField(_("name"), max_length=150)
    source = models.CharField(_("from"), max_length=64)
    request_id = models.CharField(_("request id"), max_length=32)
    token = models.CharField(_("token"), max_length=LENGTH)
    subject = models.CharField(_("about"), max_length=150)
    purpose = models.CharField(_("purpose"), max_length=32)
    reason = models.CharField(_("reason"), max_length=TEXT_LENGTH)
    cards = models.PositiveIntegerField(_("cards"))
    is_alarm = models.BooleanField(_("alarm"))
    details = models.JSONField(_("details"))

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit log")
        ordering = ["-pk"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["chain", "number"], name="vault_auditevent_no_fork")]
        indexes = [
            models.Index(fields=["actor", "operation", "time"], name="vault_audit_actor"),
            models.Index(fields=["subject", "operation", "time"], name="vault_audit_subject"),
            models.Index(fields=["token", "time"], name="vault_audit_token"),
            models.Index(fields=["request_id"], name="vault_audit_request"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.outcome}"

    def save(self, **kwargs: Any) -> None:
        """Write a new event. Raises `AppendOnly` for one that is there already."""
        if not self._state.adding:
            raise AppendOnly
        super().save(**kwargs | {"force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly
