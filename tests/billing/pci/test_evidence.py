"""The evidence for an assessor: complete or not there, and honest about what is not in order."""

import hashlib
import json
import logging
import re
import subprocess
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import connections
from django.utils import timezone
from knox.models import AuthToken

from billing.pci import evidence, folder, system
from billing.pci.requirements import NOT_PROVEN, PROVEN_BY
from tests.billing.people import events, make_staff, outcomes
from tests.factories import make_authenticator, make_card, make_user
from vault.audit import record
from vault.audit.verification import seal
from vault.exceptions import AuditUnavailable, VaultSealed
from vault.models import Card, Run
from vault.proofs.cards import KEPT_TOO_LONG
from vault.proofs.trail import BROKEN

pytestmark = pytest.mark.django_db
TODAY = timezone.now().date()
DAYS = (f"--from={TODAY - timedelta(days=30)}", f"--to={TODAY}")


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr("vault.fsck.looks._PAUSE", 0)


def run(path, *days):
    """The code that the command ends with, and what it said: a report, or why there is none."""
    out = StringIO()
    try:
        call_command("pci_evidence", *(days or DAYS), str(path), "--format=json", stdout=out)
    except CommandError as error:
        return error.returncode, json.loads(out.getvalue()) if out.getvalue() else str(error)
    return 0, json.loads(out.getvalue())


def read(path, name="evidence.json"):
    return json.loads((path / name).read_text())


# --- What is written ------------------------------------------------------------------------------------------------


@pytest.fixture
def written(vault, tmp_path, canary):
    make_card(canary("card"))
    make_staff("sam", "vault.detokenize_pan")
    path = tmp_path / "evidence"
    code, _ = run(path)
    # A test installation is none for real cards, and says so.
    assert code == 1
    return path


def test_everything_is_in_the_index_and_the_index_is_in_the_audit_log(written):
    index = read(written)
    names = {path.name for path in written.iterdir()}
    assert names == {each["name"] for each in index["files"]} | {"evidence.json", "SHA256SUMS"}
    assert all((written / each["name"]).stat().st_size == each["size"] for each in index["files"])
    (event,) = events("evidence", outcome="done")
    digest = hashlib.sha256((written / "evidence.json").read_bytes()).hexdigest()
    assert event.details["index_sha256"] == digest
    assert f"{digest}  evidence.json\n" in (written / "SHA256SUMS").read_text()
    assert outcomes("evidence") == ["intent", "done"]


def test_the_sums_are_those_that_sha256sum_checks(written):
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=written, capture_output=True, check=False).returncode == 0
    (written / "keys.json").write_text("{}")
    assert subprocess.run(check, cwd=written, capture_output=True, check=False).returncode == 1


def test_only_its_owner_can_read_it(written):
    assert written.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in written.iterdir()} == {0o600}
    assert [path.name for path in written.parent.iterdir()] == ["evidence"]


def test_every_requirement_has_its_files_or_a_reason(written):
    listed = {each["requirement"]: each for each in read(written)["requirements"]}
    assert set(listed) == set(PROVEN_BY) | set(NOT_PROVEN)
    for each in listed.values():
        assert each["files"] or each["reason"]
        assert all((written / name).exists() for name in each["files"])
        assert bool(each["files"]) == (each["is_proven"] is not None)


def test_the_index_says_what_when_and_who(written):
    index = read(written)
    assert index["period"] == {"first": f"{TODAY - timedelta(days=30)}", "last": f"{TODAY}", "zone": "UTC"}
    assert index["made_by"]["actor"] == "process"
    assert index["product"]["version"] == "0.1.0"
    assert re.fullmatch("[0-9a-f]{40}|unknown", index["product"]["commit"])


def test_what_a_test_installation_lacks_is_named(written):
    findings = {each["name"]: each["findings"] for each in read(written)["files"] if each["findings"]}
    assert findings["environment.json"] == [system.CONFIGURED]
    assert findings["staff.json"] == [system.WITHOUT_FACTOR]
    rows = {each["setting"]: each["is_met"] for each in read(written, "environment.json")["settings"]}
    assert rows == {"VAULT.BACKEND": False, "DEBUG": True}
    unproven = {each["requirement"] for each in read(written)["requirements"] if each["is_proven"] is False}
    assert {"3.6.1.2-4", "8.3.6, 8.4, 8.5", "4.2.1"} <= unproven
    assert "3.2.1" not in unproven


def test_changes_of_rights_are_listed_with_before_and_after(vault, tmp_path):
    user = make_user("ada")
    user.user_permissions.add(Permission.objects.get(codename="detokenize_pan"))
    run(tmp_path / "evidence")
    rows = [json.loads(line) for line in (tmp_path / "evidence/rights.jsonl").read_text().splitlines()]
    (done,) = [row for row in rows if row["operation"] == "rights.change" and row["outcome"] == "done"]
    assert (done["subject"], done["details"]["added"]) == (f"user:{user.pk}", ["vault.detokenize_pan"])


def test_what_was_before_the_period_is_not_in_it(vault, tmp_path):
    make_user("ada").user_permissions.add(Permission.objects.get(codename="detokenize_pan"))
    earlier = (f"--from={TODAY - timedelta(days=60)}", f"--to={TODAY - timedelta(days=31)}")
    run(tmp_path / "evidence", *earlier)
    assert (tmp_path / "evidence/rights.jsonl").read_text() == ""
    assert read(tmp_path / "evidence", "audit.json")["events"] == []


@pytest.mark.either
@pytest.mark.parametrize("any_vault", ["moto"], indirect=True)
def test_an_installation_that_is_in_order_ends_with_0(any_vault, settings, tmp_path, canary):
    settings.VAULT = settings.VAULT | {
        "REVEAL_APPROVAL": True,
        "ALARM_EMAILS": ["security@shop.example"],
        "EMBEDDED_ALLOWED": False,
    }
    settings.MIDDLEWARE = ["vault.middleware.RefusePlainHTTPMiddleware", *settings.MIDDLEWARE]
    for name in ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "STAFF_MFA_REQUIRED"):
        setattr(settings, name, True)
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    settings.SECURE_HSTS_SECONDS = 63_072_000
    settings.SECRET_KEY = "x7" * 10 + "abcdefghijklmnopqrstuvwxyz-_!%&0123456789"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    # A model in tests.shop shows what the smallest use is warned of, and pytest listens to all loggers.
    settings.SURFACES = ["api", "admin"]
    settings.SILENCED_SYSTEM_CHECKS = ["vault.W101", "billing.W004"]
    make_card(canary("card"))
    make_authenticator(make_staff("sam"))
    for operation, position in {"fsck": {"opens": True}, "scan": {"plan": [True, [], []]}}.items():
        Run.objects.create(operation=operation, state="done", position=position)
    seal(any_vault.seals)
    assert run(tmp_path / "evidence") == (0, {**run_report(tmp_path), "findings": {}})
    assert all(each["is_proven"] is not False for each in read(tmp_path / "evidence")["requirements"])


def run_report(tmp_path):
    (event,) = events("evidence", outcome="done")
    return {"index_sha256": event.details["index_sha256"], "files": event.details["files"]}


# --- Findings -------------------------------------------------------------------------------------------------------


def test_a_card_that_is_kept_too_long_is_named_and_written_all_the_same(vault, tmp_path, canary):
    card = make_card(canary("card"))
    Card.objects.filter(token=card.token).update(retain_until=timezone.localdate() - timedelta(days=1))
    code, report = run(tmp_path / "evidence")
    assert (code, report["findings"]["retention.json"]) == (1, [KEPT_TOO_LONG])
    (row,) = [each for each in read(tmp_path / "evidence")["requirements"] if each["requirement"] == "3.2.1"]
    assert (row["is_proven"], row["findings"]) == (False, [KEPT_TOO_LONG])


def test_a_broken_log_is_named_and_written_all_the_same(vault, tmp_path, caplog):
    event = record("tokenize", cards=1)
    seal(vault.seals)
    with connections["audit"].cursor() as cursor:
        cursor.execute("UPDATE vault_auditevent SET cards = 7 WHERE id = %s", [event.pk])
    code, report = run(tmp_path / "evidence")
    assert (code, report["findings"]["audit.json"]) == (1, [BROKEN])
    assert read(tmp_path / "evidence", "audit.json")["verified"]["breaks"][0]["row"] == event.pk


def test_a_change_of_rights_that_nobody_can_read_any_more_is_named_and_the_rest_written(vault, tmp_path, caplog):
    if connections["audit"].vendor != "sqlite":
        pytest.skip("MySQL keeps nothing in a column but what its type can hold")
    edited, kept = record("rights.change", subject="user:1"), record("rights.change", subject="user:2")
    seal(vault.seals)
    with connections["audit"].cursor() as cursor:
        cursor.execute("UPDATE vault_auditevent SET actor = %s WHERE id = %s", [b"\xff", edited.pk])
    code, report = run(tmp_path / "evidence")
    assert (code, report["findings"]["audit.json"]) == (1, [BROKEN])
    lines = [json.loads(line) for line in (tmp_path / "evidence" / "rights.jsonl").read_text().splitlines()]
    assert lines[0] == {"row": edited.pk, "unreadable": True}
    assert [line["row"] for line in lines] == [edited.pk, kept.pk]


def test_staff_with_a_second_factor_are_no_finding():
    staff = make_staff("sam")
    make_staff("gone", is_active=False)
    assert system.staff().findings == (system.WITHOUT_FACTOR,)
    make_authenticator(staff)
    proof = system.staff()
    assert proof.findings == ()
    assert [(each["name"], each["second_factors"]) for each in proof.data["staff"]] == [
        ("gone", []),
        ("sam", ["totp"]),
    ]


def test_a_service_account_is_listed_with_its_rights_and_the_ends_of_its_tokens():
    shop = make_user("shop", "vault.tokenize_pan")
    AuthToken.objects.create(shop)
    proof = system.service_accounts()
    (account,) = proof.data["accounts"]
    assert (account["name"], [each["name"] for each in account["rights"]]) == ("shop", ["vault.tokenize_pan"])
    assert len(account["tokens"][0]["digest"]) < 12
    assert proof.findings == ()
    AuthToken.objects.create(shop, expiry=None)
    assert system.service_accounts().findings == (system.WITHOUT_END,)


@pytest.mark.parametrize(
    ("prove", "setting", "value"),
    [
        (system.environment, "DEBUG", True),
        (system.sign_in_rules, "STAFF_IDLE_SECONDS", 901),
        (system.sign_in_rules, "IDENTITY_FRESH_SECONDS", 3600),
        (system.sign_in_rules, "STAFF_MFA_REQUIRED", False),
        (system.sign_in_rules, "AUTH_PASSWORD_VALIDATORS", []),
        (system.transport, "SECURE_HSTS_SECONDS", 60),
    ],
)
def test_a_setting_that_is_not_met_is_named(settings, prove, setting, value):
    setattr(settings, setting, value)
    proof = prove()
    assert proof.findings == (system.CONFIGURED,)
    names = {"AUTH_PASSWORD_VALIDATORS": "length of passwords"}
    unmet = {each["setting"] for each in proof.data["settings"] if each["is_met"] is False}
    assert names.get(setting, setting) in unmet


@pytest.mark.parametrize(
    ("options", "is_met"),
    [
        ({}, False),
        ({"ssl": {"ca": "/ca.pem"}}, False),
        ({"ssl": {"ca": "/ca.pem"}, "ssl_mode": "PREFERRED"}, False),
        ({"ssl": {"ca": "/ca.pem"}, "ssl_mode": "VERIFY_IDENTITY"}, True),
    ],
)
def test_a_database_over_a_network_needs_tls(options, is_met):
    assert system._tls({"ENGINE": "django.db.backends.mysql", "OPTIONS": options})[1] is is_met


def test_a_database_of_another_kind_is_not_taken_for_a_file():
    assert system._tls({"ENGINE": "django.db.backends.postgresql", "OPTIONS": {}}) == ("not required", False)


def test_people_of_the_demo_are_in_the_checks():
    assert "billing.W006" not in {each["id"] for each in system.check_results().data["messages"]}
    User.objects.create(username="a", email="staff@example.com")
    proof = system.check_results()
    assert "billing.W006" in {each["id"] for each in proof.data["messages"]}
    assert proof.findings == (system.WARNED,)


def test_what_mysql_does_without_is_no_finding():
    assert not [each for each in system.check_results().data["messages"] if each["id"].startswith("models.")]


# --- What is refused, and what is left then -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        (("--from=2026-02-01", "--to=2026-01-31"), evidence.BACKWARD),
        (("--from=2026-01-01", f"--to={TODAY + timedelta(days=1)}"), evidence.IN_FUTURE),
        (("--from=2026-02-30", "--to=2026-03-01"), "--from and --to take days, such as 2026-01-31."),
        (("--from=2026-01-01T10:00", "--to=2026-03-01"), "--from and --to take days, such as 2026-01-31."),
        (("--from=today", "--to=2026-03-01"), "--from and --to take days, such as 2026-01-31."),
    ],
)
def test_a_period_that_is_none_is_refused(tmp_path, days, sentence):
    assert run(tmp_path / "evidence", *days) == (2, sentence)
    assert list(tmp_path.iterdir()) == []
    assert outcomes("evidence") == []


def test_today_is_a_period(vault, tmp_path):
    assert run(tmp_path / "evidence", f"--from={TODAY}", f"--to={TODAY}")[0] == 1


def test_an_empty_folder_is_filled(vault, tmp_path):
    (tmp_path / "evidence").mkdir()
    assert run(tmp_path / "evidence")[0] == 1
    assert (tmp_path / "evidence/evidence.json").exists()


def occupied(path):
    path.mkdir()
    (path / "notes.txt").write_text("mine")


@pytest.mark.parametrize(
    "make",
    [occupied, lambda path: path.write_text("a file"), lambda path: path.symlink_to("/nowhere")],
    ids=["occupied", "file", "link"],
)
def test_nothing_is_written_over(vault, tmp_path, make):
    make(tmp_path / "evidence")
    before = sorted(tmp_path.rglob("*"))
    assert run(tmp_path / "evidence") == (2, folder.OCCUPIED)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be_written_is_said(vault):
    assert run("/proc/evidence") == (2, folder.UNWRITABLE)


@pytest.mark.parametrize("operation", ["Scan", "DescribeKey"])
def test_a_run_that_fails_leaves_nothing(vault, wire, tmp_path, operation, canary):
    make_card(canary("card"))
    wire.fail(operation, "AccessDeniedException")
    code, said = run(tmp_path / "evidence")
    assert (code, said) == (
        2,
        f"{VaultSealed().message} {operation}: AccessDeniedException",
    )
    assert list(tmp_path.iterdir()) == []
    assert outcomes("evidence") == ["intent", "failed"]


def test_without_an_audit_log_nothing_is_written(vault, tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("vault.audit"), "disabled", True)
    assert run(tmp_path / "evidence") == (2, AuditUnavailable().message)
    assert list(tmp_path.iterdir()) == []


def test_there_is_no_folder_of_that_name_before_all_is_written(tmp_path):
    path = tmp_path / "evidence"
    with folder.Folder(path) as made:
        made.add("keys.json", {})
        assert not path.exists()
        (draft,) = tmp_path.iterdir()
        assert draft.name.endswith(".partial")
        assert draft.stat().st_mode & 0o777 == 0o700
        made.sum_up()
    assert sorted(each.name for each in path.iterdir()) == ["SHA256SUMS", "keys.json"]


def test_of_two_at_once_the_second_fails(tmp_path):
    first, second = folder.Folder(tmp_path / "evidence"), folder.Folder(tmp_path / "evidence")
    with first as made:
        second.__enter__()
        made.sum_up()
    with pytest.raises(folder.FolderUnusable):
        second.__exit__(None, None, None)
    assert [each.name for each in tmp_path.iterdir()] == ["evidence"]


def test_arguments_that_are_not_understood_end_with_2(capsys):
    command = load_command_class(get_commands()["pci_evidence"], "pci_evidence")
    with pytest.raises(SystemExit) as ended:
        command.run_from_argv(["manage.py", "pci_evidence", "--since=2026-01-01"])
    assert ended.value.code == 2


# --- Which code ran -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_the_commit_of_a_checkout(tmp_path, settings, packed):
    settings.BASE_DIR, settings.SOURCE_COMMIT = tmp_path, ""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", str(tmp_path)]
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message=One"], check=True)
    if packed:
        subprocess.run([*git, "pack-refs", "--all"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert evidence.commit() == head
    subprocess.run([*git, "worktree", "add", "--quiet", str(tmp_path / "tree")], check=True, capture_output=True)
    settings.BASE_DIR = tmp_path / "tree"
    assert evidence.commit() == head


def test_the_commit_of_an_image(tmp_path, settings):
    settings.BASE_DIR, settings.SOURCE_COMMIT = tmp_path, "a" * 40
    assert evidence.commit() == "a" * 40
    settings.SOURCE_COMMIT = "latest"
    assert evidence.commit() == "unknown"
