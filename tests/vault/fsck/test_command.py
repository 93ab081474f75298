"""The command: its exit codes, its report, what it remembers, and what it costs the audit log."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.cards import CANARY_BIN, with_check_digit
from tests.vault.fsck import broken
from tests.vault.fsck.broken import AMEX, JCB, VISA, found, keep, raw, run
from vault.audit.warrants import CARD_OPERATIONS
from vault.fsck import checking
from vault.fsck.items import OPERATION
from vault.models import AuditEvent, Card, Run
from vault.pan import PAN

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr("vault.fsck.looks._PAUSE", 0)


def text(*arguments):
    out = StringIO()
    try:
        call_command("vault_fsck", *arguments, stdout=out)
    except CommandError as error:
        return out.getvalue(), error.returncode
    return out.getvalue(), 0


def many(count):
    return [PAN(with_check_digit(f"{CANARY_BIN}{number:07}")) for number in range(count)]


def test_two_stores_that_agree(vault):
    keep(VISA, AMEX)
    out, code = text()
    assert (out, code) == ("5 items, 2 rows, 0 references: 0 findings, 0 repaired.\n", 0)
    done = Run.objects.get(operation="fsck")
    assert (done.state, done.counts["items"], done.counts["rows"]) == ("done", 5, 2)


def test_what_is_found_is_said_in_words(vault):
    (card,) = keep(VISA, is_external=False)
    out, code = text("--repair", "--dry-run")
    assert f"{card.token}  would be repaired: Nothing refers to this card" in out
    assert code == 2
    assert raw(vault, card.token)
    assert Run.objects.get().state == "failed"
    out, code = text("--repair")
    assert f"{card.token}  repaired: " in out
    assert code == 0


def test_a_quick_run_opens_nothing_and_says_so(vault, wire):
    card, other = keep(VISA, AMEX)
    broken.rewritten(vault, card)
    Card.objects.filter(token=other.token).update(brand="jcb")
    before = wire.calls["Decrypt"]
    assert found("--quick") == ([("unrecorded", card.token)], 2)
    out, _ = text("--quick")
    assert "No card was opened" in out
    assert wire.calls["Decrypt"] == before
    assert not AuditEvent.objects.filter(operation="fsck").exists()


def test_every_card_that_is_opened_is_in_the_audit_log(vault):
    cards = keep(VISA, AMEX, JCB)
    found()
    (intent, done) = AuditEvent.objects.filter(operation=OPERATION).order_by("pk")
    assert sorted(intent.details["tokens"]) == sorted(card.token for card in cards)
    assert (intent.cards, done.outcome) == (3, "done")
    assert OPERATION in CARD_OPERATIONS


@pytest.mark.parametrize("operation", ["Scan", "BatchGetItem", "Decrypt"])
def test_a_vault_that_does_not_answer_is_no_finding(vault, wire, operation):
    keep(VISA)
    wire.fail(operation, "ThrottlingException")
    with pytest.raises(CommandError) as caught:
        call_command("vault_fsck", "--repair", stdout=StringIO())
    assert caught.value.returncode == 1
    wire.heal()
    assert Run.objects.get().state == "running"
    assert found("--resume") == ([], 0)
    assert Run.objects.count() == 1


def test_what_stops_in_the_middle_goes_on_where_it_was(vault, monkeypatch):
    keep(*many(130))
    (lost,) = keep(VISA)
    Card.objects.filter(token=lost.token).delete()
    settle = checking.Check._settle
    pages = []

    def stopping(self, findings, **about):
        settle(self, findings, **about)
        pages.append(about.get("after"))
        if len(pages) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checking.Check, "_settle", stopping)
        with pytest.raises(KeyboardInterrupt):
            call_command("vault_fsck", stdout=StringIO())
    seen = Run.objects.get().counts["items"]
    report, code = run("vault_fsck", "--resume")
    assert seen == 200
    assert report["counts"]["items"] == 263
    assert report["counts"]["rows"] == 130
    assert (code, Run.objects.count()) == (0, 1)
    # A run that came to its end is not resumed.
    run("vault_fsck", "--resume")
    assert Run.objects.count() == 2


def test_a_run_that_went_about_it_differently_is_not_resumed(vault):
    keep(VISA)
    Run.objects.create(operation="fsck", position={"opens": False, "after": {"rows": "*"}})
    assert run("vault_fsck", "--resume")[0]["counts"]["rows"] == 1


@pytest.mark.django_db(transaction=True)
def test_segments_together_see_every_item_once(vault, capsys, tmp_path):
    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        pytest.skip("SQLite in memory refuses a second writer instead of letting it wait.")
    keep(*many(30))
    report, code = run("vault_fsck", "--segments", "4")
    assert (report["counts"]["items"], report["counts"]["rows"], code) == (61, 30, 0)


@pytest.mark.parametrize("arguments", [["--rate", "-1"], ["--segments", "0"], ["--segments", "65"]])
def test_impossible_numbers_are_refused(arguments):
    with pytest.raises(CommandError):
        call_command("vault_fsck", *arguments)
