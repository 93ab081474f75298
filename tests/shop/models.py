"""Somebody's models with a PANField, as another project would write them."""

import uuid

from django.db import models

from vault.fields import PANField, PANQuerySet


class Purchase(models.Model):
    """The recommended way: brand and last four beside the card, bulk writes in one call."""

    card_brand = models.CharField(max_length=16, blank=True, editable=False)
    card = PANField(brand_field="card_brand", last4_field="card_last4")
    # After the card on purpose: its default is set later than the card is.
    card_last4 = models.CharField(max_length=4, blank=True, editable=False)
    note = models.CharField(max_length=20, blank=True)

    objects = PANQuerySet.as_manager()


class Wallet(models.Model):
    """The smallest way: nothing beside the card, Django's own manager, and the card may be missing."""

    card = PANField(null=True, blank=True)
    spare = PANField(null=True, blank=True)


class OpenInvoices(models.Manager["Invoice"]):
    """Hides some of the rows, as managers do."""

    def get_queryset(self) -> PANQuerySet:
        return PANQuerySet(self.model, using=self._db).filter(is_archived=False)


class Invoice(models.Model):
    """A model that had card numbers in a text column before it had a PANField."""

    card_number = models.CharField(max_length=32, blank=True)
    card_brand = models.CharField(max_length=16, blank=True, editable=False)
    card_last4 = models.CharField(max_length=4, blank=True, editable=False)
    card = PANField(null=True, blank=True, brand_field="card_brand", last4_field="card_last4")
    is_archived = models.BooleanField(default=False)

    objects = OpenInvoices()


class CreditInvoice(Invoice):
    """A table of its own for what an invoice has not."""

    reason = models.CharField(max_length=20, blank=True)


class Booking(models.Model):
    """Another kind of key, nothing beside the card, and an old column that may be null."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    number = models.TextField(null=True)  # noqa: DJ001 - not everybody follows it
    card = PANField(null=True, blank=True)

    objects = PANQuerySet.as_manager()


class Voucher(models.Model):
    """A key of text, two PANFields, and an old column that is unique."""

    code = models.CharField(max_length=20, primary_key=True)
    number = models.CharField(max_length=32, unique=True)
    card = PANField(null=True, blank=True)
    spare = PANField(null=True, blank=True)

    objects = PANQuerySet.as_manager()
