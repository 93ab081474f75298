import gzip
import io
import json
import random
import runpy
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from tests.factories import make_card, make_user
from tests.trail import APPLICATION, Trail, decrypt_record
from tests.wire import Wire
from vault import policy, services
from vault.audit import warrants as warranting
from vault.backend import current_vault
from vault.exceptions import AuditUnavailable, CardErased, DetokenizationDenied, TokenNotFound, VaultUnavailable
from vault.models import AuditEvent, Card
from vault.reconciliation import matching
from vault.reconciliation.matching import Keys, Reason, Reconciliation, Warrant
from vault.reconciliation.trail import MalformedTrail, UnreadableTrail, read_decryptions
from vault.tokens import Token

pytestmark = pytest.mark.django_db
PURPOSE = "refund: charged twice"
THIEF = "arn:aws:iam::000000000000:user/mallory"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
CARD_KEY = "arn:aws:kms:eu-central-1:000000000000:key/mrk-card"
KEYS = Keys(
    table="vault-test",
    arns=frozenset(
        {
            CARD_KEY,
            "arn:aws:kms:eu-central-1:000000000000:key/fingerprint",
        }
    ),
)


@pytest.fixture
def reader():
    return make_user("fraud", "vault.detokenize_pan")


@pytest.fixture
def tokens(trail, canary):
    return [make_card(canary(f"stored card {number}")).token for number in range(3)]


@pytest.fixture
def token(tokens):
    return tokens[0]


def read(token, reader):
    return services.detokenize(token, actor=reader, purpose=PURPOSE)


def steal(trail, token):
    """Read a card with the script of docs/, which knows nothing of the application."""
    vault = current_vault()
    session = boto3.session.Session(botocore_session=vault.session.botocore)
    trail.principal = THIEF
    script = runpy.run_path("docs/decrypt_item.py")
    script["read_card"](session, table=vault.config.TABLE, key=vault.config.CARD_KEY, token=token)
    trail.principal = APPLICATION


def reconcile(trail, folder, *options, **written):
    """The code that the command ends with, and what it said."""
    out = io.StringIO()
    try:
        call_command(
            "vault_reconcile", "--format=json", f"--cloudtrail={trail.write(folder, **written)}", *options, stdout=out
        )
    except CommandError as error:
        return error.returncode, json.loads(out.getvalue() or "null")
    return 0, json.loads(out.getvalue())


# --- What went over the wire ----------------------------------------------------------------------------------------


def test_what_the_application_does_is_accounted_for(trail, tokens, reader, tmp_path):
    for token in tokens:
        read(token, reader)
    services.detokenize_many(tokens, actor=reader, purpose=PURPOSE)
    call_command("vault_check", stdout=io.StringIO())
    # The fingerprint key for this process and for the check, three cards twice, and the card of the check.
    assert reconcile(trail, tmp_path) == (
        0,
        {"records": 9, "opened": 9, "audited": 9, "failed": [], "findings": []},
    )


def test_the_context_on_the_wire_names_token_and_table(trail, token, reader):
    read(token, reader)
    contexts = [record["requestParameters"]["encryptionContext"] for record in trail.records]
    assert contexts == [
        {"purpose": "fingerprint", "table": "vault-test", "version": "1"},
        {
            "*aws-kms-table*": "vault-test",
            "token": token,
            "*amzn-ddb-env-alg*": "AES/256",
            "*amzn-ddb-sig-alg*": "HmacSHA256/256",
        },
    ]


def test_a_card_read_round_the_application_is_reported(trail, token, tmp_path):
    steal(trail, token)
    code, report = reconcile(trail, tmp_path)
    (found,) = report["findings"]
    assert code == 2
    assert (found["principal"], found["source"], found["token"]) == (THIEF, "192.0.2.7", token)
    assert (found["reason"], found["event"]) == ("unaudited", trail.records[-1]["eventID"])


def test_beside_an_audited_read_of_the_same_card_it_is_reported_too(trail, token, reader, tmp_path):
    read(token, reader)
    steal(trail, token)
    code, report = reconcile(trail, tmp_path)
    assert code == 2
    (found,) = report["findings"]
    assert (found["token"], found["reason"]) == (token, "unaudited")
    # Two in one second, and one of them audited: which of the two CloudTrail does not tell.
    assert {found["principal"], *found["others"]} == {APPLICATION, THIEF}
    assert report["audited"] == 2  # the fingerprint key and one of the two


def test_a_read_of_another_card_accounts_for_nothing(trail, tokens, reader, tmp_path):
    read(tokens[0], reader)
    trail.records.pop()
    steal(trail, tokens[1])
    code, report = reconcile(trail, tmp_path)
    assert code == 2
    assert [found["token"] for found in report["findings"]] == [tokens[1]]


def test_reused_data_keys_are_accounted_for_and_stolen_ones_are_not(settings, canary, reader, tmp_path):
    settings.VAULT = settings.VAULT | {"MATERIALS": "reused"}
    trail = Trail(current_vault())
    token = make_card(canary("stored card")).token
    read(token, reader)
    read(token, reader)
    assert [record["requestParameters"]["encryptionContext"] for record in trail.records[1:]] == [
        {"*aws-kms-table*": "vault-test", "vault-reused-data-key": "1"}
    ]
    assert reconcile(trail, tmp_path)[0] == 0
    steal(trail, token)
    code, report = reconcile(trail, tmp_path)
    assert code == 2
    (found,) = report["findings"]
    assert found["token"] == "no token"
    assert {found["principal"], *found["others"]} == {APPLICATION, THIEF}


@pytest.mark.parametrize("context", [{}, {"*aws-kms-table*": "another"}, {"*aws-kms-table*": "vault-test"}])
def test_what_the_application_never_sends_under_the_card_key_is_reported(trail, token, tmp_path, context):
    kms = current_vault().session.kms()
    key = current_vault().config.CARD_KEY
    blob = kms.generate_data_key(KeyId=key, NumberOfBytes=32, EncryptionContext=context)["CiphertextBlob"]
    kms.decrypt(KeyId=key, CiphertextBlob=blob, EncryptionContext=context)
    code, report = reconcile(trail, tmp_path)
    assert code == 2
    assert [(found["token"], found["reason"]) for found in report["findings"]] == [("no token", "foreign_context")]


def test_a_refused_read_accounts_for_nothing(trail, token, tmp_path):
    with pytest.raises(DetokenizationDenied):
        read(token, make_user("nobody"))
    steal(trail, token)
    assert reconcile(trail, tmp_path)[0] == 2


def test_a_read_that_ended_before_kms_was_asked_accounts_for_nothing(trail, token, reader, tmp_path):
    for change, error in (({"status": "erased"}, CardErased), (None, TokenNotFound)):
        cards = Card.objects.filter(token=token)
        cards.update(**change) if change else cards.delete()
        with pytest.raises(error):
            read(token, reader)
    steal(trail, token)
    assert reconcile(trail, tmp_path)[0] == 2


def test_an_attempt_that_failed_opened_nothing_and_is_counted_apart(trail, wire, token, reader, tmp_path):
    wire.fail("Decrypt", "ThrottlingException", times=1)
    read(token, reader)
    code, report = reconcile(trail, tmp_path)
    assert code == 0
    assert report["failed"] == [{"error": "ThrottlingException", "principal": APPLICATION, "count": 1}]


def test_an_answer_that_was_lost_looks_like_a_second_decryption(trail, token, reader, tmp_path):
    """KMS opened twice and the audit log has one read: that it was boto3 asking again nobody can see in CloudTrail."""
    read(token, reader)
    trail.records.append(trail.records[-1] | {"eventID": "another", "requestID": "another"})
    code, report = reconcile(trail, tmp_path)
    assert (code, [found["token"] for found in report["findings"]]) == (2, [token])


def test_a_read_that_failed_after_kms_was_asked_accounts_for_it(trail, wire, token, reader, tmp_path):
    wire.interrupt("Decrypt")
    with pytest.raises(VaultUnavailable):
        read(token, reader)
    code, report = reconcile(trail, tmp_path)
    assert (code, report["audited"]) == (0, 2)


# --- Unwrapping is audited, or is not done ---------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["fingerprint_key.unwrap", "data_key.unwrap"])
def test_without_an_audit_log_nothing_is_unwrapped(settings, canary, reader, monkeypatch, operation):
    settings.VAULT = settings.VAULT | {"MATERIALS": "reused"}
    wire = Wire(current_vault())
    save = AuditEvent.save
    token = make_card(canary("stored card")).token if operation == matching.DATA_KEY else None
    calls = wire.calls["Decrypt"]

    def refuse(event, **options):
        if event.operation == operation:
            raise DatabaseError
        save(event, **options)

    monkeypatch.setattr(AuditEvent, "save", refuse)
    with pytest.raises(AuditUnavailable):
        read(token, reader) if token else make_card(canary("new card"))
    assert wire.calls["Decrypt"] == calls


def test_the_intent_is_there_when_kms_is_asked(vault, canary, reader):
    seen = []
    events = vault.session.botocore.get_component("event_emitter")
    events.register_first("before-send.kms.Decrypt", lambda **_: seen.append(AuditEvent.objects.first()) and None)
    read(make_card(canary("stored card")).token, reader)
    call_command("vault_check", stdout=io.StringIO())
    assert [(event.operation, event.outcome) for event in seen] == [
        (operation, "intent")
        for operation in ("fingerprint_key.unwrap", "detokenize", "fingerprint_key.unwrap", "check")
    ]


def test_reads_are_called_what_the_policy_calls_them():
    assert policy.DETOKENIZE in warranting.CARD_OPERATIONS


# --- The command ----------------------------------------------------------------------------------------------------


def test_the_table_says_who_what_and_why(trail, token, tmp_path, capsys):
    steal(trail, token)
    with pytest.raises(CommandError, match="round the application") as ended:
        call_command("vault_reconcile", "--cloudtrail", trail.write(tmp_path))
    line, total = capsys.readouterr().out.splitlines()[-2:]
    assert ended.value.returncode == 2
    for part in (THIEF, "192.0.2.7", token, trail.records[-1]["eventID"], Reason.UNAUDITED.sentence):
        assert part in line
    assert total == "2 decryptions in the trail, 2 of this vault: 1 audited, 1 not."


def test_looking_is_recorded_and_a_finding_alarms_once(settings, trail, tokens, tmp_path):
    settings.VAULT = settings.VAULT | {"ALARM_EMAILS": ["security@example.com"]}
    vault_trail = Trail(current_vault())
    for token in tokens:
        steal(vault_trail, token)
    assert reconcile(vault_trail, tmp_path)[0] == 2
    looked, alarm = AuditEvent.objects.filter(subject="vault_reconcile").order_by("pk")
    assert (looked.operation, looked.is_alarm) == ("audit.read", False)
    assert (alarm.operation, alarm.is_alarm, alarm.details) == ("reconcile.bypass", True, {"count": 3})
    assert len(mail.outbox) == 1


def test_without_a_finding_nothing_alarms(trail, token, reader, tmp_path):
    read(token, reader)
    assert reconcile(trail, tmp_path)[0] == 0
    assert not AuditEvent.objects.filter(is_alarm=True).exists()


def test_files_plain_zipped_and_from_standard_input_are_one_trail(trail, tokens, reader, tmp_path, monkeypatch):
    for token in tokens:
        read(token, reader)
    one, two, three = ([record] for record in trail.records[-3:])
    stdin = io.BytesIO(trail.write(tmp_path, records=one, zipped=True).read_bytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stdin))
    files = ["-", trail.write(tmp_path, records=two), trail.write(tmp_path, records=three, zipped=True)]
    # A record that is delivered twice is one.
    out = io.StringIO()
    call_command("vault_reconcile", "--cloudtrail", *files, "--cloudtrail", files[-1], "--format=json", stdout=out)
    assert json.loads(out.getvalue()) == {"records": 4, "opened": 3, "audited": 3, "failed": [], "findings": []}


def test_outside_the_window_a_read_accounts_for_nothing(trail, token, reader, tmp_path):
    read(token, reader)
    late = datetime.now(UTC) + timedelta(seconds=90)
    trail.records[-1]["eventTime"] = late.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert reconcile(trail, tmp_path)[0] == 0
    assert reconcile(trail, tmp_path, "--window=60")[0] == 2


def test_other_services_operations_and_tables_are_passed_over(trail, tmp_path):
    context = {"*aws-kms-table*": "another", "token": Token.generate().text}
    foreign = decrypt_record(context, key="arn:aws:kms:eu-central-1:000000000000:key/other")
    records = [
        {"eventSource": "s3.amazonaws.com", "eventName": "GetObject"},
        decrypt_record({"*aws-kms-table*": "vault-test"}, eventName="GenerateDataKey"),
        foreign,
    ]
    assert reconcile(trail, tmp_path, records=records) == (
        0,
        {"records": 1, "opened": 0, "audited": 0, "failed": [], "findings": []},
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'{"Records": [',
        b'{"Records": [{}',
        b'{"Records": [1]}',
        b'{"Records": [{}]} {}',
        b'{"Records": [{"eventSource": "kms.amazonaws.com", "eventName": "Decrypt"}]}',
        b'{"Records": [{"a": ' + b"[" * 100_000 + b"]}",
    ],
    ids=range(10),
)
def test_what_is_no_trail_is_refused(tmp_path, body):
    path = tmp_path / "trail.json"
    path.write_bytes(body)
    with pytest.raises(CommandError, match="This is no CloudTrail log file") as ended:
        call_command("vault_reconcile", f"--cloudtrail={path}")
    assert ended.value.returncode == 1


def test_what_cannot_be_read_or_is_cut_off_is_refused(trail, token, tmp_path):
    whole = gzip.compress(b'{"Records": []}')
    for name, body in (("cut.gz", whole[:-9]), ("bad.gz", whole[:10] + b"\xff" * 9)):
        (tmp_path / name).write_bytes(body)
    for name in ("missing", "cut.gz", "bad.gz", ""):
        with pytest.raises(CommandError, match="cannot be read") as ended:
            call_command("vault_reconcile", f"--cloudtrail={tmp_path / name}")
        assert ended.value.returncode == 1


@pytest.mark.parametrize("broken", ["save", "read", "kms", "window"])
def test_what_cannot_be_found_out_is_neither_yes_nor_no(trail, wire, token, tmp_path, monkeypatch, broken):
    def fail(*_, **__):
        raise DatabaseError

    steal(trail, token)
    if broken == "save":
        monkeypatch.setattr(AuditEvent, "save", fail)
    elif broken == "read":
        monkeypatch.setattr("django.db.models.query.QuerySet.values", fail)
    elif broken == "kms":
        wire.fail("DescribeKey", "AccessDeniedException")
    options = ["--window=0"] if broken == "window" else []
    assert reconcile(trail, tmp_path, *options) == (1, None)


# --- Matching -------------------------------------------------------------------------------------------------------

TOKENS = [f"tok1_00000000-0000-4000-8000-00000000000{number}" for number in range(2)]


def settled(decryptions, warrants, *, window=60):
    """The ids of what is left over; both are given as seconds after noon, warrants in any order."""
    reconciliation = Reconciliation(KEYS, window=timedelta(seconds=window))
    for name, (second, number) in decryptions.items():
        context = {"*aws-kms-table*": "vault-test", "token": TOKENS[number]}
        record = decrypt_record(context, time=NOON + timedelta(seconds=second), eventID=name)
        body = io.BytesIO(json.dumps({"Records": [record]}).encode())
        reconciliation.add(*read_decryptions(body))
    given = [Warrant(NOON + timedelta(seconds=second), TOKENS[number]) for second, number in warrants]
    return [finding.opening.event_id for finding in reconciliation.settle(sorted(given, reverse=True))]


@pytest.mark.parametrize(
    ("decryptions", "warrants", "left"),
    [
        ({"a": (0, 0)}, [(0, 0)], []),
        ({"a": (0, 0)}, [(0.9, 0)], []),
        ({"a": (60, 0)}, [(0, 0)], []),
        ({"a": (61, 0)}, [(0, 0)], ["a"]),
        ({"a": (0, 0)}, [(2.5, 0)], []),
        ({"a": (0, 0)}, [(3, 0)], ["a"]),
        ({"a": (0, 0)}, [(0, 1)], ["a"]),
        ({"a": (0, 0), "b": (1, 0)}, [(0, 0)], ["a"]),
        ({"a": (0, 0), "b": (1, 0)}, [(0, 0), (0, 0)], []),
        ({"a": (0, 0), "b": (100, 0)}, [(90, 0)], ["a"]),
        # Taking the nearest would leave one: the second read reaches both, the first only one.
        ({"a": (55, 0), "b": (70, 0)}, [(0, 0), (50, 0)], []),
        ({"a": (0, 0), "b": (0, 1)}, [(0, 1), (0, 0)], []),
    ],
)
def test_one_operation_accounts_for_one_decryption(decryptions, warrants, left):
    assert settled(decryptions, warrants) == left


def test_no_pairing_leaves_fewer():
    """Against the largest matching, found the slow way."""
    source = random.Random(7)  # noqa: S311 - examples
    for _ in range(300):
        openings = [source.randrange(200) for _ in range(source.randrange(8))]
        reads = [source.uniform(0, 200) for _ in range(source.randrange(8))]
        left = settled({str(n): (time, 0) for n, time in enumerate(openings)}, [(time, 0) for time in reads])
        assert len(left) == len(openings) - largest_matching(openings, reads)


def largest_matching(openings, reads, window=60):
    partner = {}

    def place(opening, tried):
        for number, time in enumerate(reads):
            if number not in tried and int(time) - 2 <= openings[opening] <= time + window:
                tried.add(number)
                if number not in partner or place(partner[number], tried):
                    partner[number] = opening
                    return True
        return False

    return sum(place(opening, set()) for opening in range(len(openings)))


def added(record):
    reconciliation = Reconciliation(KEYS, window=timedelta(seconds=60))
    reconciliation.add(*read_decryptions(io.BytesIO(json.dumps({"Records": [record]}).encode())))
    return reconciliation


def test_moving_a_data_key_under_another_key_is_reported():
    context = {"*aws-kms-table*": "vault-test", "token": TOKENS[0]}
    record = decrypt_record({}, eventName="ReEncrypt", requestParameters={"sourceEncryptionContext": context})
    (finding,) = added(record).settle([Warrant(datetime.now(UTC), TOKENS[0])])
    assert (finding.reason, finding.opening.token) == (Reason.RE_ENCRYPTED, TOKENS[0])


def test_a_key_copied_to_another_region_is_the_same_key():
    record = decrypt_record({}, key=CARD_KEY.replace("central", "west"))
    assert [finding.reason for finding in added(record).settle([])] == [Reason.FOREIGN_CONTEXT]


def test_one_call_recorded_in_two_accounts_is_one():
    records = [decrypt_record({}, key=CARD_KEY, sharedEventID="shared") for _ in range(2)]
    reconciliation = Reconciliation(KEYS, window=timedelta(seconds=60))
    for decryption in read_decryptions(io.BytesIO(json.dumps({"Records": records}).encode())):
        reconciliation.add(decryption)
    assert len(reconciliation.settle([])) == 1


def test_a_denied_attempt_is_known_by_the_key_in_its_sentence():
    ours = added(decrypt_record(None, key=CARD_KEY, error="AccessDenied", principal=THIEF))
    other = added(decrypt_record(None, key="arn:aws:kms:eu-central-1:000000000000:key/other", error="AccessDenied"))
    assert ours.failed == {("AccessDenied", THIEF): 1}
    assert not other.failed


@pytest.mark.parametrize("value", ["anything", "tok1_", TOKENS[0] + "x"])
def test_what_is_no_token_is_not_repeated(value):
    record = decrypt_record({"*aws-kms-table*": "vault-test", "token": value})
    (finding,) = added(record).settle([])
    assert (finding.opening.token, finding.reason) == ("", Reason.FOREIGN_CONTEXT)


def test_records_are_found_across_chunks(monkeypatch):
    monkeypatch.setattr("vault.reconciliation.trail._CHUNK", 7)
    records = [decrypt_record({"name": "ünï}]"}) for _ in range(3)]
    body = json.dumps({"Records": records}, ensure_ascii=False, indent=1).encode()
    for stream in (io.BytesIO(body), io.BytesIO(gzip.compress(body))):
        assert [each.event_id for each in read_decryptions(stream)] == [each["eventID"] for each in records]


def test_what_never_ends_is_not_collected(monkeypatch):
    monkeypatch.setattr("vault.reconciliation.trail._LONGEST_RECORD", 100)
    monkeypatch.setattr("vault.reconciliation.trail._CHUNK", 100)
    endless = SimpleNamespace(read=lambda size: b'{"Records": [{"a": "'[:size] if size == 2 else b"x" * size)
    with pytest.raises(MalformedTrail):
        list(read_decryptions(endless))


def test_a_pipe_that_breaks_is_unreadable():
    def read(size):
        raise BrokenPipeError

    with pytest.raises(UnreadableTrail):
        list(read_decryptions(SimpleNamespace(read=read)))


# --- Reading the audit log -------------------------------------------------------------------------------------------


def test_the_log_is_read_by_pages_of_any_size(trail, tokens, reader, monkeypatch):
    services.detokenize_many(tokens, actor=reader, purpose=PURPOSE)
    for token in tokens:
        read(token, reader)
        with pytest.raises(DetokenizationDenied):
            services.detokenize(token, actor=None, purpose=PURPOSE)
    span = AuditEvent.objects.earliest("time").time, AuditEvent.objects.latest("time").time
    found = []
    for size in (1, 2, 1_000):
        monkeypatch.setattr(warranting, "_PAGE", size)
        found.append(list(warranting.warrants(*span)))
    assert found[0] == found[1] == found[2]
    accounts = [warrant.account for warrant in found[0]]
    assert accounts == [*reversed(tokens), *tokens, matching.FINGERPRINT_KEY]
    assert [warrant.time for warrant in found[0]] == sorted((warrant.time for warrant in found[0]), reverse=True)
