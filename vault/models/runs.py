"""What long work remembers of itself."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Run(models.Model):
    """One pass of a command over the vault, or over one segment of it: how far it came, and what it found."""

    class State(models.TextChoices):
        RUNNING = "running", _("Running, or stopped on the way")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    operation = models.CharField(_("operation"), max_length=32)
    segment = models.PositiveIntegerField(_("segment"), default=0)
    total_segments = models.PositiveIntegerField(_("of segments"), default=1)
    state = models.CharField(_("state"), max_length=7, choices=State.choices, default=State.RUNNING)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    # Where to go on: only the command that wrote it can read it.
    position = models.JSONField(_("position"), default=dict)
    counts = models.JSONField(_("counts"), default=dict)

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ["-started_at", "-pk"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["operation", "-started_at"], name="vault_run_newest")]

    def __str__(self) -> str:
        return f"{self.operation} {self.segment + 1}/{self.total_segments}"
