"""What the vault brings to the start page: to those with the right alone, and right in its numbers."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import make_card, make_user
from tests.vault.admin.consoles import CONSOLE, categories, counted, happened, listed, staff
from tests.vault.admin.visitors import signed_in
from vault import alarms, policy
from vault.models import AuditEvent, Card, ExportRequest, Incident

pytestmark = pytest.mark.django_db

# What each right shows, in words that stand nowhere else on the page.
SHOWN = {
    "view_card": ["Cards on file", "Cards to be erased", "Cards on file by brand", "Last new card"],
    "view_auditevent": ["Alarms in 24 hours", "Tokenizations per day", "by purpose", "by operation", "last sealed"],
    "view_key": ["Age of the keys in use", "kept too long", "Both stores compared"],
    "manage_keys": ["Age of the keys in use", "kept too long", "Both stores compared"],
    "view_incident": ["Open incidents"],
    "work_incident": ["Open incidents"],
    "approve_reveal": ["Reveals waiting for approval", "Locked readers"],
    "view_revealrequest": ["Reveals waiting for approval"],
    "detokenize_pan": ["Reveals waiting for approval"],
    "view_exportrequest": ["Exports waiting for approval"],
    "approve_export": ["Exports waiting for approval"],
    "request_export": ["Exports waiting for approval"],
}
EVERYTHING = sorted({words for each in SHOWN.values() for words in each})


# --- Rights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("right", "words"), SHOWN.items(), ids=SHOWN)
def test_a_right_shows_what_it_is_for_and_no_more(kept, right, words):
    page = staff(right).get(CONSOLE).text
    assert [each for each in EVERYTHING if each in page] == sorted(words)


@pytest.mark.parametrize("is_superuser", [False, True], ids=["staff", "superuser"])
def test_nobody_sees_anything_of_the_vault_without_a_right_of_it(kept, is_superuser):
    client = staff(is_superuser=is_superuser)
    page = client.get(CONSOLE)
    assert page.status_code == 200
    assert not [each for each in EVERYTHING if each in page.text]
    assert not AuditEvent.objects.filter(operation="audit.read").exists()


@pytest.mark.parametrize("who", [None, "customer"])
def test_others_are_sent_to_sign_in(client, who):
    if who:
        client.force_login(make_user(who, "vault.view_card", "vault.view_auditevent"))
    assert client.get(CONSOLE).status_code == 302
    assert not AuditEvent.objects.filter(operation="audit.read").exists()


# --- Numbers, and the lists that they lead to -------------------------------------------------------------------------


def test_cards_are_counted_by_brand_and_erased_ones_are_not(wire, card):
    for brand in ("visa", "amex", "mastercard"):
        make_card(card(brand))
    Card.objects.filter(brand="mastercard").update(status="erased")
    client = staff("view_card")
    page = client.get(CONSOLE).text
    number, address = counted(page)["Cards on file"]
    assert number == "2"
    assert listed(client, address) == 2
    assert categories(page, "brands") == [("American Express", 1), ("Visa", 1)]
    assert listed(client, "/admin/vault/card/?status__exact=active&brand__exact=visa") == 1


def test_cards_to_be_erased_are_those_that_no_hold_keeps(wire, card):
    for brand, hold in (("visa", ""), ("amex", "case 7"), ("mastercard", "")):
        made = make_card(card(brand))
        Card.objects.filter(pk=made.pk).update(retain_until=timezone.localdate() - timedelta(days=1), hold=hold)
    Card.objects.filter(brand="mastercard").update(status="erased")
    client = staff("view_card")
    number, address = counted(client.get(CONSOLE).text)["Cards to be erased"]
    assert number == "1"
    assert listed(client, address) == 1


def test_reveals_that_wait_are_counted_as_far_as_one_may_see_them(asked, ada, bob):
    for client, number in ((signed_in(ada), "1"), (signed_in(bob), "1"), (staff("detokenize_pan"), "0")):
        found, address = counted(client.get(CONSOLE).text)["Reveals waiting for approval"]
        assert found == number
        assert listed(client, address) == int(number)


def test_a_reveal_that_was_decided_or_is_too_late_waits_no_more(approved, asked, bob):
    assert counted(signed_in(bob).get(CONSOLE).text)["Reveals waiting for approval"][0] == "0"
    type(asked).objects.update(state="pending", expires_at=timezone.now())
    assert counted(signed_in(bob).get(CONSOLE).text)["Reveals waiting for approval"][0] == "0"


def test_exports_that_wait_are_counted_and_those_too_late_are_not(ada):
    for hours in (-1, 1, 2):
        until = timezone.now() + timedelta(hours=hours)
        ExportRequest.objects.create(requester=ada, recipient="x", ticket="T", selection="all", expires_at=until)
    client = staff("approve_export")
    number, address = counted(client.get(CONSOLE).text)["Exports waiting for approval"]
    assert number == "2"
    assert listed(client, address) == 2


def test_open_incidents_are_counted():
    for source, state in (("a", "open"), ("b", "open"), ("c", "cleaned")):
        Incident.objects.create(source=source, state=state)
    client = staff("view_incident")
    number, address = counted(client.get(CONSOLE).text)["Open incidents"]
    assert number == "2"
    assert listed(client, address) == 2


def test_locked_readers_are_counted(ada, bob):
    alarms.sound(policy.LOCK, "Locked.", subject=str(ada.pk))
    client = signed_in(bob)
    number, address = counted(client.get(CONSOLE).text)["Locked readers"]
    assert number == "1"
    assert "ada" in client.get(address).text


def test_alarms_are_those_of_24_hours():
    happened(1, "old.alarm", timedelta(hours=25), is_alarm=True)
    happened(2, "some.alarm", timedelta(hours=23), is_alarm=True)
    happened(3, "no.alarm", timedelta(hours=1))
    client = staff("view_auditevent")
    number, address = counted(client.get(CONSOLE).text)["Alarms in 24 hours"]
    assert number == "1"
    assert listed(client, address) == 1
