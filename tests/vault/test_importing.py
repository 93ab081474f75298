"""`manage.py vault_import`: from a file into the vault, with an output that says what became of each row."""

import io
import json
import os
import sys
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from tests.cards import grouped
from tests.vault.importing_files import imported, read_lines, read_table, write_csv, write_jsonl
from vault import services
from vault.exceptions import AuditUnavailable, VaultSealed, VaultUnavailable
from vault.importing import running
from vault.management.commands.vault_import import Command
from vault.models import AuditEvent, Card
from vault.pan import PAN

pytestmark = pytest.mark.django_db


@pytest.fixture
def numbers(canary):
    return [canary(f"row {number}") for number in range(5)]


@pytest.fixture
def table(tmp_path, numbers, leaks):
    """A table of five cards."""
    for number in range(5):
        leaks.allow(f"row {number}", sink="file", reason="the file that is imported")
    return write_csv(tmp_path / "cards.csv", [(digits, "02/30", f"r{n}") for n, digits in enumerate(numbers)])


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "tokens.jsonl"


@pytest.fixture(autouse=True)
def folder(output):
    output.parent.mkdir()


def rejects_of(output):
    return read_lines(output.with_suffix(".rejects.jsonl"))


def failing(monkeypatch, error, *, after=0, times=1_000_000):
    """Let the vault answer `after` batches, then fail so often."""
    left = [after, times]
    tokenize_many = services.tokenize_many

    def tokenize(*args, **options):
        if left[0] == 0 and left[1]:
            left[1] -= 1
            raise error
        left[0] = max(left[0] - 1, 0)
        return tokenize_many(*args, **options)

    monkeypatch.setattr(services, "tokenize_many", tokenize)
    monkeypatch.setattr(running, "BATCH", 2)
    pauses = []
    monkeypatch.setattr(running.time, "sleep", pauses.append)
    return pauses


# --- What comes out -------------------------------------------------------------------------------------------------


def test_each_row_has_a_line_with_its_token(table, output, numbers):
    code, counts, _ = imported(table, output)
    assert (code, counts | {"seconds": 0}) == (
        0,
        {"rows": 5, "created": 5, "existing": 0, "updated": 0, "rejected": 0, "seconds": 0},
    )
    assert [(line["row"], line["reference"], line["status"]) for line in read_lines(output)] == [
        (number + 2, f"r{number}", "created") for number in range(5)
    ]
    for line, digits in zip(read_lines(output), numbers, strict=True):
        assert line["token"] == services.find(PAN(digits)).text
        assert (line["brand"], line["last4"]) == ("visa", digits[-4:])
    assert set(Card.objects.values_list("expires", "is_external")) == {(Card.objects.first().expires, True)}
    assert rejects_of(output) == []


def test_a_known_card_is_existing_or_updated(tmp_path, output, canary, leaks):
    digits = canary("known")
    leaks.allow("known", sink="file", reason="the file that is imported")
    rows = [(digits, "02/30", "new"), (digits, "", "known"), (grouped(digits, " "), "03/31", "renewed")]
    assert imported(write_csv(tmp_path / "in.csv", rows), output)[0] == 0
    lines = read_lines(output)
    assert [line["status"] for line in lines] == ["created", "existing", "updated"]
    assert len({line["token"] for line in lines}) == 1
    assert Card.objects.get().expires.isoformat() == "2031-03-31"


def test_a_table_comes_out_without_formulas(tmp_path, output, canary, leaks):
    references = ["=1+1", "+x", "-x", "@x", "＝x", 'a"b,c', "plain"]
    rows = []
    for reference in references:
        rows.append((canary(reference), "", reference))
        leaks.allow(reference, sink="file", reason="the file that is imported")
    output = output.with_name("tokens.csv")
    assert imported(write_csv(tmp_path / "in.csv", rows, delimiter=";"), output)[0] == 0
    shown = [row["reference"] for row in read_table(output)]
    assert shown == ["'=1+1", "'+x", "'-x", "'@x", "'＝x", 'a"b,c', "plain"]


def test_json_lines_come_in_too(tmp_path, output, canary, leaks):
    digits = canary("object")
    leaks.allow("object", sink="file", reason="the file that is imported")
    path = write_jsonl(tmp_path / "in.jsonl", [{"pan": digits, "exp_month": 2, "exp_year": 2030, "reference": 7}])
    assert imported(path, output)[0] == 0
    assert read_lines(output)[0]["reference"] == "7"


def test_rejects_name_row_and_reason_and_no_digits(tmp_path, output, canary, card, leaks):
    good, elsewhere, typed = canary("good"), canary("elsewhere"), card("amex")
    for label in ("good", "elsewhere", "amex test card"):
        leaks.allow(label, sink="file", reason="the file that is imported")
    path = write_csv(tmp_path / "in.csv", [(good, "", "A"), (good, "", elsewhere), (typed, "99/99", "C")])
    code, counts, said = imported(path, output)
    assert (code, counts["created"], counts["rejected"]) == (2, 1, 2)
    assert [(line["row"], line["reference"], line["reason"]) for line in rejects_of(output)] == [
        (3, "", "card_elsewhere"),
        (4, "C", "expiry"),
    ]
    written = output.read_text() + output.with_suffix(".rejects.jsonl").read_text() + said
    written += output.with_name("tokens.jsonl.journal").read_text()
    assert not any(digits in written for digits in (good, elsewhere, typed))


def test_a_table_without_rows_has_a_header(tmp_path, output):
    output = output.with_name("tokens.csv")
    assert imported(write_csv(tmp_path / "in.csv", []), output)[1]["rows"] == 0
    assert output.read_text() == "row,reference,token,brand,last4,status\n"


def test_the_run_is_audited_beside_its_batches(table, output):
    imported(table, output)
    events = AuditEvent.objects.filter(operation="import").order_by("pk")
    assert [(event.outcome, event.subject) for event in events] == [
        ("intent", "tokens.jsonl"),
        ("done", "tokens.jsonl"),
    ]
    assert events[1].details == {
        "after_row": 0, "rows": 5, "created": 5, "existing": 0, "updated": 0, "rejected": 0,
    }  # fmt: skip
    assert AuditEvent.objects.filter(operation="tokenize").count() == 2


def test_the_output_is_for_its_owner_alone(table, output):
    imported(table, output)
    assert {path.stat().st_mode & 0o777 for path in output.parent.iterdir()} == {0o600}


# --- What is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_cvv_anywhere_refuses_the_file_before_anything_is_stored(
    tmp_path, output, canary, leaks, suffix, monkeypatch
):
    monkeypatch.setattr(running, "BATCH", 1)
    digits = canary("with CVV")
    leaks.allow("with CVV", sink="file", reason="the file that is imported")
    if suffix == "csv":
        path = write_csv(tmp_path / "in.csv", [(digits, "", "1")], header=("number", "expires", "CVV2"))
    else:
        path = write_jsonl(tmp_path / "in.jsonl", [{"number": digits}, {"number": digits, "more": {"cvc": "1"}}])
    code, counts, said = imported(path, output)
    assert (code, counts) == (1, None)
    assert "may never be kept" in said
    assert not Card.objects.exists()
    assert not AuditEvent.objects.filter(operation__in=["import", "tokenize"]).exists()
    assert list(output.parent.iterdir()) == []


def test_a_card_number_in_an_argument_is_refused_and_not_repeated(card, capsys):
    digits = card("visa")
    for arguments in ([f"{digits}.csv"], ["x.csv", digits], ["x.csv", f"--reference-column={digits}"]):
        with pytest.raises(SystemExit) as ended:
            Command().run_from_argv(["manage.py", "vault_import", *arguments])
        assert ended.value.code == 1
    with pytest.raises(CommandError, match="does not belong on a command line"):
        call_command("vault_import", f"{digits}.csv", "--output=x.csv")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--rate=0"], "above zero"),
        (["--output=x.txt"], "ends in"),
        (["--output={input}"], "different files"),
        (["--rejects={output}"], "different files"),
        (["--rejects={output}.journal"], "different files"),
        (["--number-column=nothing"], "not in the file"),
        (["--output={output}/no/folder.csv"], "cannot be read or written"),
    ],
)
def test_what_makes_no_sense_is_refused(table, output, options, sentence):
    options = [option.format(input=table, output=output) for option in options]
    code, _, said = imported(table, output, *options)
    assert (code, sentence in said) == (1, True)
    assert not Card.objects.exists()


@pytest.mark.parametrize("name", ["missing.csv", ".", "cards"])
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path, output, name):
    assert imported(tmp_path / name, output)[0] == 1


# --- Going on -------------------------------------------------------------------------------------------------------


def test_a_finished_import_is_not_done_again(table, output):
    first = imported(table, output)
    before = {path: path.read_bytes() for path in output.parent.iterdir()}
    events = AuditEvent.objects.count()
    again = imported(table, output)
    assert (again[0], again[1] | {"seconds": 0}) == (0, first[1] | {"seconds": 0})
    assert {path: path.read_bytes() for path in output.parent.iterdir()} == before
    assert AuditEvent.objects.count() == events


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
@pytest.mark.parametrize("error", [VaultSealed(), AuditUnavailable(), OperationalError("x"), KeyboardInterrupt()])
def test_what_stops_it_leaves_all_before_settled(table, output, monkeypatch, error, suffix):
    output = output.with_name(f"tokens.{suffix}")
    with monkeypatch.context() as patch:
        failing(patch, error, after=1)
        code, counts, said = imported(table, output)
    assert (code, counts, "Rows up to 3 are settled." in said) == (1, None, True)
    # The rest of a batch that was on its way to the disk.
    for path in output.parent.iterdir():
        with path.open("a") as file:
            file.write('{"row": 4, "ref')
    code, counts, _ = imported(table, output)
    assert (code, counts["rows"], counts["created"]) == (0, 5, 5)
    lines = read_lines(output) if suffix == "jsonl" else read_table(output)
    assert [int(line["row"]) for line in lines] == [2, 3, 4, 5, 6]
    assert {line["token"] for line in lines} == set(Card.objects.values_list("token", flat=True))
    assert rejects_of(output) == []


def test_the_vault_may_be_away_for_a_while(table, output, monkeypatch):
    pauses = failing(monkeypatch, VaultUnavailable(), after=1, times=4)
    assert imported(table, output)[0] == 0
    assert pauses == [1, 2, 4, 8]


def test_the_vault_may_not_be_away_for_ever(table, output, monkeypatch):
    pauses = failing(monkeypatch, VaultUnavailable(), after=1)
    code, _, said = imported(table, output)
    assert (code, pauses) == (1, [1, 2, 4, 8, 16])
    assert "Rows up to 3 are settled. Run the same command again to go on." in said


def test_another_input_is_refused(table, output, tmp_path, numbers):
    imported(table, output)
    grown = write_csv(table, [(digits, "02/30", "grown") for digits in numbers])
    code, _, said = imported(grown, output)
    assert (code, "another file" in said) == (1, True)


@pytest.mark.parametrize("which", ["tokens.jsonl", "tokens.rejects.jsonl"])
def test_a_file_of_somebody_else_is_left_alone(table, output, which):
    (output.parent / which).write_text("mine")
    code, _, said = imported(table, output)
    assert (code, "exist already" in said) == (1, True)
    assert [path.read_text() for path in output.parent.iterdir()] == ["mine"]
    assert not Card.objects.exists()


@pytest.mark.parametrize("damage", [{"row": 1}, 1, {"row": "x", "counts": {}}], ids=range(3))
def test_a_journal_that_was_changed_is_refused(table, output, damage):
    imported(table, output)
    with output.with_name("tokens.jsonl.journal").open("a") as file:
        file.write(json.dumps(damage) + "\n")
    code, _, said = imported(table, output)
    assert (code, "was changed" in said) == (1, True)


def test_an_output_that_was_cut_is_refused(table, output):
    imported(table, output)
    output.write_text("")
    assert imported(table, output)[0] == 1
    assert output.read_text() == ""


def test_two_at_once_do_not_mix(table, output, monkeypatch):
    def tokenize(*args, **options):
        monkeypatch.undo()
        inner.append(imported(table, output))
        return services.tokenize_many(*args, **options)

    inner = []
    monkeypatch.setattr(services, "tokenize_many", tokenize)
    assert imported(table, output)[0] == 0
    assert (inner[0][0], "Another import" in inner[0][2]) == (1, True)


@pytest.mark.parametrize("name", ["tokens.jsonl", "tokens.rejects.jsonl", "tokens.jsonl.journal"])
def test_no_file_is_written_through_a_link(table, output, tmp_path, name):
    target = tmp_path / "elsewhere"
    (output.parent / name).symlink_to(target)
    assert imported(table, output)[0] == 1
    assert not target.exists()
    assert not Card.objects.exists()


# --- Dry run, rate, progress ----------------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing(table, output, leaks, numbers):
    with table.open("a") as file:
        file.write(f"{numbers[0]},13/30,bad\n" * 25)
    events = AuditEvent.objects.count()
    code, counts, said = imported(table, output, "--dry-run")
    assert (code, counts["rows"], counts["rejected"]) == (2, 30, 25)
    assert said.count("The expiry is not a month and a year.") == 20
    assert "row 7: " in said
    assert "and 5 more" in said
    assert list(output.parent.iterdir()) == []
    assert not Card.objects.exists()
    assert AuditEvent.objects.count() == events


def test_a_rate_is_kept(table, output, monkeypatch):
    pauses = failing(monkeypatch, None, after=1_000_000)
    assert imported(table, output, "--rate=1")[0] == 0
    # One batch for each card. What a slow machine spent is no pause.
    assert 0 < sum(pauses) <= 1 + 2 + 3 + 4 + 5


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_progress_is_shown_on_a_terminal(table, output, monkeypatch, source):
    terminal = Terminal()
    events = output.with_name("events.jsonl")
    monkeypatch.setattr(sys, "stderr", terminal)
    if source == "file":
        assert imported(table, output, f"--events={events}")[0] == 0
        assert "100%" in terminal.getvalue()
    else:
        piped(monkeypatch, table)
        assert imported("-", output, "--format=csv", f"--events={events}")[0] == 0
        sys.stdin.buffer.close()
    assert "5 rows [" in terminal.getvalue() or "5/5" in terminal.getvalue()


def piped(monkeypatch, path):
    """Let standard input be a pipe with the file's content, which fits into it."""
    reading, writing = os.pipe()
    os.write(writing, path.read_bytes())
    os.close(writing)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=os.fdopen(reading, "rb")))


def test_standard_input_is_piped_again_to_go_on(table, output, monkeypatch):
    with monkeypatch.context() as patch:
        failing(patch, VaultSealed(), after=1)
        piped(patch, table)
        assert imported("-", output, "--format=csv")[0] == 1
        sys.stdin.buffer.close()
    piped(monkeypatch, table)
    assert imported("-", output, "--format=csv")[1]["created"] == 5
    sys.stdin.buffer.close()
    assert [line["row"] for line in read_lines(output)] == [2, 3, 4, 5, 6]


def test_standard_input_needs_a_format(output):
    code, _, said = imported("-", output)
    assert (code, "--format" in said) == (1, True)
