"""Who comes to the pages of the vault in the admin, where they go, and what is left of it."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import make_user
from vault.models import AuditEvent

ASKED = {"purpose": "refund", "reason": "charged twice", "ticket": "T-1"}
QUEUE = "/admin/vault/revealrequest/"


def configure(settings, **values):
    settings.VAULT = settings.VAULT | values


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


def change_page(card):
    return f"/admin/vault/card/{card.token.replace('_', '_5F')}/change/"


def card_page(card, act):
    return reverse(f"admin:vault_card_{act}", args=[card.token])


def detail(asked):
    return f"{QUEUE}{asked.pk}/change/"


def act_on(asked, act):
    return f"{QUEUE}{asked.pk}/{act}/"


def done(*operations):
    events = AuditEvent.objects.filter(operation__in=operations, outcome="done").order_by("pk")
    return list(events.values_list("operation", flat=True))


READING = ("detokenize", "reveal.show")
DECIDING = ("reveal.approved", "reveal.refused", "reveal.review")

# Who must not, and how each is turned away: strangers are sent to sign in, staff are told.
STRANGERS = {
    "anonymous": (lambda: None, 302),
    "customer": (lambda: make_user("carl"), 302),
    "customer with the rights": (
        lambda: make_user("carl", "vault.view_card", "vault.detokenize_pan", "vault.approve_reveal"),
        302,
    ),
    "staff": (lambda: make_user("carl", is_staff=True), 403),
    "superuser": (lambda: make_user("carl", is_staff=True, is_superuser=True), 403),
    "support": (lambda: make_user("carl", "vault.view_card", "vault.search_pan", is_staff=True), 403),
}
strangers = pytest.mark.parametrize(("who", "status"), STRANGERS.values(), ids=STRANGERS)


def sign(user):
    return signed_in(user) if user else Client()
