"""A run in trouble: somebody writes at the same moment, the vault or the database does not answer."""

import sys
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

from tests.shop.models import Invoice
from vault import services
from vault.adoption import Columns, Mode, State, run
from vault.exceptions import RecordTampered, VaultUnavailable
from vault.models import AuditEvent, Card
from vault.pan import PAN
from vault.store import CardStore

pytestmark = pytest.mark.django_db
is_mysql = settings.DATABASES["default"]["ENGINE"].endswith("mysql")


@pytest.fixture
def columns():
    return Columns.named("shop.Invoice.card_number")


@pytest.fixture
def pauses():
    return []


def invoice(row):
    return Invoice._base_manager.get(pk=row.pk)


def meanwhile(monkeypatch, act):
    """Have `act` happen once, between the reading of a batch and its writing."""
    locked, pending = Columns.locked, [act]

    def interrupted(self, rows):
        while pending:
            pending.pop()()
        return locked(self, rows)

    monkeypatch.setattr(Columns, "locked", interrupted)


def test_an_old_value_that_changes_meanwhile_is_left_for_the_next_run(before, columns, monkeypatch):
    row, _ = before.row()
    number = before.number()
    meanwhile(monkeypatch, lambda: before.change(row, number))
    assert run(columns, Mode.ADOPT).counts == {State.CHANGED: 1}
    assert invoice(row).card is None
    assert run(columns, Mode.ADOPT).counts == {State.ADOPTED: 1}
    assert invoice(row).card.token == services.find(PAN(number))


def test_a_card_that_is_assigned_meanwhile_stays(before, columns, monkeypatch, canary):
    row, _ = before.row()
    assigned = canary("new code")

    def assign():
        mine = invoice(row)
        mine.card = assigned
        mine.save(update_fields=["card", "card_brand", "card_last4"])

    meanwhile(monkeypatch, assign)
    assert run(columns, Mode.ADOPT).left == 1
    assert invoice(row).card.token == services.find(PAN(assigned))


def test_a_row_that_is_deleted_meanwhile_is_nobodys(before, columns, monkeypatch):
    row, _ = before.row(stays=False)
    meanwhile(monkeypatch, lambda: Invoice.objects.filter(pk=row.pk).delete())
    assert run(columns, Mode.ADOPT).left == 0


def test_two_runs_at_once_do_not_disturb_each_other(before, columns, monkeypatch):
    before.row()
    meanwhile(monkeypatch, lambda: run(columns, Mode.ADOPT))
    assert run(columns, Mode.ADOPT).counts == {State.AGREES: 1}


def test_an_old_value_that_changes_meanwhile_is_not_wiped(before, columns, monkeypatch):
    row, _ = before.row()
    run(columns, Mode.ADOPT)
    number = before.number()
    meanwhile(monkeypatch, lambda: before.change(row, number))
    assert run(columns, Mode.WIPE).counts == {State.CHANGED: 1}
    assert invoice(row).card_number == number


def test_a_throttled_vault_is_asked_again_with_growing_pauses(before, columns, wire, pauses):
    before.row()
    wire.fail("TransactWriteItems", "ThrottlingException", times=30)

    def heal_later(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            wire.heal()

    assert run(columns, Mode.ADOPT, sleep=heal_later).counts == {State.ADOPTED: 1}
    assert pauses == [1.0, 2.0]


def test_a_vault_that_stays_away_ends_the_run_and_what_is_done_stays(before, columns, monkeypatch, pauses):
    rows = [before.row()[0] for _ in range(4)]
    done = []
    keep = CardStore.keep

    def unavailable(self, pans):
        done.append(pans)
        if len(done) > 1:
            raise VaultUnavailable
        return keep(self, pans)

    monkeypatch.setattr(CardStore, "keep", unavailable)
    with pytest.raises(VaultUnavailable):
        run(columns, Mode.ADOPT, batch=2, sleep=pauses.append)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert [invoice(row).card is not None for row in rows] == [True, True, False, False]
    assert AuditEvent.objects.filter(operation="adopt", outcome="failed").count() == 1
    monkeypatch.undo()
    assert run(columns, Mode.ADOPT).counts == {State.ADOPTED: 2}


def deadlocks(monkeypatch, times):
    """The database picks this transaction as the victim, `times` times."""
    fill, left = Columns.fill, [None] * times

    def refused(self, row, card):
        fill(self, row, card)
        if left:
            left.pop()
            raise OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")

    monkeypatch.setattr(Columns, "fill", refused)


def test_a_deadlock_is_tried_again_three_times(before, columns, monkeypatch, pauses):
    row, number = before.row()
    deadlocks(monkeypatch, times=3)
    assert run(columns, Mode.ADOPT, sleep=pauses.append).counts == {State.ADOPTED: 1}
    assert len(pauses) == 3
    assert invoice(row).card.token == services.find(PAN(number))
    assert Card.objects.count() == 1


def test_a_database_that_keeps_refusing_ends_the_run(before, monkeypatch):
    row, _ = before.row()
    deadlocks(monkeypatch, times=4)
    monkeypatch.setattr("vault.adoption.runs._DATABASE_PAUSES", (0, 0, 0))
    with pytest.raises(CommandError, match="The database did not do a batch") as refusal:
        call_command("vault_adopt", "shop.Invoice.card_number")
    assert refusal.value.returncode == 1
    assert invoice(row).card is None


@pytest.mark.skipif(not is_mysql, reason="SQLite has no connection that a server could close")
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_is_lost_is_replaced(before, columns, monkeypatch, pauses):
    row, _ = before.row()
    meanwhile(monkeypatch, lambda: connections["default"].cursor().execute("KILL CONNECTION_ID()"))
    assert run(columns, Mode.ADOPT, sleep=pauses.append).counts == {State.ADOPTED: 1}
    assert len(pauses) == 1
    assert invoice(row).card is not None


@pytest.mark.skipif(not is_mysql, reason="SQLite locks no rows")
@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_has_locked_is_waited_for(before, columns, pauses):
    row, _ = before.row()
    with connections["default"].cursor() as cursor:
        cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
    other = connections["default"].copy()
    try:
        other.set_autocommit(False)
        other.cursor().execute("SELECT id FROM shop_invoice WHERE id = %s FOR UPDATE", [row.pk])

        def let_go(seconds):
            pauses.append(seconds)
            other.rollback()

        assert run(columns, Mode.ADOPT, sleep=let_go).counts == {State.ADOPTED: 1}
    finally:
        other.close()
    assert pauses == [0.1]
    assert invoice(row).card is not None


def test_a_rate_is_kept(before, columns, pauses):
    for _ in range(4):
        before.row()
    spent = []
    run(columns, Mode.ADOPT, batch=2, progress=spent.append)
    assert (spent, pauses) == ([2, 2], [])


def test_a_tampered_fingerprint_item_alarms(before, columns, monkeypatch):
    before.row()
    run(columns, Mode.ADOPT)

    def tampered(self, pans):
        raise RecordTampered

    monkeypatch.setattr(CardStore, "find_many", tampered)
    with pytest.raises(RecordTampered):
        run(columns, Mode.CHECK)
    assert AuditEvent.objects.filter(operation="card.tampered", is_alarm=True).count() == 1


def test_rows_are_read_in_batches_by_key(before, columns):
    for _ in range(5):
        before.row()
    read = []

    def listen(execute, sql, params, many, context):
        if sql.startswith("SELECT") and "shop_invoice" in sql and "LIMIT" in sql:
            read.append(sql)
        return execute(sql, params, many, context)

    with connections["default"].execute_wrapper(listen):
        run(columns, Mode.CHECK, batch=2)
    # The last one is asked whether there are more.
    assert len(read) == 4
    assert not any("OFFSET" in sql for sql in read)


def test_a_bar_is_shown_on_a_terminal_alone(before, monkeypatch):
    bars = []

    class Bar:
        def __init__(self, total, **options):
            bars.append(total)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def update(self, rows):
            bars.append(rows)

    monkeypatch.setitem(sys.modules, "tqdm", SimpleNamespace(tqdm=Bar))
    before.row()
    call_command("vault_adopt", "shop.Invoice.card_number", "--dry-run")
    assert bars == []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    call_command("vault_adopt", "shop.Invoice.card_number", "--dry-run")
    assert bars == [1, 1]
