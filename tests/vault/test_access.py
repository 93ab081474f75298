import io
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.utils import timezone
from knox.models import AuthToken

from tests.factories import make_card, make_user
from vault import access, policy, services
from vault.audit import Process, acting_for, record
from vault.exceptions import DetokenizationDenied, Refusal
from vault.keypolicy import key_users
from vault.models import AuditEvent, RevealRequest
from vault.pan import PAN
from vault.policy import Right
from vault.tokens import Token

pytestmark = pytest.mark.django_db
ROOT = "arn:aws:iam::000000000000:root"
APP = "arn:aws:iam::000000000000:role/billing"
READ = "vault.detokenize_pan"
UNATTENDED = "vault.detokenize_unattended"


@pytest.fixture
def pan(canary):
    return PAN(canary("stored card"))


@pytest.fixture
def card(pan):
    return make_card(pan.expose())


def configure(settings, **values):
    settings.VAULT = settings.VAULT | values


def in_group(name, user):
    Group.objects.get_or_create(name=name)[0].user_set.add(user)
    return user


def request_for(card, requester, *, purpose="refund", state="approved", hours=1, **fields):
    expires = timezone.now() + timedelta(hours=hours)
    return RevealRequest.objects.create(
        card=card,
        requester=requester,
        purpose=purpose,
        state=state,
        reason="test",
        ticket="T-1",
        expires_at=expires,
        **fields,
    )


def whocan(token, *options):
    out = io.StringIO()
    call_command("vault_whocan", str(token), *options, stdout=out)
    return out.getvalue()


def report_of(token):
    return json.loads(whocan(token, "--format=json"))


# --- One policy, no second opinion ----------------------------------------------------------------------------------


def spent(user):
    for _ in range(2):
        record("detokenize", actor=user, outcome="intent", cards=1)
    return user


def half_spent(user):
    record("detokenize", actor=user, outcome="intent", cards=1)
    return user


def locked(user):
    record(policy.LOCK, subject=str(user.pk))
    return user


def unlocked(user):
    record(policy.UNLOCK, subject=str(locked(user).pk))
    return user


def requesting(user, card, **fields):
    request_for(card, user, **fields)
    return user


USERS = {
    "customer": lambda name, card: make_user(name),
    "other-rights": lambda name, card: make_user(name, "vault.search_pan", "vault.approve_reveal"),
    "direct": lambda name, card: make_user(name, READ),
    "group": lambda name, card: in_group("Fraud", make_user(name)),
    "both": lambda name, card: in_group("Fraud", make_user(name, READ)),
    "superuser": lambda name, card: make_user(name, is_superuser=True),
    "superuser-with-right": lambda name, card: make_user(name, READ, is_superuser=True),
    "inactive": lambda name, card: make_user(name, READ, is_active=False),
    "inactive-in-group": lambda name, card: in_group("Fraud", make_user(name, is_active=False)),
    "service": lambda name, card: make_user(name, READ, UNATTENDED),
    "staff-unattended": lambda name, card: make_user(name, READ, UNATTENDED, is_staff=True),
    "staff": lambda name, card: make_user(name, READ, is_staff=True),
    "staff-approved": lambda name, card: requesting(make_user(name, READ, is_staff=True), card),
    "staff-pending": lambda name, card: requesting(make_user(name, READ, is_staff=True), card, state="pending"),
    "staff-shown": lambda name, card: requesting(make_user(name, READ, is_staff=True), card, state="shown"),
    "staff-expired": lambda name, card: requesting(make_user(name, READ, is_staff=True), card, hours=-1),
    "staff-other-purpose": lambda name, card: requesting(make_user(name, READ, is_staff=True), card, purpose="gone"),
    "staff-without-right": lambda name, card: requesting(make_user(name, is_staff=True), card),
    "locked": lambda name, card: locked(make_user(name, READ, UNATTENDED)),
    "unlocked": lambda name, card: unlocked(make_user(name, READ)),
    "budget-left": lambda name, card: half_spent(make_user(name, READ)),
    "budget-spent": lambda name, card: spent(make_user(name, READ, UNATTENDED)),
    "budget-of-group": lambda name, card: in_group("Settlement", spent(make_user(name, READ))),
}

WORLDS = {
    "plain": {},
    "approval": {"REVEAL_APPROVAL": True},
    "grouped": {"PURPOSE_RULES": {name: {"groups": ["Fraud"]} for name in ("refund", "settlement")}},
    "one-for-all": {"PURPOSE_RULES": {"settlement": {"groups": ["Fraud"]}}, "REVEAL_APPROVAL": True},
    "from-one-network": {"PURPOSE_RULES": {name: {"networks": ["10.0.0.0/8"]} for name in ("refund", "settlement")}},
    "no-purposes": {"PURPOSES": []},
}
# Somebody who can, in each world in which anybody can.
CAN = {
    "plain": "staff",
    "approval": "staff-approved",
    "grouped": "both",
    "one-for-all": "service",
    "from-one-network": "group",
}


def can_read(user, card, pan):
    """Whether the door opens, with the approved request being shown as it is when it is used."""
    approved = RevealRequest.objects.filter(requester=user, state="approved", expires_at__gt=timezone.now()).first()
    if approved:
        approved.state = RevealRequest.State.OPENING
        approved.save()
    for purpose in ("refund", "settlement", "gone"):
        try:
            got = services.detokenize(card.token, actor=user, purpose=f"{purpose}: test", reveal=approved)
        except DetokenizationDenied:
            continue
        return got == pan
    return False


@pytest.mark.parametrize("name", WORLDS)
def test_able_are_exactly_those_for_whom_the_door_opens(settings, card, pan, name):
    configure(settings, READ_BUDGET=2, GROUP_BUDGETS={"Settlement": 5}, **WORLDS[name])
    users = {each: make(each, card) for each, make in USERS.items()}
    with acting_for(Process(source="10.0.0.1")):
        explained = access.explain(card)
        said = {reader.name for reader in explained.readers if reader.is_able}
        opened = {each for each, user in users.items() if can_read(user, card, pan)}
    assert said == opened
    assert CAN.get(name) in {None, *said}
    assert not said & {"customer", "superuser", "inactive", "locked", "budget-spent", "staff-without-right"}


def test_holders_are_those_to_whom_it_is_granted(card):
    users = [make(name, card) for name, make in USERS.items()]
    for right in Right:
        assert set(policy.holders(right)) == {user for user in users if policy.is_granted(user, right)}


# --- What is said of each -------------------------------------------------------------------------------------------


def test_of_a_reader_it_says_through_what_for_what_and_how_many(settings, card):
    rules = {"settlement": {"networks": ["10.0.0.0/8"], "hours": "06:00-22:00"}, "refund": {"groups": ["Nobody"]}}
    configure(settings, PURPOSE_RULES=rules, READ_BUDGET=9)
    user = half_spent(in_group("Fraud", make_user("ada", READ)))
    (reader,) = report_of(card.token)["readers"]
    assert reader == {
        "id": str(user.pk),
        "name": "ada",
        "through": ["directly", "Fraud"],
        "purposes": [{"name": "settlement", "networks": ["10.0.0.0/8"], "hours": "06:00-22:00"}],
        "budget": 9,
        "spent": 1,
        "obstacles": [],
        "by_break_glass": False,
        "approved": None,
        "api_tokens": None,
        "is_able": True,
    }
    assert "for: settlement (from 10.0.0.0/8, at 06:00-22:00)" in whocan(card.token)


@pytest.mark.parametrize(
    ("make", "refusal"),
    [
        ("locked", Refusal.LOCKED),
        ("budget-spent", Refusal.BUDGET),
        ("staff", Refusal.APPROVAL),
    ],
)
def test_who_cannot_now_is_told_why(settings, card, make, refusal):
    configure(settings, READ_BUDGET=2, REVEAL_APPROVAL=True)
    USERS[make]("ada", card)
    (reader,) = report_of(card.token)["readers"]
    assert (reader["is_able"], reader["obstacles"]) == (False, [refusal.value])
    assert f"but: {refusal.message}" in whocan(card.token)


def test_who_can_break_the_glass_can_read_it_now(settings, card):
    configure(settings, REVEAL_APPROVAL=True)
    USERS["staff"]("ada", card)
    USERS["direct"]("robot", card)
    said = {
        reader["name"]: (reader["is_able"], reader["by_break_glass"]) for reader in report_of(card.token)["readers"]
    }
    assert said == {"ada": (False, True), "robot": (False, False)}
    assert "by break-glass, which alarms:\n  ada" in whocan(card.token)
    configure(settings, BREAK_GLASS=False)
    assert not any(reader["by_break_glass"] for reader in report_of(card.token)["readers"])


def test_who_could_grant_it_to_themselves_is_listed_apart(card):
    make_user("root", is_superuser=True)
    make_user("editor", "auth.change_user", "auth.change_group", is_staff=True)
    make_user("without-admin", "auth.change_user")
    make_user("gone", is_superuser=True, is_active=False)
    make_user("reader", READ, is_superuser=True)
    granters = {each["name"]: each["by"] for each in report_of(card.token)["granters"]}
    assert granters == {"root": "superuser", "editor": "auth.change_group, auth.change_user"}


def test_requests_name_who_asked_who_approved_and_who_may(settings, card, canary):
    configure(settings, REVEAL_APPROVAL=True)
    asker = make_user("asker", READ, "vault.approve_reveal", is_staff=True)
    boss = make_user("boss", "vault.approve_reveal")
    request_for(card, asker, state="pending")
    request_for(card, asker, decider=boss)
    request_for(card, asker, state="refused", decider=boss)
    request_for(make_card(canary("another card")), asker)
    waiting, approved = report_of(card.token)["requests"]
    assert (waiting["requester"], waiting["approver"], waiting["may_approve"]) == ("asker", "", ["boss"])
    assert (approved["state"], approved["approver"]) == ("approved", "boss")
    screen = whocan(card.token)
    for part in ("waiting", "could approve: boss", "approved by boss"):
        assert part in screen


def test_live_api_tokens_are_counted(card):
    user = make_user("ada", READ)
    AuthToken.objects.create(user, expiry=timedelta(hours=-1))
    last = AuthToken.objects.create(user, expiry=timedelta(hours=2))[0]
    AuthToken.objects.create(user, expiry=timedelta(hours=1))
    (reader,) = report_of(card.token)["readers"]
    assert reader["api_tokens"] == {"count": 2, "latest": last.expiry.isoformat(timespec="seconds")}
    AuthToken.objects.create(user, expiry=None)
    assert "API tokens: 3, one of which never expires" in whocan(card.token)


def test_without_knox_nothing_is_said_of_tokens(card, monkeypatch):
    AuthToken.objects.create(make_user("ada", READ))
    monkeypatch.setattr("django.apps.apps.is_installed", lambda name: name != "knox")
    assert report_of(card.token)["readers"][0]["api_tokens"] is None


# --- AWS ------------------------------------------------------------------------------------------------------------


def test_the_policy_of_the_card_key_is_read(any_vault, card):
    explained = access.explain(card)
    assert [(user.principal.rpartition(":")[2], user.is_account) for user in explained.key_users] == [("root", True)]


def test_the_condition_of_the_key_policy_is_quoted(vault, card):
    kms = vault.session.kms()
    condition = {"StringEquals": {"kms:EncryptionContext:*aws-kms-table*": "vault-test"}}
    statement = {"Effect": "Allow", "Principal": {"AWS": APP}, "Action": "kms:Decrypt", "Resource": "*"}
    policy_text = json.dumps({"Version": "2012-10-17", "Statement": [statement | {"Condition": condition}]})
    key = vault.session.key_arn(vault.config.CARD_KEY)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy_text)
    assert f"{APP}, if {json.dumps(condition)}" in whocan(card.token)


@pytest.mark.parametrize("operation", ["DescribeKey", "GetKeyPolicy"])
def test_if_aws_refuses_the_rest_is_said(wire, card, capsys, operation):
    make_user("ada", READ)
    wire.fail(operation, "AccessDeniedException")
    with pytest.raises(CommandError, match="AWS did not say") as ended:
        call_command("vault_whocan", card.token)
    screen = capsys.readouterr().out
    assert ended.value.returncode == 1
    assert f"AWS refused to name the principals of the card key: {operation}: AccessDeniedException" in screen
    assert "directly" in screen


def statement(**fields):
    return {"Effect": "Allow", "Principal": {"AWS": APP}, "Action": "kms:Decrypt", "Resource": "*"} | fields


STATEMENTS = {
    "exact": (statement(), [(APP, False, True)]),
    "several": (statement(Principal={"AWS": [APP, ROOT]}), [(APP, False, True), (ROOT, True, True)]),
    "account-number": (statement(Principal={"AWS": "000000000000"}), [("000000000000", True, True)]),
    "wildcard": (statement(Action=["kms:Desc*", "KMS:De*"]), [(APP, False, True)]),
    "everything": (statement(Action="*"), [(APP, False, True)]),
    "re-encrypt": (statement(Action="kms:ReEncrypt*"), [(APP, False, True)]),
    "other": (statement(Action=["kms:DescribeKey", "kms:Decryp?x"]), []),
    "not-action": (statement(NotAction="kms:Delete*", Action=None), [(APP, False, True)]),
    "not-action-of-ours": (statement(NotAction="kms:*", Action=None), []),
    "anybody": (statement(Principal="*"), [("*", False, True)]),
    "service": (statement(Principal={"Service": "x.amazonaws.com"}), [("x.amazonaws.com", False, True)]),
    "denied": (statement(Effect="Deny"), [(APP, False, False)]),
    "everybody-else": (
        {"Effect": "Deny", "NotPrincipal": {"AWS": APP}, "Action": "kms:*"},
        [(f"everybody but {APP}", False, False)],
    ),
}


@pytest.mark.parametrize(("written", "found"), STATEMENTS.values(), ids=STATEMENTS)
def test_a_key_policy_says_who_opens(written, found):
    for statements in (written, [written]):
        users = key_users(json.dumps({"Statement": statements}))
        assert [(user.principal, user.is_account, user.is_allowed) for user in users] == found


# --- The command ----------------------------------------------------------------------------------------------------


def test_asking_is_recorded_and_opens_nothing(wire, card):
    calls = wire.calls["Decrypt"]
    whocan(card.token)
    event = AuditEvent.objects.get(operation="access.read")
    assert (event.token, event.subject) == (card.token, "vault_whocan")
    assert wire.calls["Decrypt"] == calls


def test_an_erased_card_is_nobodys(card):
    make_user("ada", READ)
    card.status = "erased"
    card.save()
    assert whocan(card.token).splitlines()[1:] == ["nobody: the card is no longer on file"]
    assert report_of(card.token)["readers"] == []


@pytest.mark.parametrize(
    ("token", "message"),
    [(Token.generate, "No card is stored under this token"), (lambda: "x", "The text is not a card token")],
    ids=["unknown", "malformed"],
)
def test_what_is_no_card_is_refused(token, message):
    with pytest.raises(CommandError, match=message) as ended:
        call_command("vault_whocan", str(token()))
    assert ended.value.returncode == 1


def test_without_an_audit_log_nothing_is_said(card, monkeypatch, capsys):
    def fail(*_, **__):
        raise DatabaseError

    monkeypatch.setattr(AuditEvent, "save", fail)
    with pytest.raises(CommandError, match="audit log could not be written"):
        call_command("vault_whocan", card.token)
    assert "Can read it" not in capsys.readouterr().out


def test_the_permission_of_another_app_is_none(card):
    other = Permission.objects.get(codename="view_order")
    Permission.objects.filter(pk=other.pk).update(codename="detokenize_pan")
    user = make_user("ada")
    user.user_permissions.add(other)
    assert report_of(card.token)["readers"] == []
