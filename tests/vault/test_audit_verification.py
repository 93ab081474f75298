import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from tests.vaults import provision
from vault.audit import ledger, record
from vault.audit.chain import EDITED, MISSING, REPEATED, TRUNK, UNKNOWN_CHAIN, UNLINKED, UNSEALED, Head, digest
from vault.audit.events import exported
from vault.audit.seals import Seal
from vault.audit.verification import in_order_of_chains, seal, verify
from vault.exceptions import AuditUnavailable, RecordTampered, VaultSealed
from vault.guard import refuse_plaintext
from vault.models import AuditEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def log():
    """Ten events of each of two writers, in turns."""
    writers = [ledger.current_ledger(), ledger.Ledger("audit")]
    return [
        writer.append(ledger.blank("open", outcome="done", subject=str(number)))
        for number in range(10)
        for writer in writers
    ]


def sql(statement, *params):
    """What somebody does who has the database's password."""
    with connections["audit"].cursor() as cursor:
        cursor.execute(statement, params)


def broken(vault):
    return [(each.row, each.problem) for each in verify(vault.seals).breaks]


def rewritten(event, **changes):
    """Change a row and give it the digest that it would have had."""
    content = exported(event) | changes
    content["digest"] = digest(content["previous"], content)
    values = {key: value for key, value in content.items() if key not in {"row", "time", "details"}}
    assignments = ", ".join(f"{name} = %s" for name in values)
    sql(f"UPDATE vault_auditevent SET {assignments} WHERE id = %s", *values.values(), event.pk)  # noqa: S608 - ours


# --- A log that nobody touched ----------------------------------------------------------------------------------------


def test_an_untouched_log_holds_together(log, vault):
    result = verify(vault.seals)
    assert (result.events, result.chains, result.seals, result.breaks) == (22, 3, 0, [])


def test_an_empty_log_holds_together(vault):
    assert verify(vault.seals).breaks == []


def test_it_holds_together_page_by_page(log, vault, monkeypatch):
    monkeypatch.setattr("vault.audit.verification._PAGE", 3)
    result = verify(vault.seals)
    assert (result.events, result.breaks) == (22, [])


def test_events_written_while_it_is_read_are_no_breaks(log, vault, monkeypatch):
    monkeypatch.setattr("vault.audit.verification._PAGE", 3)
    for read, _ in enumerate(in_order_of_chains(AuditEvent.objects.all())):
        if read < 12:
            record("open")
    assert broken(vault) == []


# --- Edits, deletions, insertions, reorderings ------------------------------------------------------------------------

COLUMNS = {
    "time": "2020-01-01 00:00:00",
    "operation": "x",
    "operation_id": "x",
    "outcome": "x",
    "actor": "x",
    "actor_name": "x",
    "source": "x",
    "request_id": "x",
    "token": "x",
    "subject": "x",
    "purpose": "x",
    "reason": "x",
    "cards": 9,
    "is_alarm": True,
    "details": '{"x": 1}',
    "previous": "0" * 64,
    "digest": "0" * 64,
}


@pytest.mark.parametrize("column", COLUMNS)
def test_an_edit_is_found_in_its_row(log, vault, column):
    sql(f"UPDATE vault_auditevent SET {column} = %s WHERE id = %s", COLUMNS[column], log[8].pk)  # noqa: S608 - ours
    assert broken(vault)[0] == (log[8].pk, EDITED)


@pytest.mark.parametrize(
    ("column", "value"), [("time", "garbage"), ("time", b"\0"), ("time", "2026-13-45 00:00:00"), ("actor", b"\xff")]
)
def test_an_edit_that_nobody_can_read_is_found_in_its_row(log, vault, column, value):
    if connections["audit"].vendor != "sqlite":
        pytest.skip("MySQL keeps nothing in a column but what its type can hold")
    sql(f"UPDATE vault_auditevent SET {column} = %s WHERE id = %s", value, log[8].pk)  # noqa: S608 - ours
    assert broken(vault)[0] == (log[8].pk, EDITED)
    assert run("verify")[0] == 2
    assert run("export")[0] == 2


def test_an_event_that_names_no_seal_is_found(log, vault):
    event = ledger.current_ledger().append(ledger.blank("audit.seal", outcome="done"))
    assert broken(vault) == [(event.pk, "this row says that a seal was made, and not which")]


def test_an_edit_with_a_new_digest_is_found_at_the_next_row(log, vault):
    rewritten(log[8], actor="somebody else")
    assert broken(vault) == [(log[10].pk, UNLINKED)]


def test_a_deletion_is_found_at_the_next_row(log, vault):
    sql("DELETE FROM vault_auditevent WHERE id = %s", log[8].pk)
    assert broken(vault) == [(log[10].pk, MISSING)]


def test_the_deletion_of_the_first_rows_is_found(log, vault):
    sql("DELETE FROM vault_auditevent WHERE chain = %s AND number < 4", log[0].chain)
    assert broken(vault) == [(log[6].pk, MISSING)]


def test_an_opening_that_was_deleted_is_found(log, vault):
    (first, _) = AuditEvent.objects.filter(chain=TRUNK).order_by("number")
    sql("DELETE FROM vault_auditevent WHERE id = %s", first.pk)
    assert (log[0].pk, UNKNOWN_CHAIN) in broken(vault)


def test_two_rows_that_changed_places_are_found(log, vault):
    one, other = log[4].pk, log[6].pk
    for row, new in ((one, 9999), (other, one), (9999, other)):
        sql("UPDATE vault_auditevent SET id = %s WHERE id = %s", new, row)
    assert (one, REPEATED) in broken(vault)


def test_two_rows_that_changed_numbers_are_found(log, vault):
    for row, number in ((log[4].pk, 999), (log[6].pk, 3), (log[4].pk, 4)):
        sql("UPDATE vault_auditevent SET number = %s WHERE id = %s", number, row)
    assert {row for row, _ in broken(vault)} >= {log[4].pk, log[6].pk}


def test_an_insertion_under_another_number_is_found(log, vault):
    """In the middle there is no number left; somebody has to move the rest, and then the digests are wrong."""
    chain = log[0].chain
    for event in reversed(log[8::2]):
        sql("UPDATE vault_auditevent SET number = number + 1 WHERE id = %s", event.pk)
    forged = exported(log[6]) | {"number": 5, "previous": log[6].digest, "actor": "forged"}
    _insert(forged | {"digest": digest(log[6].digest, forged)})
    assert any(problem in {EDITED, UNLINKED, REPEATED} for _, problem in broken(vault))
    assert AuditEvent.objects.filter(chain=chain).count() == 11


def test_a_chain_of_its_own_cannot_be_slipped_in(log, vault):
    forged = exported(log[0]) | {"chain": "f" * 32, "number": 1, "actor": "forged"}
    _insert(forged | {"digest": digest(forged["previous"], forged)})
    assert [problem for _, problem in broken(vault)] == [UNKNOWN_CHAIN]


def test_the_trunk_has_one_writer_for_each_number(log, vault):
    last = AuditEvent.objects.filter(chain=TRUNK).order_by("-number").first()
    rewritten(last, details={}, subject="e" * 32)
    assert broken(vault)


def _insert(values):
    values = values | {"details": "{}", "time": values["time"].replace("T", " ").removesuffix("+00:00")}
    names = [name for name in values if name != "row"]
    places = ", ".join(["%s"] * len(names))
    columns = ", ".join(names)
    sql(f"INSERT INTO vault_auditevent ({columns}) VALUES ({places})", *(values[name] for name in names))  # noqa: S608


# --- Seals: what is outside the database ------------------------------------------------------------------------------


@pytest.fixture
def sealed(log, vault):
    seal(vault.seals)
    return log


def test_a_sealed_log_holds_together(sealed, vault):
    record("open")
    result = verify(vault.seals)
    assert (result.seals, result.breaks) == (1, [])
    assert result.sealed_until > datetime.now(UTC) - timedelta(minutes=1)


def test_an_end_that_was_cut_off_is_found(sealed, vault):
    sql("DELETE FROM vault_auditevent WHERE id >= %s", sealed[16].pk)
    problems = broken(vault)
    assert len(problems) == 2
    assert all(problem == (None, UNSEALED) for problem in problems)


def test_a_log_that_was_emptied_is_found(sealed, vault):
    sql("DELETE FROM vault_auditevent WHERE 1 = 1")
    assert len(broken(vault)) == 3


def test_an_end_that_was_written_anew_is_found(sealed, vault):
    rewritten(sealed[19], actor="somebody else")
    assert (sealed[19].pk, UNSEALED) in broken(vault)


def test_a_seal_that_was_deleted_is_found(sealed, vault):
    _delete_seal(vault, 1)
    assert [problem for _, problem in broken(vault)] == [
        "the audit log says that this seal was made, and it is not in the vault's table"
    ]


def test_a_seal_from_the_middle_that_was_deleted_is_found(sealed, vault):
    for _ in range(4):
        record("open")
        seal(vault.seals)
    _delete_seal(vault, 2)
    # The newest is looked for by doubling, so it seems that there is one; the log knows of five.
    assert len(broken(vault)) == 4


def test_a_seal_that_kms_does_not_vouch_for_is_refused(sealed, vault):
    forged = Seal(1, datetime.now(UTC), 99, bytes(32), {log.chain: Head(log.number, log.digest) for log in sealed})
    _delete_seal(vault, 1)
    vault.session.dynamodb().put_item(
        TableName=vault.config.TABLE,
        Item={
            "token": {"S": "audit-seal#00000001"},
            "schema_version": {"N": "1"},
            "created_at": {"S": "now"},
            "seal": {"B": forged.body()},
            "mac": {"B": bytes(32)},
        },
    )
    with pytest.raises(RecordTampered):
        verify(vault.seals)
    with pytest.raises(RecordTampered):
        seal(vault.seals)


@pytest.mark.parametrize("left", [{"seal"}, {"mac"}, set()], ids=["no-mac", "no-seal", "neither"])
def test_an_item_that_is_no_seal_is_refused(sealed, vault, left):
    dynamodb, table = vault.session.dynamodb(), vault.config.TABLE
    key = {"token": {"S": "audit-seal#00000001"}}
    item = dynamodb.get_item(TableName=table, Key=key)["Item"]
    _delete_seal(vault, 1)
    _write_raw(vault, {name: value for name, value in item.items() if name in {"token", *left}})
    assert run("verify")[0] == 2
    assert run("seal")[0] == 2


def _write_raw(vault, item):
    """Past the guard on the wire, as somebody with the rights on the table does."""
    raw = vault.session.dynamodb()
    raw.meta.events.unregister("before-call", refuse_plaintext)
    raw.put_item(TableName=vault.config.TABLE, Item=item)


def test_seals_hold_each_other(log, any_vault):
    for _ in range(5):
        record("open")
        seal(any_vault.seals)
    assert [each.number for each in any_vault.seals.all()] == [1, 2, 3, 4, 5]
    assert verify(any_vault.seals).breaks == []


def test_a_later_seal_has_what_changed(log, vault, monkeypatch):
    monkeypatch.setattr("vault.audit.verification._SETTLING", timedelta(0))
    seal(vault.seals)
    event = record("open")
    (second,) = seal(vault.seals)
    assert second.heads[event.chain].number >= event.number
    assert log[1].chain not in second.heads


def test_two_who_seal_at_once_make_one_seal(log, vault, monkeypatch):
    seals = vault.seals
    monkeypatch.setattr(seals, "latest", lambda: None)
    assert seals.add({}, time=datetime.now(UTC), row=1) is not None
    assert seals.add({}, time=datetime.now(UTC), row=1) is None


def test_many_chains_take_many_seals(log, vault, monkeypatch):
    monkeypatch.setattr("vault.audit.verification.MAX_HEADS", 2)
    assert [len(each.heads) for each in seal(vault.seals)] == [2, 1]
    assert verify(vault.seals).breaks == []


def test_what_one_run_left_out_the_next_one_seals(log, vault, monkeypatch):
    monkeypatch.setattr("vault.audit.verification.MAX_HEADS", 1)
    add, calls = type(vault.seals).add, []

    def fail_once(store, *args, **options):
        calls.append(1)
        return None if len(calls) == 2 else add(store, *args, **options)

    monkeypatch.setattr(type(vault.seals), "add", fail_once)
    assert len(seal(vault.seals)) == 1
    hour_later = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr("vault.audit.verification.datetime", _Clock(hour_later))
    for _ in range(2):
        seal(vault.seals)
    sealed = {chain for each in vault.seals.all() for chain in each.heads}
    assert {log[0].chain, log[1].chain, TRUNK} <= sealed


class _Clock:
    def __init__(self, moment):
        self.moment = moment

    def now(self, zone):
        return self.moment


def test_a_writer_whose_clock_is_wrong_is_sealed_too(log, vault, monkeypatch):
    seal(vault.seals)
    slow = ledger.Ledger("audit")
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    event = slow.append(ledger.blank("open", outcome="done") | {"time": hour_ago})
    seal(vault.seals)
    sql("DELETE FROM vault_auditevent WHERE id = %s", event.pk)
    assert (None, UNSEALED) in broken(vault)


def test_a_seal_is_what_it_was_after_the_way_through_bytes():
    heads = {TRUNK: Head(3, "ab" * 32), "c" * 32: Head(2**40, "01" * 32)}
    made = Seal(7, datetime(2026, 11, 24, 12, 0, 0, 999_999, tzinfo=UTC), 2**40, b"p" * 32, heads)
    assert Seal.parse(made.body()) == made


@pytest.mark.parametrize("body", [b"", b"x", b"audit seal 1", b"audit seal 1" + bytes(57)])
def test_what_is_no_seal_is_refused(body):
    with pytest.raises(RecordTampered):
        Seal.parse(body)


def test_without_the_key_nothing_is_sealed(log, vault):
    kms = vault.session.kms()
    kms.disable_key(KeyId=kms.describe_key(KeyId=vault.config.AUDIT_KEY)["KeyMetadata"]["KeyId"])
    with pytest.raises(VaultSealed):
        seal(vault.seals)


def test_provisioning_makes_the_key_once(vault):
    assert vault.session.kms().describe_key(KeyId=vault.config.AUDIT_KEY)["KeyMetadata"]["KeySpec"] == "HMAC_256"
    assert {change.action for change in provision(vault)} == {"unchanged"}


def _delete_seal(vault, number):
    key = {"token": {"S": f"audit-seal#{number:08d}"}}
    vault.session.dynamodb().delete_item(TableName=vault.config.TABLE, Key=key)


# --- The command ------------------------------------------------------------------------------------------------------


def run(*arguments):
    out = StringIO()
    try:
        call_command("vault_audit", *arguments, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    return 0, out.getvalue(), ""


def test_verify_says_that_all_is_well(sealed):
    code, out, _ = run("verify")
    assert code == 0
    assert "holds together" in out
    assert "1 seals" in out


def test_verify_names_the_first_row_and_alarms(sealed):
    sql("UPDATE vault_auditevent SET actor = 'x' WHERE id = %s", sealed[5].pk)
    sql("UPDATE vault_auditevent SET actor = 'x' WHERE id = %s", sealed[9].pk)
    code, out, _ = run("verify")
    assert code == 2
    assert out.startswith(f"row {sealed[5].pk} ")
    (alarm,) = AuditEvent.objects.filter(is_alarm=True)
    assert (alarm.operation, alarm.details) == ("audit.broken", {"first_row": sealed[5].pk})


def test_verify_as_json(sealed):
    code, out, _ = run("verify", "--format", "json")
    assert code == 0
    assert json.loads(out)["breaks"] == []


def test_broken_seals_are_an_alarm_too(sealed, vault):
    seal(vault.seals)
    _delete_seal(vault, 1)
    record("open")
    code, _, error = run("verify")
    # With the first gone none is found at all, and the log contradicts.
    assert code == 2
    assert error


def test_an_export_can_be_verified_elsewhere(sealed, tmp_path):
    code, out, _ = run("export")
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    # The export began after its own intent was written.
    assert [event["row"] for event in events] == sorted(event["row"] for event in events)
    assert events[-1]["operation"] == "audit.export"
    path = tmp_path / "audit.jsonl"
    path.write_text(out)
    assert run("verify", "--file", str(path))[0] == 0
    lines = out.splitlines()
    lines[7] = lines[7].replace('"subject": "', '"subject": "9')
    path.write_text("\n".join(lines))
    code, out, _ = run("verify", "--file", str(path))
    assert code == 2
    assert out.startswith(f"row {json.loads(lines[7])['row']} ")


def test_an_export_that_begins_in_the_middle_can_be_verified_too(log, tmp_path):
    rows = run("export")[1].splitlines()
    path = tmp_path / "part"
    path.write_text("\n".join(rows[9:]))
    assert run("verify", "--file", str(path))[0] == 0
    path.write_text("\n".join(rows[9:14] + rows[15:]))
    assert run("verify", "--file", str(path))[0] == 2


@pytest.mark.parametrize("text", ["no json", "[]", '{"row": 1}', "7"])
def test_what_is_no_export_is_refused(tmp_path, text):
    path = tmp_path / "x"
    path.write_text(text)
    code, _, error = run("verify", "--file", str(path))
    assert (code, error) == (1, "This is not an export of the audit log.")
    assert run("verify", "--file", str(tmp_path / "nothing"))[0] == 1


def test_an_export_can_have_an_end_and_a_beginning(log):
    assert run("export", "--until", "2020-01-01")[1] == ""
    assert run("export", "--since", "2999-01-01T00:00:00Z")[1] == ""
    assert len(run("export", "--since", "2020-01-01")[1].splitlines()) > 20


def test_exporting_and_verifying_are_events(log):
    run("export")
    run("verify")
    done = AuditEvent.objects.filter(outcome="done", operation__startswith="audit.").exclude(chain=TRUNK)
    assert [event.operation for event in done.order_by("pk")] == ["audit.export", "audit.verify"]


def test_without_the_audit_log_the_command_fails_in_a_sentence(monkeypatch):
    def refuse(*args, **options):
        raise AuditUnavailable

    monkeypatch.setattr(ledger.Ledger, "append", refuse)
    code, _, error = run("export")
    assert (code, error) == (1, AuditUnavailable().message)


def test_seal_prints_what_can_be_kept_elsewhere(log):
    code, out, _ = run("seal")
    assert code == 0
    assert out.startswith("seal 1: 3 chains, digest ")


def test_events_do_not_mix_with_an_export(tmp_path):
    """As an operator runs it: a process of its own, events on stderr, the export alone on stdout."""
    environment = {
        "DJANGO_SETTINGS_MODULE": "billing.settings.local",
        "DATA_DIR": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "PYTHONWARNINGS": "ignore",
    }

    def manage(*arguments):
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    for arguments in (["migrate"], ["migrate", "--database", "audit"], ["vault_provision"]):
        manage(*arguments, "--verbosity", "0")
    manage("vault_audit", "verify")
    manage("vault_audit", "seal")
    exported_log = manage("vault_audit", "export")
    assert all(json.loads(line)["row"] for line in exported_log.stdout.splitlines())
    assert '"audit.export"' in exported_log.stderr
    (tmp_path / "export").write_text(exported_log.stdout)
    assert "holds together" in manage("vault_audit", "verify", "--file", str(tmp_path / "export")).stdout
    assert "1 seals" in manage("vault_audit", "verify").stdout
