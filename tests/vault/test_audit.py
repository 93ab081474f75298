import io
import json
import logging
import os
import threading

import pytest
from django.db import DatabaseError, OperationalError, connections, transaction

from tests.factories import make_user
from vault import services
from vault.audit import Process, acting_for, audited, exported, ledger, record, triggers
from vault.audit.chain import NOTHING, TRUNK
from vault.exceptions import AccessDenied, AuditUnavailable, RecordTampered, Refusal, TokenNotFound
from vault.models import AppendOnly, AuditEvent
from vault.pan import PAN
from vault.stdout import StdoutHandler

pytestmark = pytest.mark.django_db


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def events(**filters):
    return list(AuditEvent.objects.exclude(chain=TRUNK).filter(**filters).order_by("pk"))


# --- What is recorded ---------------------------------------------------------------------------------------------


def test_intent_is_written_before_and_outcome_after():
    with audited("open", token="t") as outcome:
        (intent,) = events()
        outcome["subject"] = "s"
        outcome["steps"] = 1
    _, done = events()
    assert (intent.operation, intent.outcome, intent.token, intent.subject) == ("open", "intent", "t", "")
    assert (done.outcome, done.token, done.subject, done.details) == ("done", "t", "s", {"steps": 1})
    assert (done.actor, done.source) == ("process", "local")
    assert intent.operation_id == done.operation_id


@pytest.mark.parametrize(
    ("error", "outcome", "details"),
    [
        (TokenNotFound(), "failed", {"error": "TokenNotFound"}),
        (RecordTampered(), "failed", {"error": "RecordTampered"}),
        (AccessDenied(Refusal.HOURS), "denied", {"refusal": "hours"}),
        (KeyError(), "failed", {"error": "Interrupted"}),
        (SystemExit(), "failed", {"error": "Interrupted"}),
    ],
)
def test_a_failure_is_an_outcome(error, outcome, details):
    with pytest.raises(type(error)), audited("open"):
        raise error
    _, last = events()
    assert (last.outcome, last.details) == (outcome, details)


def test_events_name_who_asked_from_where():
    with acting_for(Process(actor="7", actor_name="ada", source="10.0.0.1", request_id="r")), audited("open"):
        pass
    for event in events():
        assert (event.actor, event.actor_name, event.source, event.request_id) == ("7", "ada", "10.0.0.1", "r")


def test_a_named_actor_goes_before_the_one_of_the_request():
    user = make_user()
    with acting_for(Process(actor="7")):
        assert record("open", actor=user).actor == str(user.pk)


def test_each_event_goes_to_stdout_as_it_is_in_the_database(capsys):
    event = record("open", token="t", cards=2, more="x")
    assert lines(capsys.readouterr().out)[-1] == exported(AuditEvent.objects.get(pk=event.pk))


def test_an_event_is_kept_when_the_orders_transaction_is_rolled_back():
    with transaction.atomic():
        record("open")
        transaction.set_rollback(True)
    assert len(events()) == 1


def test_what_is_too_long_or_no_text_is_cut_and_recorded(canary):
    subject = f"\0{canary('subject')} \ud800" + "x" * 500
    event = AuditEvent.objects.get(pk=record("open", subject=subject, actor=make_user("a" * 150)).pk)
    assert len(event.subject) == 150
    assert "\0" not in event.subject


# --- What cannot be recorded is not done ----------------------------------------------------------------------------


def refuse(monkeypatch, error=DatabaseError, after=0):
    """Let the database refuse every event after the first few."""
    written = []
    save = AuditEvent.save

    def refused(event, **options):
        written.append(event)
        if len(written) > after:
            raise error
        save(event, **options)

    monkeypatch.setattr(AuditEvent, "save", refused)


def test_an_operation_whose_intent_cannot_be_recorded_does_not_run(monkeypatch):
    ran = []
    refuse(monkeypatch)
    with pytest.raises(AuditUnavailable), audited("open"):
        ran.append(1)
    assert not ran


def test_an_operation_whose_outcome_cannot_be_recorded_gives_nothing(monkeypatch):
    refuse(monkeypatch, after=2)  # the opening of the branch and the intent
    given = None
    with pytest.raises(AuditUnavailable), audited("open"):
        given = 1
    assert given == 1  # it ran; what it gave is what the caller does not get


def test_neither_tokenizing_nor_reading_goes_without_audit(monkeypatch, wire, canary):
    token = services.tokenize(PAN(canary("known card"))).token
    reader = make_user("fraud", "vault.detokenize_pan", "vault.search_pan")
    calls = wire.calls.copy()
    refuse(monkeypatch)
    pan = PAN(canary("new card"))
    for operation in (
        lambda: services.tokenize(pan),
        lambda: services.find(pan),
        lambda: services.search(pan, actor=reader),
        lambda: services.detokenize(token, actor=reader, purpose="refund: charged twice"),
    ):
        with pytest.raises(AuditUnavailable):
            operation()
    assert wire.calls == calls


@pytest.mark.django_db(transaction=True)
def test_what_could_be_rolled_back_is_refused():
    with transaction.atomic(using="audit"), pytest.raises(AuditUnavailable):
        record("open")
    assert not events()


def test_a_database_that_is_not_there_is_a_failure(settings):
    settings.VAULT = settings.VAULT | {"AUDIT_DATABASE": "nowhere"}
    with pytest.raises(AuditUnavailable):
        record("open")


def test_stdout_that_cannot_be_written_is_a_failure(monkeypatch):
    monkeypatch.setattr("sys.stdout", io.StringIO())
    __import__("sys").stdout.close()
    ran = []
    with pytest.raises(AuditUnavailable), audited("open"):
        ran.append(1)
    assert not ran


def test_a_silenced_logger_is_a_failure():
    logging.disable(logging.CRITICAL)
    try:
        with pytest.raises(AuditUnavailable), audited("open"):
            pass
    finally:
        logging.disable(logging.NOTSET)


def test_a_full_disk_is_a_failure(monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("sys.stdout", Full())
    entry = logging.LogRecord("vault.audit", logging.INFO, "", 0, "x", None, None)
    with pytest.raises(AuditUnavailable):
        StdoutHandler().emit(entry)


# --- Append-only ----------------------------------------------------------------------------------------------------


def test_the_model_neither_changes_nor_deletes():
    event = record("open")
    event.actor = "somebody else"
    for attempt in (
        event.save,
        event.delete,
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.update(actor="x"),
        lambda: AuditEvent.objects.bulk_create([AuditEvent()]),
        lambda: AuditEvent.objects.bulk_update([event], ["actor"]),
    ):
        with pytest.raises(AppendOnly):
            attempt()
    assert AuditEvent.objects.get(pk=event.pk).actor == "process"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", ["UPDATE vault_auditevent SET actor = 'x'", "DELETE FROM vault_auditevent"])
def test_the_table_neither_changes_nor_deletes(statement):
    record("open")
    connection = connections["audit"]
    assert triggers.create(connection)
    try:
        with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
            cursor.execute(statement)
        assert events()[0].actor == "process"
        record("open")
    finally:
        triggers.drop(connection)


# --- The chain --------------------------------------------------------------------------------------------------------


def test_events_of_one_writer_are_one_chain_that_hangs_on_the_trunk():
    first, second = record("one"), record("two")
    (opening,) = AuditEvent.objects.filter(chain=TRUNK)
    assert (opening.operation, opening.subject, opening.previous) == ("audit.open", first.chain, NOTHING)
    assert (first.number, first.previous) == (1, opening.digest)
    assert (second.chain, second.number, second.previous) == (first.chain, 2, first.digest)


@pytest.mark.django_db(transaction=True)
def test_threads_do_not_share_a_chain_while_they_write():
    if connections["audit"].vendor == "sqlite":
        pytest.skip("SQLite in memory refuses a second writer instead of letting it wait")
    barrier = threading.Barrier(4)

    def write():
        barrier.wait()
        for _ in range(25):
            record("open")
        connections["audit"].close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(events()) == 100


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_replaced_once(monkeypatch):
    record("open")
    first = events()[0].chain
    lost = []
    save = AuditEvent.save

    def lose_once(event, **options):
        if not lost:
            lost.append(1)
            raise OperationalError(2006, "Server has gone away")
        save(event, **options)

    if connections["audit"].vendor == "sqlite":
        # Closing the only connection to a database in memory would delete it.
        monkeypatch.setattr(connections["audit"], "close", lambda: None)
    monkeypatch.setattr(AuditEvent, "save", lose_once)
    event = record("open")
    # What became of the lost write nobody knows, so its chain is left alone.
    assert event.chain != first
    assert event.number == 1


def test_a_forked_process_opens_chains_of_its_own(monkeypatch):
    record("open")
    mine = ledger.current_ledger()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, b"other" if ledger.current_ledger() is not mine else b"same")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 10) == b"other"
    assert ledger.current_ledger() is mine
