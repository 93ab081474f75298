"""The audit log's table."""

from __future__ import annotations

from typing import Any, NoReturn, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from vault.purposes import TEXT_LENGTH
from vault.tokens import LENGTH


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
            # Has all that the console of the admin counts by, so that it reads no row.
            models.Index(
                fields=["time", "outcome", "operation", "purpose", "cards", "is_alarm"], name="vault_audit_counted"
            ),
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
