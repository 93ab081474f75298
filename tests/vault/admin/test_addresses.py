"""Every address of the vault's own in the admin: methods, CSRF, and no card number in it."""

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from tests.factories import make_user
from tests.vault.admin.visitors import (
    ASKED,
    DECIDING,
    READING,
    done,
    signed_in,
)
from vault import policy
from vault.models import RevealRequest

pytestmark = [pytest.mark.django_db, pytest.mark.either]


OWN_ADDRESSES = {
    **{f"vault_incident_{act}": ("POST",) for act in ("confirm", "false_alarm", "clean", "reopen", "check")},
    "vault_auditevent_verify": ("POST",),
    "vault_card_csv": ("GET",),
    "vault_card_search": ("GET", "POST"),
    "vault_card_reveal": ("POST",),
    "vault_card_break_glass": ("POST",),
    "vault_exportrequest_ask": ("GET", "POST"),
    "vault_exportrequest_approve": ("GET", "POST"),
    "vault_exportrequest_refuse": ("POST",),
    "vault_card_erase": ("POST",),
    "vault_card_hold": ("POST",),
    "vault_card_release": ("POST",),
    "vault_erasurecertificate_check": ("POST",),
    "vault_erasurecertificate_download": ("GET",),
    "vault_revealrequest_locked": ("GET",),
    "vault_revealrequest_unlock": ("POST",),
    "vault_revealrequest_show": ("GET", "POST"),
    "vault_revealrequest_approve": ("POST",),
    "vault_revealrequest_refuse": ("POST",),
    "vault_revealrequest_review": ("POST",),
}
STOCK = {"changelist", "add", "change", "delete", "history"}


def test_every_address_of_the_vault_in_the_admin_is_in_the_tables():
    (_, admin) = get_resolver().namespace_dict["admin"]
    names = {name for name in admin.reverse_dict if isinstance(name, str) and name.startswith("vault_")}
    own = {name for name in names if name.rpartition("_")[2] not in STOCK}
    assert own == set(OWN_ADDRESSES)


def address_of(name, asked):
    if name.startswith("vault_incident_"):
        return reverse(f"admin:{name}", args=[1])
    if name.startswith("vault_card_"):
        return reverse(f"admin:{name}", args=[] if name.endswith(("csv", "search")) else [asked.card_id])
    if name.startswith("vault_erasurecertificate_"):
        return reverse(f"admin:{name}", args=["era_" + "a" * 32])
    return reverse(f"admin:{name}", args=[] if name.endswith(("locked", "unlock", "ask", "verify")) else [asked.pk])


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("name", OWN_ADDRESSES)
def test_other_methods_are_refused(approved, wire, name, method):
    if method in OWN_ADDRESSES[name]:
        return
    everything = make_user("eve", *(f"vault.{right.value}" for right in policy.Right), is_staff=True)
    calls = wire.calls.copy()
    answer = signed_in(everything).generic(method, address_of(name, approved))
    assert answer.status_code == 405
    assert wire.calls == calls
    assert RevealRequest.objects.get().state == "approved"


@pytest.mark.parametrize("name", [name for name, methods in OWN_ADDRESSES.items() if "POST" in methods])
def test_a_form_without_its_token_does_nothing(asked, ada, bob, wire, digits, name):
    calls = wire.calls.copy()
    for user in (ada, bob):
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        answer = client.post(address_of(name, asked), ASKED | {"note": "n", "number": digits, "confirmed": "yes"})
        assert answer.status_code == 403
    assert wire.calls == calls
    assert RevealRequest.objects.get().state == "pending"
    assert not done(*READING, *DECIDING, "search", "reveal.break_glass", "erase", "hold", "release")


@pytest.mark.parametrize("name", OWN_ADDRESSES)
def test_a_number_in_the_address_is_redirected_away(asked, ada, canary, name):
    address = address_of(name, asked)
    answer = signed_in(ada).get(address, {"q": canary("search")})
    assert (answer.status_code, answer["Location"]) == (302, address)


LISTS = ("card", "revealrequest", "auditevent", "incident", "erasurecertificate", "exportrequest", "key", "run")


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("query", ["q={}", "state={}", "operation={}", "p={}", "{}=1"])
def test_a_number_in_a_list_is_redirected_away_with_a_hint(client, canary, model, query):
    address = f"/admin/vault/{model}/"
    client.force_login(make_user("eve", *(f"vault.view_{each}" for each in LISTS), is_staff=True))
    answer = client.get(f"{address}?{query.format(canary('search'))}")
    assert (answer.status_code, answer["Location"]) == (302, address)
    assert "Search by the last four digits." in client.get(address).text
