"""Purging: what is due goes, with a certificate; what is held or used stays; and that nothing overdue is left is proven."""

import json
from datetime import date, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from tests.vault.fsck import broken
from tests.vault.fsck.broken import AMEX, JCB, VISA, keep, put, raw, run
from vault import erasure, services
from vault.models import AuditEvent, Card, ErasureCertificate, Run
from vault.retention import verification_overdue_since
from vault.tokens import Token

pytestmark = pytest.mark.django_db
YESTERDAY = timezone.localdate() - timedelta(days=1)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr("vault.fsck.looks._PAUSE", 0)


def overdue(*cards):
    Card.objects.filter(token__in=[card.token for card in cards]).update(retain_until=YESTERDAY)


def test_what_is_due_goes_and_leaves_a_certificate(any_vault, card):
    from vault.pan import PAN

    due, kept = keep(PAN(card("visa")), AMEX)
    overdue(due)
    report, code = run("vault_purge")
    assert (report["purged"]["tokens"], report["verification"]["state"], code) == ([due.token], "done", 0)
    assert raw(any_vault, due.token) is None
    assert raw(any_vault, kept.token)
    facts = json.loads(ErasureCertificate.objects.get().content)
    assert (facts["basis"], facts["token"]) == ("retention", due.token)
    assert facts["reason"] == f"Kept until {YESTERDAY} by its last use. PCI DSS 3.2.1."
    assert AuditEvent.objects.get(operation="purge", outcome="done").cards == 1
    assert AuditEvent.objects.get(operation="erase", outcome="done").token == due.token


def test_the_last_day_of_a_card_is_still_its_own(vault):
    (card,) = keep(VISA)
    Card.objects.update(retain_until=timezone.localdate())
    assert run("vault_purge")[0]["purged"]["erased"] == 0
    assert raw(vault, card.token)


def test_a_dry_run_does_nothing(vault):
    (card,) = keep(VISA)
    overdue(card)
    report, code = run("vault_purge", "--dry-run")
    assert (report["purged"]["tokens"], code) == ([card.token], 0)
    assert raw(vault, card.token)
    assert not Run.objects.exists()
    assert not AuditEvent.objects.filter(operation__in=["purge", "erase"]).exists()


def test_cards_without_a_date_are_dated_and_then_due(vault):
    keep(VISA)
    Card.objects.update(retain_until=None, used_at=timezone.now() - timedelta(days=5 * 365))
    report, code = run("vault_purge")
    assert (report["purged"]["dated"], report["purged"]["erased"], code) == (1, 1, 0)


def test_a_card_on_hold_stays_and_is_no_failure(vault):
    (card,) = keep(VISA)
    overdue(card)
    Card.objects.update(hold="Case 7")
    report, code = run("vault_purge")
    assert (report["purged"]["erased"], report["verification"]["on_hold"], code) == (0, 1, 0)
    assert raw(vault, card.token)


@pytest.mark.parametrize(
    "meanwhile", [services.mark_used, lambda token: Card.objects.update(hold="Case 7")], ids=["used", "held"]
)
def test_a_card_that_somebody_needs_meanwhile_stays(vault, monkeypatch, meanwhile):
    (card,) = keep(VISA)
    overdue(card)
    close = erasure._close

    def late(token, is_due):
        meanwhile(token)
        return close(token, is_due)

    monkeypatch.setattr(erasure, "_close", late)
    report, code = run("vault_purge")
    assert (report["purged"]["in_use"], report["purged"]["erased"], code) == (1, 0, 0)
    assert raw(vault, card.token)
    assert not Card.objects.get().is_erased


def test_an_erasure_that_was_cut_off_is_finished(vault):
    (card,) = keep(VISA)
    Card.objects.update(status="erased", erased_at=broken.AGES_AGO)
    report, code = run("vault_purge")
    assert (report["purged"]["finished"], code) == (1, 0)
    assert raw(vault, card.token) is None


def test_more_than_a_page_is_purged_past_those_that_stay(vault, monkeypatch):
    monkeypatch.setattr("vault.purging._PAGE", 1)
    cards = keep(VISA, AMEX, JCB)
    overdue(*cards)
    assert run("vault_purge")[0]["purged"]["erased"] == 3


# --- Verification ----------------------------------------------------------------------------------------------------


def an_overdue_card(vault, card):
    overdue(card)
    return "overdue"


def an_undated_card(vault, card):
    Card.objects.update(retain_until=None)
    return "undated"


def an_item_of_an_erased_card(vault, card):
    item = raw(vault, card.token)
    erasure.erase_card(card.token, basis=erasure.Basis.REQUEST, reason="gone", actor=None)
    Card.objects.update(erased_at=broken.AGES_AGO)
    put(vault, item)
    return "items_of_no_card"


@pytest.mark.parametrize("breaks", [an_overdue_card, an_undated_card, an_item_of_an_erased_card])
def test_a_verification_fails_for_what_is_in_either_store(any_vault, breaks):
    (card,) = keep(VISA)
    assert run("vault_purge", "--verify")[1] == 0
    name = breaks(any_vault, card)
    report, code = run("vault_purge", "--verify")
    assert (report["verification"][name], report["verification"]["state"], code) == (1, "failed", 2)
    assert [each.state for each in Run.objects.filter(operation="retention").order_by("pk")] == ["done", "failed"]
    assert not AuditEvent.objects.filter(operation="purge").exists()


def test_an_item_without_a_row_fails_it_once_the_grace_is_over(vault, settings):
    keep(VISA)
    Card.objects.all().delete()
    assert run("vault_purge", "--verify")[1] == 0
    settings.VAULT = settings.VAULT | {"ORPHAN_GRACE": 1}
    import time

    time.sleep(1.1)
    assert run("vault_purge", "--verify")[1] == 2


def test_the_text_says_what_was_done(vault):
    (card,) = keep(VISA)
    overdue(card)
    out = StringIO()
    call_command("vault_purge", stdout=out)
    assert f"{card.token}  erased" in out.getvalue()
    assert "1 cards erased" in out.getvalue()
    assert "Nothing is kept for too long." in out.getvalue()


# --- When the proof is missing ---------------------------------------------------------------------------------------


def verified(days_ago, state="done"):
    moment = timezone.now() - timedelta(days=days_ago)
    Run.objects.create(operation="retention", state=state, started_at=moment, finished_at=moment)


def test_an_empty_vault_needs_no_proof():
    assert verification_overdue_since() is None


@pytest.mark.parametrize(
    ("age", "runs", "is_overdue"),
    [
        (10, [], False),
        (93, [], True),
        (300, [(91, "done")], False),
        (300, [(93, "done")], True),
        (300, [(93, "done"), (1, "failed")], True),
        (300, [(93, "failed")], True),
    ],
)
def test_the_proof_is_as_old_as_the_last_verification_that_found_nothing(vault, age, runs, is_overdue):
    keep(VISA)
    Card.objects.update(created_at=timezone.now() - timedelta(days=age))
    for run_ in runs:
        verified(*run_)
    assert (verification_overdue_since() is not None) is is_overdue


def test_a_token_is_nobodys_after_the_purge(vault):
    (card,) = keep(VISA)
    overdue(card)
    run("vault_purge")
    again = services.tokenize(VISA)
    assert again.token != Token.parse(card.token)
    assert isinstance(again.card.retain_until, date)
