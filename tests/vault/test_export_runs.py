"""The command that runs an export: what stands in its file, what it says, and how it goes on."""

import io
import json
import stat

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.leaks import Sink
from tests.vault.exporting import KIND, ada, approved, ask, asked, bob, cleo, configured, digits, kept
from tests.vault.recipients import public_pem, thumbprint, unsealed
from vault import exportruns, exports
from vault.backend import current_vault
from vault.envelopes import RecipientKey
from vault.models import AuditEvent, Card, ExportRequest
from vault.records import PARTITION_KEY

__all__ = ["ada", "approved", "asked", "bob", "cleo", "configured", "digits", "kept"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.jsonl"


def export(asked, path, *options):
    """Exit code, and what stood on stdout."""
    out = io.StringIO()
    code = 0
    try:
        call_command("vault_export", str(asked.pk), "--output", str(path), *options, stdout=out)
    except CommandError as error:
        code = error.returncode
        out.write(str(error))
    return code, out.getvalue()


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def numbers(path, kind=KIND):
    return {entry["token"]: unsealed(kind, entry["jwe"])[1]["number"] for entry in lines(path)[1:] if "jwe" in entry}


def spoil(token):
    """Change what is sealed in DynamoDB."""
    vault = current_vault()
    dynamodb, name = vault.session.dynamodb(), {"S": token}
    item = dynamodb.get_item(TableName=vault.config.TABLE, Key={PARTITION_KEY: name})["Item"]
    field = next(key for key, value in item.items() if "B" in value)
    content = bytearray(item[field]["B"])
    content[-1] ^= 1
    dynamodb.put_item(TableName=vault.config.TABLE, Item=item | {field: {"B": bytes(content)}})


def test_the_recipient_opens_every_card(approved, kept, path, leaks):
    code, said = export(approved, path)
    assert code == 0
    header, *cards = lines(path)
    assert (header["version"], header["request"], header["recipient"]) == (1, approved.pk, "Acquirer B")
    assert (header["thumbprint"], header["alg"], header["enc"]) == (thumbprint(KIND), "ECDH-ES+A256KW", "A256GCM")
    assert numbers(path) == kept
    for entry in cards:
        protected, content = unsealed(KIND, entry["jwe"])
        assert (protected["kid"], protected["token"]) == (thumbprint(KIND), entry["token"])
        assert content.get("expires") == entry["expires"]
    assert len([entry for entry in cards if entry["expires"]]) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "exported: 5" in said
    assert ExportRequest.objects.get().state == "done"
    leaks.record(Sink.FILE, path.read_text() + said, "output")


def test_an_alarm_is_raised_when_it_starts(approved, path):
    export(approved, path)
    assert AuditEvent.objects.filter(operation="export.started", is_alarm=True).count() == 1


def test_a_finished_request_is_not_run_again(approved, path, tmp_path, wire):
    export(approved, path)
    content, calls = path.read_text(), wire.calls.copy()
    for output in (path, tmp_path / "other"):
        code, said = export(approved, output)
        assert code == 1
        assert "decided or used already" in said
    assert path.read_text() == content
    assert not (tmp_path / "other").exists()
    assert wire.calls == calls


@pytest.mark.parametrize("how", ["pending", "refused", "expired"])
def test_nothing_is_written_for_a_request_that_is(approved, path, wire, how):
    ExportRequest.objects.update(state=how)
    calls = wire.calls.copy()
    assert export(approved, path)[0] == 1
    assert not path.exists()
    assert wire.calls == calls
    assert not AuditEvent.objects.filter(operation="export.started").exists()


def test_one_tampered_card_and_one_erased_stop_no_other(approved, kept, path):
    tampered, erased, *rest = sorted(kept)
    spoil(tampered)
    Card.objects.filter(pk=erased).update(status="erased", erased_at=timezone.now())
    code, said = export(approved, path, "--format", "json")
    assert code == 2
    failed = {tampered: "tampered", erased: "erased"}
    assert json.loads(said.partition("Some cards")[0])["failed"] == failed
    assert numbers(path) == {token: kept[token] for token in rest}
    assert {entry["token"]: entry["error"] for entry in lines(path)[1:] if "error" in entry} == failed
    done = ExportRequest.objects.get()
    assert (done.state, done.counts["exported"], len(done.counts["failed"])) == ("done", 3, 2)
    (alarm,) = AuditEvent.objects.filter(operation="card.tampered", is_alarm=True)
    assert alarm.token == tampered


def test_chosen_cards_alone_are_exported(kept, ada, bob, cleo, path):
    chosen = sorted(kept)[1:3]
    made = ask(ada, chosen)
    for person in (bob, cleo):
        exports.approve(made, actor=person)
    export(made, path)
    assert sorted(numbers(path)) == chosen


def test_a_dry_run_opens_and_writes_nothing(approved, path, wire):
    calls, out = wire.calls.copy(), io.StringIO()
    call_command("vault_export", str(approved.pk), "--dry-run", "--format", "json", stdout=out)
    report = json.loads(out.getvalue())
    assert (report["cards"], report["erased"], report["thumbprint"]) == (5, 0, thumbprint(KIND))
    assert ExportRequest.objects.get().state == "approved"
    assert wire.calls == calls


def stopped(monkeypatch, approved, path, *, after):
    """A run that dies when it has written so many batches of one."""
    written = []

    def stop(_):
        written.append(1)
        if len(written) == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(exportruns, "_BATCH", 1)
    with pytest.raises(KeyboardInterrupt):
        exportruns.run(approved, path, spend=stop)


def test_a_stopped_run_goes_on_after_its_last_card(approved, kept, path, monkeypatch):
    stopped(monkeypatch, approved, path, after=2)
    before = path.read_text()
    with path.open("a") as file:
        file.write('{"token": "tok1_half')
    assert export(approved, path)[0] == 0
    assert path.read_text().startswith(before)
    assert [entry["token"] for entry in lines(path)[1:]] == sorted(kept)
    assert ExportRequest.objects.get().counts["exported"] == 5


def test_a_stopped_run_does_not_begin_another_file(approved, path, tmp_path, monkeypatch, wire):
    stopped(monkeypatch, approved, path, after=2)
    calls = wire.calls.copy()
    assert export(approved, tmp_path / "second")[0] == 1
    assert not (tmp_path / "second").exists()
    # Nor a file that says the right things of itself.
    header = lines(path)[0] | {"run": "0" * 32}
    (tmp_path / "forged").write_text(json.dumps(header) + "\n")
    assert export(approved, tmp_path / "forged")[0] == 1
    assert wire.calls == calls


@pytest.mark.parametrize("change", [{"request": 0}, {"thumbprint": "x"}, {"version": 2}])
def test_the_file_of_another_export_is_left_alone(approved, path, change):
    header = {"version": 1, "request": approved.pk, "thumbprint": thumbprint(KIND), "run": "r"} | change
    path.write_text(json.dumps(header) + "\n")
    code, said = export(approved, path)
    assert code == 1
    assert "not the one that this export began in" in said
    assert len(lines(path)) == 1
    assert ExportRequest.objects.get().state == "approved"


def test_a_key_that_was_swapped_in_the_table_is_noticed(approved, path):
    ExportRequest.objects.update(public_key=RecipientKey.parse(public_pem("p-384")).text)
    assert export(approved, path)[0] == 1
    assert not path.exists()


def test_a_run_that_expires_on_the_way_stops(approved, path, monkeypatch):
    stopped(monkeypatch, approved, path, after=2)
    ExportRequest.objects.update(expires_at=timezone.now())
    assert export(approved, path)[0] == 1
    assert len(lines(path)) == 3


def test_an_unreachable_vault_stops_it_and_another_run_goes_on(approved, kept, path, wire):
    wire.fail("BatchGetItem", "AccessDeniedException")
    assert export(approved, path)[0] == 1
    wire.heal()
    assert export(approved, path)[0] == 0
    assert numbers(path) == kept


def test_the_rate_is_kept(approved, path):
    spent = []
    exportruns.run(approved, path, at_once=2, spend=spent.append)
    assert spent == [2, 2, 1]


def test_what_an_earlier_run_wrote_costs_no_time(approved, path, monkeypatch):
    stopped(monkeypatch, approved, path, after=2)
    spent, seen = [], []
    exportruns.run(approved, path, spend=spent.append, progress=seen.append)
    assert (sum(seen), sum(spent)) == (5, 3)


def test_a_file_with_cards_begins_no_export(approved, path):
    header = exportruns._header(approved, RecipientKey.parse(approved.public_key))
    path.write_text(f'{json.dumps(header)}\n{{"token":"tok1_0"}}\n')
    assert export(approved, path)[0] == 1
    approved.refresh_from_db()
    assert approved.state == "approved"


def test_of_many_failures_some_are_listed_and_all_are_counted(approved, path, monkeypatch):
    monkeypatch.setattr(exportruns, "LISTED", 1)
    Card.objects.filter(pk__in=list(Card.objects.values_list("pk", flat=True)[:3])).update(
        status=Card.Status.ERASED, erased_at=timezone.now()
    )
    code, said = export(approved, path, "--format", "json")
    report = json.loads(said.partition("Some cards")[0])
    assert (code, report["failures"], len(report["failed"])) == (2, 3, 1)
    approved.refresh_from_db()
    assert (approved.counts["failures"], len(approved.counts["failed"])) == (3, 1)
    assert sum("error" in line for line in lines(path)[1:]) == 3


def test_a_file_in_which_cards_were_passed_over_is_not_done(approved, path, monkeypatch):
    stopped(monkeypatch, approved, path, after=2)
    with path.open("a") as file:
        file.write('{"token":"tok1_zzzz"}\n')
    assert export(approved, path)[0] == 1
    approved.refresh_from_db()
    assert approved.state == "running"


@pytest.mark.parametrize("arguments", [["7000", "--output", "x"], ["1"], ["1", "--output", "x", "--rate", "0"]])
def test_what_cannot_be_run_is_said(db, arguments):
    with pytest.raises(CommandError) as caught:
        call_command("vault_export", *arguments)
    assert caught.value.returncode == 1
