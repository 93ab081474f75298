"""Somebody's models with a PANField, as another project would write them."""

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
