"""What SQL may know of a card: everything but its number."""

from __future__ import annotations

import base64
import hashlib

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy as _

from vault.pan import Brand, mask
from vault.purposes import TEXT_LENGTH
from vault.tokens import LENGTH


class Card(models.Model):
    """One row for each card in the vault, written by `vault.services` alone."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("On file")
        ERASED = "erased", _("No longer on file")

    class Retention(models.TextChoices):
        """What the last day of keeping a card is counted from."""

        EXPIRY = "expiry", _("Expiry of the card")
        LAST_USE = "last-use", _("Last use of the card")

    token = models.CharField(_("token"), max_length=LENGTH, primary_key=True, editable=False)
    brand = models.CharField(
        _("brand"), max_length=16, editable=False, choices=[(brand.value, _(brand.label)) for brand in Brand]
    )
    bin = models.CharField(_("BIN"), max_length=8, editable=False)
    last4 = models.CharField(_("last four"), max_length=4, editable=False, db_index=True)
    expires = models.DateField(_("expires"), null=True, blank=True, editable=False)
    status = models.CharField(_("status"), max_length=8, choices=Status.choices, default=Status.ACTIVE, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True, db_index=True)
    # Of the item in DynamoDB as last written, so that an older one put back is noticed.
    item_version = models.PositiveIntegerField(editable=False)
    item_digest = models.CharField(max_length=64, editable=False)
    sealed_at = models.DateTimeField(_("sealed"), default=timezone.now, editable=False)
    # Somebody outside the PANFields of this project keeps the token, so that no row here need refer to it.
    is_external = models.BooleanField(_("token kept elsewhere"), default=True, editable=False)
    used_at = models.DateTimeField(_("last used"), default=timezone.now, editable=False)
    # The last day on which the card is kept (PCI DSS 3.2.1). None in rows that are older than the rule.
    retain_until = models.DateField(_("kept until"), null=True, editable=False, db_index=True)
    retention = models.CharField(_("because of"), max_length=8, choices=Retention.choices, blank=True, editable=False)
    hold = models.CharField(_("legal hold"), max_length=TEXT_LENGTH, blank=True, editable=False)
    erased_at = models.DateTimeField(_("erased"), null=True, editable=False)

    class Meta:
        verbose_name = _("card")
        verbose_name_plural = _("cards")
        ordering = ["-created_at", "token"]
        default_permissions = ("view",)
        # How many are on file, of each brand, and which are due: from the index alone, however many were erased.
        indexes = [models.Index(fields=["status", "retain_until", "brand"], name="vault_card_on_file")]
        permissions = [
            ("tokenize_pan", "Can store card numbers and use any token"),
            ("detokenize_pan", "Can read card numbers"),
            ("detokenize_unattended", "Can read card numbers without approval (service accounts, not staff)"),
            ("search_pan", "Can find a card by its number"),
            ("erase_card", "Can erase cards"),
            ("hold_card", "Can put cards under legal hold"),
            ("manage_keys", "Can manage the keys of the vault"),
        ]

    def __str__(self) -> str:
        return f"{gettext(Brand(self.brand).label)} {self.masked}"

    @property
    def masked(self) -> str:
        return mask(self.last4)

    @property
    def fingerprint_id(self) -> str:
        """Tells cards apart for those who are not to have a token, which can be paid with.

        A digest of the 122 random bits of the token: of the card number it says nothing, and no key that is rotated
        changes it. A number that comes back after its erasure has another one.
        """
        digest = hashlib.sha256(f"fingerprint {self.token}".encode()).digest()
        return "fpr_" + base64.b32encode(digest[:16]).decode().rstrip("=").lower()

    @property
    def is_erased(self) -> bool:
        return self.status == self.Status.ERASED


class ItemChange(models.Model):
    """That somebody is about to write a card's item anew: what it will be.

    Until the card's own row says the same, both states are good. See `vault.resealing`.
    """

    card = models.OneToOneField(Card, on_delete=models.CASCADE, primary_key=True, related_name="change")
    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    started_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.card_id} to version {self.version}"


class ErasureCertificate(models.Model):
    """What proves that a card was erased: a text and its signature. Written by `vault.erasure` alone, once."""

    number = models.CharField(_("number"), max_length=36, primary_key=True, editable=False)
    card = models.OneToOneField(Card, on_delete=models.PROTECT, related_name="certificate", verbose_name=_("card"))
    issued_at = models.DateTimeField(_("issued"), db_index=True, editable=False)
    # Canonical JSON; the signature is over these bytes.
    content = models.TextField(_("content"), editable=False)
    signature = models.CharField(_("signature"), max_length=64, editable=False)
    key = models.CharField(_("signed with"), max_length=256, editable=False)

    class Meta:
        verbose_name = _("erasure certificate")
        verbose_name_plural = _("erasure certificates")
        ordering = ["-issued_at"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.number
