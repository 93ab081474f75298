"""The outbox, who is sent what is in it, and what became of that. Nothing here can hold a card number or a secret."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from orders.publicids import new_id

URL_LENGTH: Final = 500


def new_event_id() -> str:
    return new_id("evt_")


def new_endpoint_id() -> str:
    return new_id("end_")


def written_time(moment: datetime) -> str:
    """A time as the API writes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Event(models.Model):
    """Something that happened, in the same transaction as what happened. Written by `orders.feed.events` alone."""

    class Type(models.TextChoices):
        ORDER_PLACED = "order.placed", _("Order placed")
        ORDER_PAID_AGAIN = "order.paid_again", _("Order paid again")
        ORDER_CANCELLED = "order.cancelled", _("Order cancelled")
        CARD_ERASED = "card.erased", _("Card erased")

    public_id = models.CharField(_("event"), max_length=30, unique=True, default=new_event_id, editable=False)
    type = models.CharField(_("type"), max_length=24, choices=Type.choices, editable=False)
    # What it is about: the same thing cannot happen twice to the same order or card.
    subject = models.CharField(_("about"), max_length=80, unique=True, editable=False)
    order = models.ForeignKey(
        "orders.Order",
        on_delete=models.CASCADE,
        null=True,
        editable=False,
        related_name="events",
        verbose_name=_("order"),
    )
    payload = models.JSONField(_("content"), editable=False)
    created_at = models.DateTimeField(_("time"), default=timezone.now, db_index=True, editable=False)
    # When its deliveries were made; None until then.
    distributed_at = models.DateTimeField(_("distributed"), null=True, editable=False)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering: ClassVar[list[str]] = ["-id"]
        default_permissions = ("view",)
        # For what is not distributed yet. By a flag and not by a last id: transactions commit in another order.
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["distributed_at", "id"], name="event_to_distribute"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def body(self) -> bytes:
        """What is sent and signed: the same bytes at each attempt."""
        content: dict[str, Any] = {
            "id": self.public_id,
            "type": self.type,
            "timestamp": written_time(self.created_at),
            "data": self.payload,
        }
        return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


class Endpoint(models.Model):
    """Where an account has its events sent. Made and changed by `orders.feed.endpoints`, at a shell."""

    public_id = models.CharField(_("endpoint"), max_length=30, unique=True, default=new_endpoint_id, editable=False)
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="endpoints", verbose_name=_("account")
    )
    url = models.CharField(_("address"), max_length=URL_LENGTH, editable=False)
    types = models.JSONField(_("types"), default=list, editable=False)
    is_active = models.BooleanField(_("active"), default=True, editable=False)
    # Its secret follows from these; see `orders.feed.signing`.
    generation = models.PositiveIntegerField(_("secret number"), default=1, editable=False)
    previous_until = models.DateTimeField(_("secret before signs until"), null=True, editable=False)
    created_at = models.DateTimeField(_("made"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        ordering: ClassVar[list[str]] = ["id"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.public_id

    @property
    def address(self) -> str:
        """The URL without its query, in which a consumer may have put a key of their own."""
        return urlsplit(self.url)._replace(query="").geturl()


class Delivery(models.Model):
    """One event on its way to one endpoint."""

    class State(models.TextChoices):
        PENDING = "pending", _("To be sent")
        DELIVERED = "delivered", _("Delivered")
        FAILED = "failed", _("Given up")
        WITHHELD = "withheld", _("Withheld")

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries", verbose_name=_("event"))
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="deliveries", verbose_name=_("endpoint")
    )
    state = models.CharField(_("state"), max_length=9, choices=State.choices, default=State.PENDING, editable=False)
    # Since it was last begun; the log has those of before as well.
    tries = models.PositiveSmallIntegerField(_("attempts"), default=0, editable=False)
    # When it is due. While a process sends it, that is when its claim ends: if it is killed, another sends it then.
    next_at = models.DateTimeField(_("due"), default=timezone.now, editable=False)
    claim = models.CharField(max_length=32, blank=True, default="", editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, editable=False)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        ordering: ClassVar[list[str]] = ["-id"]
        # To change one is to have it sent again.
        default_permissions = ("view", "change")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["event", "endpoint"], name="delivery_once_per_endpoint")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["endpoint", "state", "next_at"], name="delivery_of_endpoint"),
            models.Index(fields=["state", "next_at"], name="delivery_due"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} → {self.endpoint_id}"


class Attempt(models.Model):
    """What came of sending a delivery once. Never what a consumer answered, but for the status."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    at = models.DateTimeField(_("time"), editable=False)
    duration_ms = models.PositiveIntegerField(_("milliseconds"), editable=False)
    status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, editable=False)
    # One of `orders.feed.posting.Failure`, where there was no answer.
    error = models.CharField(_("error"), max_length=16, blank=True, editable=False)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering: ClassVar[list[str]] = ["id"]
        default_permissions = ()

    def __str__(self) -> str:
        return self.error or str(self.status)


class ErasureReach(models.Model):
    """Up to when the erasures of the vault have become events: one row at most. See `orders.feed.erasures`."""

    until = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.until.isoformat()
