"""What the API remembers of its callers for a while: requests that may come again, and how much of a limit is used."""

from __future__ import annotations

import uuid
from typing import Final

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

_AT_ONCE: Final = 500


class IdempotentRequestQuerySet(models.QuerySet["IdempotentRequest"]):
    def forget_expired(self) -> int:
        """Delete what nobody can ask for any more, in short statements; return how many."""
        expired = self.filter(expires_at__lte=timezone.now())
        gone = 0
        while keys := list(expired.values_list("pk", flat=True)[:_AT_ONCE]):
            gone += expired.filter(pk__in=keys).delete()[0]
        return gone


class IdempotentRequest(models.Model):
    """A request that came with an Idempotency-Key, and its answer.

    Of the key and of what was sent there is an HMAC each: card numbers are few enough to be tried one after the other
    against a plain digest. The answer has no digits; see `vault.api.idempotency`.
    """

    # Of account and key.
    key_digest = models.CharField(max_length=64, unique=True, editable=False)
    # Of method, path and body.
    content_digest = models.CharField(max_length=64, editable=False)
    # Names what the request makes, so that a repetition after a crash finds it instead of making it twice.
    submission = models.UUIDField(default=uuid.uuid4, editable=False)
    # Who carries it out, and until when nobody else may.
    owner = models.UUIDField(editable=False)
    claimed_until = models.DateTimeField(editable=False)
    # None while it is carried out.
    status = models.PositiveSmallIntegerField(null=True, editable=False)
    headers = models.JSONField(default=dict, editable=False)
    answer = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(editable=False, db_index=True)

    objects = IdempotentRequestQuerySet.as_manager()

    class Meta:
        verbose_name = _("idempotent request")
        verbose_name_plural = _("idempotent requests")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.submission}"


class Allowance(models.Model):
    """How much of a limit an account has used within the current minute. One row for each account and limit."""

    # The primary key of the user, as in the audit log.
    account = models.CharField(max_length=64, editable=False)
    limit = models.CharField(max_length=32, editable=False)
    minute = models.DateTimeField(editable=False)
    spent = models.PositiveIntegerField(editable=False)

    class Meta:
        verbose_name = _("allowance")
        verbose_name_plural = _("allowances")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["account", "limit"], name="vault_allowance_once")]

    def __str__(self) -> str:
        return f"{self.account} {self.limit}"
