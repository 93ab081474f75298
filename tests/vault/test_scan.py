"""What a scan finds, where it says it is, and what it leaves alone."""

import gzip
import io
import json
import os
import random
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.signals import post_save

from tests.cards import ALL_NUMBERS, NUMBERS, grouped, with_check_digit
from tests.factories import make_card, make_order, make_user
from vault.exceptions import ScanTakenOver
from vault.models import AuditEvent, Incident, Run, Stray
from vault.redaction import contains_pan, find_pans
from vault.scanning import columns, files, incidents, leases
from vault.scanning.scan import Scan

pytestmark = pytest.mark.django_db
is_mysql = django_settings.DATABASES["default"]["ENGINE"].endswith("mysql")
DESCRIPTION = "default.orders_order.description"


def scan(*options):
    """The code that the command ends with, the places that it named, and its counts."""
    out = io.StringIO()
    code = 0
    try:
        call_command("vault_scan", "--format=json", *options, stdout=out)
    except CommandError as error:
        code = error.returncode
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    return code, [line["place"] for line in lines if "place" in line], lines[-1] if lines else {}


@pytest.fixture
def stray(canary, leaks):
    """`stray("log")` is a number that was put where none belongs, on purpose."""

    def planted(label, *sinks):
        digits = canary(label)
        for sink in sinks:
            leaks.allow(label, sink=sink, reason="planted for the scan to find")
        return digits

    return planted


@pytest.fixture
def order(canary):
    return make_order(make_user("carl"), make_card(canary("stored card")))


@pytest.fixture
def dirty(order, stray):
    """An order with a card number in its description, written past the form."""
    digits = stray("description", "sql", "table")
    type(order).objects.filter(pk=order.pk).update(description=f"please charge {grouped(digits, ' ')}")
    return order


# --- The database --------------------------------------------------------------------------------------------------


def test_a_clean_database_has_no_false_alarm(order):
    code, places, counts = scan("--database")
    assert (code, places) == (0, [])
    assert counts["tables"] > 10
    assert counts["rows"] > 10
    assert not Incident.objects.exists()


def test_a_number_in_a_column_is_found_and_opens_an_incident(dirty, settings):
    settings.VAULT = settings.VAULT | {"ALARM_EMAILS": ["security@example.com"]}
    code, places, counts = scan()
    assert (code, counts["found"]) == (2, 1)
    assert places == [f"{DESCRIPTION} id={dirty.pk}"]
    incident = Incident.objects.get()
    assert (incident.source, incident.state, incident.found) == (DESCRIPTION, "open", 1)
    found = Stray.objects.get()
    assert (found.brand, found.key) == ("visa", [dirty.pk])
    assert dirty.refresh_from_db() or dirty.description.endswith(found.last4)
    assert AuditEvent.objects.get(operation="stray.found").is_alarm
    assert [message.to for message in mail.outbox] == [["security@example.com"]]
    assert list(AuditEvent.objects.filter(operation="scan").order_by("pk").values_list("outcome", flat=True)) == [
        "intent",
        "done",
    ]


def test_a_second_scan_counts_anew_and_opens_nothing(dirty):
    scan()
    first = Incident.objects.get()
    assert scan()[0] == 2
    again = Incident.objects.get()
    assert (again.pk, again.found, again.strays.count()) == (first.pk, 1, 1)
    assert again.last_seen > first.last_seen
    assert AuditEvent.objects.filter(operation="stray.found").count() == 1


def test_a_dry_run_writes_nothing(dirty):
    before = AuditEvent.objects.count()
    assert scan("--dry-run")[:2] == (2, [f"{DESCRIPTION} id={dirty.pk}"])
    assert not Incident.objects.exists()
    assert not Run.objects.exists()
    assert AuditEvent.objects.count() == before


def test_an_excluded_column_is_not_read(dirty):
    assert scan("--exclude=orders_order.desc*")[0] == 0
    assert scan("--exclude=orders_order.name")[0] == 2


def test_a_number_in_json_is_found(stray):
    Run.objects.create(operation="other", state="done", position={"at": {"note": stray("JSON", "sql", "table")}})
    assert scan()[1] == [f"default.vault_run.position id={Run.objects.get(operation='other').pk}"]


@pytest.fixture
def foreign():
    """`foreign("id INTEGER, note TEXT")` makes a table that no model knows."""
    names = []

    def make(definition, name="foreign_table"):
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {name} ({definition})")
        names.append(name)

    yield make
    for name in names:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {name}")


def fill(*rows):
    with connection.cursor() as cursor:
        for row in rows:
            cursor.execute(f"INSERT INTO foreign_table VALUES ({', '.join(['%s'] * len(row))})", row)  # noqa: S608


FOREIGN = {
    "key": ("id INTEGER PRIMARY KEY, note TEXT", lambda note: [(1, "fine"), (2, note)], "id=2"),
    "two keys": (
        "a INTEGER, b VARCHAR(9), note TEXT, PRIMARY KEY (a, b)",
        lambda note: [(1, "x", "fine"), (1, "y", note), (2, "a", "fine")],
        "a=1, b=y",
    ),
    "bytes": ("id INTEGER PRIMARY KEY, note BLOB", lambda note: [(2, note.encode())], "id=2"),
}
ddl = pytest.mark.django_db(transaction=True)


@ddl
@pytest.mark.parametrize(("definition", "rows", "row"), FOREIGN.values(), ids=FOREIGN)
def test_a_table_without_a_model_is_read(foreign, stray, definition, rows, row):
    foreign(definition)
    fill(*rows(f"card {stray('foreign table', 'sql', 'table')}"))
    assert scan()[1] == [f"default.foreign_table.note {row}"]


@ddl
def test_a_table_without_a_key_is_read(foreign, stray):
    foreign("note TEXT")
    fill(("fine",), (stray("foreign table", "sql", "table"),))
    row = "(no key)" if is_mysql else "rowid=2"
    assert scan()[1] == [f"default.foreign_table.note {row}"]


@ddl
@pytest.mark.parametrize("kind", ["VARCHAR(30)", "BIGINT"])
def test_a_number_as_a_primary_key_is_neither_sent_to_sql_nor_kept(foreign, stray, monkeypatch, kind):
    monkeypatch.setattr(columns, "_FIRST_ROWS", 1)
    foreign(f"id {kind} PRIMARY KEY, note TEXT")
    with connection.cursor() as cursor:
        digits = [stray(f"key {number}", "sql", "table") for number in range(5)]
        for each in digits:
            cursor.execute("INSERT INTO foreign_table VALUES (%s, %s)", [each, f"card {each}"])
    unit = next(table for table in columns.tables() if table.table == "foreign_table")
    read = list(unit.pages({}))
    notes = [sighting for page in read for sighting in page.sightings if sighting.source.endswith("note")]
    assert sorted(sighting.last4 for sighting in notes) == sorted(each[-4:] for each in digits)
    assert {sighting.key for sighting in notes} == {None}
    assert not any(each[:12] in repr(read) for each in digits)


@ddl
@pytest.mark.parametrize("definition", ["id INTEGER PRIMARY KEY, note TEXT", "note TEXT, id INTEGER"])
def test_every_position_is_one_to_go_on_from(foreign, monkeypatch, definition):
    monkeypatch.setattr(columns, "_FIRST_ROWS", 3)
    monkeypatch.setattr(columns, "_STREAMED_ROWS", 4)
    foreign(definition)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO foreign_table (id, note) VALUES (%s, %s)", [(number, "x") for number in range(50)]
        )
    unit = next(table for table in columns.tables() if table.table == "foreign_table")
    pages = list(unit.pages({}))
    assert sum(page.read for page in pages) == 50
    assert len(pages) > 3
    for number, page in enumerate(pages[:-1]):
        assert sum(each.read for each in unit.pages(page.position)) == sum(each.read for each in pages[number + 1 :])


def test_no_more_places_are_kept_than_there_is_room_for(stray, tmp_path, monkeypatch):
    monkeypatch.setattr(incidents, "KEPT", 3)
    digits = stray("log", "file")
    (tmp_path / "log").write_text(f"card {digits}\n" * 10)
    assert scan(f"--path={tmp_path}")[2]["found"] == 10
    assert (Incident.objects.get().found, Stray.objects.count()) == (10, 3)


STATES = {"open": "open", "confirmed": "confirmed", "false": "false", "cleaned": "open"}


@pytest.mark.parametrize(("before", "after"), STATES.items(), ids=STATES)
def test_what_turns_up_again_is_opened_again(dirty, before, after):
    scan()
    Incident.objects.update(state=before, found_when_decided=1)
    scan()
    incident = Incident.objects.get()
    assert incident.state == after
    assert (incident.reopened_at is not None) == (before == "cleaned")
    assert AuditEvent.objects.filter(operation="stray.found").count() == (2 if before == "cleaned" else 1)


def test_a_false_alarm_that_grows_is_opened_again(dirty, order, stray):
    scan()
    Incident.objects.update(state="false", found_when_decided=1)
    other = make_order(order.customer, order.card)
    type(other).objects.filter(pk=other.pk).update(description=stray("another", "sql", "table"))
    scan()
    assert Incident.objects.get().state == "open"


# --- Files ---------------------------------------------------------------------------------------------------------

ENCODED = {
    "plain": lambda text: text.encode(),
    "Latin-1": lambda text: f"Käse\n{text}".encode("latin-1"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "UTF-16 the other way": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "gzip": lambda text: gzip.compress(text.encode()),
    "Windows lines": lambda text: text.replace("\n", "\r\n").encode(),
    "no last line feed": lambda text: text.rstrip("\n").encode(),
}


@pytest.mark.parametrize("encode", ENCODED.values(), ids=ENCODED)
def test_a_number_in_a_file_is_found(stray, tmp_path, encode):
    path = tmp_path / "app.log"
    path.write_bytes(encode(f"GET / 200\nPOST /pay card={stray('log', 'file')} ok\n"))
    line = 3 if b"K" in path.read_bytes() else 2
    assert scan(f"--path={tmp_path}")[:2] == (2, [f"{path}:{line}"])
    assert Stray.objects.get().key is None


@pytest.mark.parametrize("before", [0, 1, 1000, 65_500, 65_530, 64_500, 131_000, 200_000])
def test_a_number_in_a_long_line_is_found_once(before):
    text = "x" * before + NUMBERS["visa"][0] + "y" * 70_000 + f"\n{NUMBERS['amex'][0]}"
    found = [
        (line, each.last4)
        for line, window, first, last in files._windows(io.TextIOWrapper(io.BytesIO(text.encode()), newline="\n"))
        for each in find_pans(window)
        if first <= each.start < last
    ]
    assert found == [(1, NUMBERS["visa"][0][-4:]), (2, NUMBERS["amex"][0][-4:])]


def test_every_place_in_a_long_line_belongs_to_one_window(monkeypatch):
    monkeypatch.setattr(files, "_WINDOW", 50)
    monkeypatch.setattr(files, "_CONTEXT", 7)
    for length in range(200):
        text = "".join(chr(0x4E00 + number) for number in range(length))
        windows = files._windows(io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8", newline="\n"))
        assert "".join(window[first:last] for _, window, first, last in windows) == text


def test_what_is_no_text_is_skipped(tmp_path):
    (tmp_path / "image").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "empty").write_bytes(b"")
    code, _, counts = scan(f"--path={tmp_path}")
    assert (code, counts["skipped"]) == (0, 2)


def test_a_broken_file_is_counted_and_the_others_are_read(stray, tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    (tmp_path / "b.log").write_text(stray("log", "file"))
    code, _, counts = scan(f"--path={tmp_path}")
    assert (code, counts["unreadable"], counts["found"]) == (2, 1, 1)
    (tmp_path / "b.log").unlink()
    assert scan(f"--path={tmp_path}")[0] == 1


def test_a_path_that_is_not_there_stops_the_scan(tmp_path):
    assert scan(f"--path={tmp_path}/none")[0] == 1


def test_a_file_called_after_a_card_is_named_without_it(stray, tmp_path):
    digits = stray("file name", "file")
    (tmp_path / f"scan-{digits}.log").write_text(digits)
    code, (place,), _ = scan(f"--path={tmp_path}")
    assert code == 2
    assert digits[:12] not in place


def test_files_are_excluded_by_name_and_by_path(stray, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.log").write_text(stray("log", "file"))
    assert scan(f"--path={tmp_path}", "--exclude=*.log")[0] == 0
    assert scan(f"--path={tmp_path}", f"--exclude={tmp_path}/old")[0] == 0
    assert scan(f"--path={tmp_path}")[0] == 2


def test_standard_input_is_read(stray, monkeypatch):
    text = io.TextIOWrapper(io.BufferedReader(io.BytesIO(f"a\n{stray('pipe')}".encode())))
    monkeypatch.setattr("sys.stdin", text)
    assert scan("--path=-")[1] == ["standard input:2"]


# --- False alarms --------------------------------------------------------------------------------------------------


def fails_luhn(random_):
    digits = "".join(random_.choices("0123456789", k=16))
    return digits if with_check_digit(digits[:-1]) != digits else digits[:-1] + str((int(digits[-1]) + 1) % 10)


def moment(random_):
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=random_.randrange(10**14))


MADE = {
    "UUIDs": lambda random_: str(uuid.UUID(int=random_.getrandbits(128), version=4)),
    "digests": lambda random_: random_.randbytes(32).hex(),
    "order numbers that fail Luhn": fails_luhn,
    "timestamps": lambda random_: moment(random_).isoformat(),
    "log times": lambda random_: f"{moment(random_):%d/%b/%Y:%H:%M:%S} {random_.randrange(10**6)}",
    "phones": lambda random_: f"+49 {random_.randrange(150, 180)} {random_.randrange(10**7, 10**8)}",
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_ten_thousand_of_these_raise_no_alarm(make, tmp_path):
    random_ = random.Random(1)  # noqa: S311 - the same each time is the point
    path = tmp_path / "log"
    path.write_text("".join(f"INFO {make(random_)} done\n" for _ in range(10_000)))
    assert scan(f"--path={path}")[:2] == (0, [])


@pytest.mark.parametrize("digits", ALL_NUMBERS)
def test_the_report_holds_no_digits(digits, leaks, tmp_path, capsys):
    leaks.watch(digits, label="any brand")
    leaks.allow("any brand", sink="file", reason="planted for the scan to find")
    (tmp_path / "log").write_text(f"card {digits}\n")
    with pytest.raises(CommandError) if contains_pan(f"card {digits}") else pytest.raises(AssertionError):
        call_command("vault_scan", f"--path={tmp_path}")
        raise AssertionError
    assert digits not in capsys.readouterr().out


def test_a_file_that_may_not_be_looked_at_is_counted_and_stops_nothing(tmp_path, stray, monkeypatch):
    closed = tmp_path / f"{stray('file name', 'file')}.txt"
    closed.write_text("fine")
    (tmp_path / "z.log").write_text(f"card {stray('log', 'file')}")
    look = Path.stat

    def stat(path, **options):
        # As the system says it of what stands in a folder that may be listed and not entered.
        if path == closed:
            raise PermissionError(13, "Permission denied", str(closed))
        return look(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", stat)
        patch.setattr(Path, "open", lambda path, mode: stat(path) and open(path, mode))  # noqa: PTH123, SIM115
        code, places, counts = scan(f"--path={tmp_path}")
    assert (code, places, counts["unreadable"]) == (2, [f"{tmp_path}/z.log:1"], 1)


def test_no_path_is_not_the_folder_that_somebody_stands_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.log").write_text("fine")
    assert scan("--path=")[0] == 1


# --- Going on ------------------------------------------------------------------------------------------------------


@pytest.fixture
def three_logs(stray, tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.log").write_text(f"card {stray(name, 'file')}\n")
    return tmp_path


def stopped_after(pages, folder):
    work = Scan(database=False, paths=[str(folder)], excluded=[], writes=True).sightings()
    for _ in range(pages):
        next(work)
    work.close()


def test_a_stopped_scan_goes_on_behind_what_was_committed(three_logs):
    stopped_after(2, three_logs)
    _, places, counts = scan(f"--path={three_logs}")
    assert places == [f"{three_logs}/c.log:1"]
    assert (counts["resumed"], counts["found"], Incident.objects.count()) == (True, 3, 3)
    assert {incident.found for incident in Incident.objects.all()} == {1}


@pytest.mark.parametrize("change", ["restart", "other options", "another file"])
def test_a_scan_begins_anew(three_logs, change):
    stopped_after(2, three_logs)
    if change == "another file":
        (three_logs / "aa.log").write_text("fine")
    options = {"restart": ["--restart"], "other options": ["--exclude=*.txt"]}.get(change, [])
    _, places, counts = scan(f"--path={three_logs}", *options)
    assert (len(places), counts["resumed"]) == (3, False)
    assert {incident.found for incident in Incident.objects.all()} == {1}
    assert list(Run.objects.order_by("pk").values_list("state", flat=True)) == ["failed", "done"]


# --- Two at once ---------------------------------------------------------------------------------------------------


def started(folder, **owner):
    """A scan that read one file and goes on, by the process that `owner` says."""
    work = Scan(database=False, paths=[str(folder)], excluded=[], writes=True)
    work._owner |= owner
    pages = work.sightings()
    next(pages)
    return pages


HOLDERS = {
    "process of this host": (lambda: {"pid": os.getppid()}, True),
    "process of another host": (lambda: {"host": "elsewhere"}, True),
    "dead process of this host": (lambda: {"pid": 2**22 + 1}, False),
    "earlier process of the same number": (lambda: {"pid": os.getpid()}, False),
}


@pytest.mark.parametrize(("owner", "is_held"), HOLDERS.values(), ids=HOLDERS)
def test_a_second_scan_is_refused_as_long_as_the_first_may_be_alive(three_logs, owner, is_held):
    first = started(three_logs, **owner())
    code, places, _ = scan(f"--path={three_logs}")
    assert (code, len(places)) == ((1, 0) if is_held else (2, 2))
    assert Run.objects.get().state == ("running" if is_held else "done")
    if is_held:
        # It was not disturbed.
        assert len(list(first)) == 2
        assert {incident.found for incident in Incident.objects.all()} == {1}
    else:
        with pytest.raises(ScanTakenOver):
            next(first)
        assert Run.objects.get().counts["found"] == 3


def test_a_scan_that_said_nothing_for_long_is_gone_on_with(three_logs):
    first = started(three_logs, host="elsewhere")
    Run.objects.update(updated_at=Run.objects.get().updated_at - leases.LEASE)
    assert scan(f"--path={three_logs}")[2]["resumed"] is True
    with pytest.raises(ScanTakenOver):
        next(first)


def test_of_two_that_begin_at_once_none_counts_what_the_other_does(three_logs):
    def begin_too(instance, *, created, **_):
        if created and instance.position["owner"]["host"] != "elsewhere":
            Run.objects.create(operation="scan", position=instance.position | {"owner": {"host": "elsewhere"}})

    post_save.connect(begin_too, sender=Run)
    try:
        code, places, _ = scan(f"--path={three_logs}")
    finally:
        post_save.disconnect(begin_too, sender=Run)
    assert (code, places) == (1, [])
    assert not Incident.objects.exists()


def test_a_restart_ends_the_scan_that_runs(three_logs):
    first = started(three_logs, host="elsewhere")
    code, places, _ = scan(f"--path={three_logs}", "--restart")
    assert (code, len(places)) == (2, 3)
    with pytest.raises(ScanTakenOver):
        next(first)
    assert {incident.found for incident in Incident.objects.all()} == {1}
    assert list(Run.objects.order_by("pk").values_list("state", flat=True)) == ["failed", "done"]


def test_a_scan_of_the_database_and_one_of_files_run_side_by_side(three_logs):
    first = started(three_logs, host="elsewhere")
    assert scan("--database", "--exclude=vault_*")[0] == 0
    assert len(list(first)) == 2


def test_a_slow_scan_says_that_it_is_alive(three_logs, monkeypatch):
    work = Scan(database=False, paths=[str(three_logs)], excluded=[], writes=True)
    pages = work.sightings()
    next(pages)
    Run.objects.update(updated_at=Run.objects.get().updated_at - leases.LEASE)
    naps = []
    monkeypatch.setattr("time.sleep", naps.append)
    work.rest(150)
    assert naps == [60, 60, 30]
    assert leases.timezone.now() - Run.objects.get().updated_at < leases.LEASE
    pages.close()
