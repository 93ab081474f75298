import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import CommandError, call_command
from moto import mock_aws

from tests.vaults import SETTINGS, provision
from tests.wire import Wire
from vault.backend import Vault, current_vault
from vault.conf import VaultConfig
from vault.exceptions import VaultSealed
from vault.provisioning import Action, ForeignTable, KeyMissing, KeyUnusable, Principals

pytestmark = pytest.mark.django_db
ADMIN, APP = "arn:aws:iam::123456789012:role/admin", "arn:aws:iam::123456789012:role/app"


@pytest.fixture(params=["embedded", "moto"])
def empty_vault(request, settings, tmp_path, monkeypatch):
    """A vault in an account in which nothing was made yet."""
    if request.param == "embedded":
        settings.VAULT = SETTINGS | {"BACKEND": "embedded", "EMBEDDED_DIR": str(tmp_path / "empty")}
        yield current_vault()
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setitem(os.environ, name, "testing")
    with mock_aws():
        settings.VAULT = SETTINGS | {"BACKEND": "aws"}
        yield current_vault()


def actions(changes):
    return {change.action for change in changes}


def test_everything_is_created_and_then_left_alone(empty_vault):
    assert Action.CREATED in actions(provision(empty_vault))
    secret = empty_vault.fingerprint_keys.load()
    assert actions(provision(empty_vault)) == {Action.UNCHANGED}
    assert empty_vault.fingerprint_keys.load() == secret


def test_a_dry_run_says_what_would_be_done_and_does_nothing(empty_vault):
    changes = provision(empty_vault, dry_run=True)
    assert [change.resource for change in changes if change.action is Action.CREATED] == [
        "alias/test-card", "alias/test-fingerprint", "alias/test-audit",
        "alias/test-certificate", "vault-test", "vault-test",
    ]  # fmt: skip
    assert empty_vault.session.dynamodb().list_tables()["TableNames"] == []
    with pytest.raises(VaultSealed):
        empty_vault.session.require_key("alias/test-card")


def test_the_table_is_as_it_should_be(empty_vault):
    provision(empty_vault)
    dynamodb, name = empty_vault.session.dynamodb(), empty_vault.config.TABLE
    table = dynamodb.describe_table(TableName=name)["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSEDescription"]["SSEType"] == "KMS"
    assert table["DeletionProtectionEnabled"] is True
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_the_keys_rotate_and_are_two(empty_vault):
    provision(empty_vault)
    kms = empty_vault.session.kms()
    ids = [
        kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"] for name in ("alias/test-card", "alias/test-fingerprint")
    ]
    assert len(set(ids)) == 2
    assert all(kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] for key in ids)


JOBS = ("card", "fingerprint", "audit", "certificate")


def tags_of(vault, name):
    kms = vault.session.kms()
    key = kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"]
    return {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=key)["Tags"]}


def test_each_key_says_what_it_is_for(empty_vault):
    provision(empty_vault)
    found = [tags_of(empty_vault, f"alias/test-{job}") for job in JOBS]
    assert found == [{"vault-table": "vault-test", "vault-key": job} for job in JOBS]


@pytest.mark.parametrize(
    "tags", [{}, {"vault-table": "vault-test"}, {"vault-table": "vault-test", "vault-key": "audit"}]
)
def test_a_key_that_does_not_say_so_is_told_to(empty_vault, tags):
    """A key of before, and one that says something else; what else it says stays."""
    given = [{"TagKey": name, "TagValue": value} for name, value in ({"team": "payments"} | tags).items()]
    kms = empty_vault.session.kms()
    key = kms.create_key(Tags=given, KeyUsage="ENCRYPT_DECRYPT", KeySpec="SYMMETRIC_DEFAULT")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/test-card", TargetKeyId=key)
    provision(empty_vault, dry_run=True)
    assert tags_of(empty_vault, "alias/test-card") == {"team": "payments"} | tags
    changed = {each.detail for each in provision(empty_vault) if each.action is Action.CHANGED}
    assert "tagged with its table and its purpose" in changed
    wanted = {"team": "payments", "vault-table": "vault-test", "vault-key": "card"}
    assert tags_of(empty_vault, "alias/test-card") == wanted
    assert actions(provision(empty_vault)) == {Action.UNCHANGED}


def test_what_somebody_turned_off_is_turned_on_again(empty_vault):
    provision(empty_vault)
    dynamodb, name = empty_vault.session.dynamodb(), empty_vault.config.TABLE
    dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    dynamodb.update_continuous_backups(
        TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    changed = {change.detail for change in provision(empty_vault) if change.action is Action.CHANGED}
    assert changed == {"protected from deletion", "point-in-time recovery"}
    assert actions(provision(empty_vault)) == {Action.UNCHANGED}


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_table_of_another_schema_is_never_touched(empty_vault, dry_run):
    dynamodb, name = empty_vault.session.dynamodb(), empty_vault.config.TABLE
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    before = dynamodb.describe_table(TableName=name)["Table"]
    with pytest.raises(ForeignTable):
        provision(empty_vault, dry_run=dry_run)
    assert dynamodb.describe_table(TableName=name)["Table"] == before
    with pytest.raises(VaultSealed):
        empty_vault.session.require_key("alias/test-card")


@pytest.mark.parametrize("operation", ["CreateAlias", "EnableKeyRotation", "CreateTable", "UpdateContinuousBackups"])
def test_a_half_provisioned_account_is_completed(empty_vault, operation):
    wire = Wire(empty_vault)
    wire.fail(operation, "AccessDeniedException")
    with pytest.raises(VaultSealed):
        provision(empty_vault)
    wire.heal()
    provision(empty_vault)
    assert actions(provision(empty_vault)) == {Action.UNCHANGED}
    assert empty_vault.store.keep([]) == []


def test_runs_at_once_share_keys_table_and_secret(tmp_path):
    """On the embedded engine alone: moto answers two threads at once with half of each."""
    config = VaultConfig.from_settings(SETTINGS | {"BACKEND": "embedded", "EMBEDDED_DIR": str(tmp_path / "shared")})
    vaults = [Vault(config) for _ in range(4)]
    with ThreadPoolExecutor(len(vaults)) as pool:
        list(pool.map(provision, vaults))
    assert len({vault.fingerprint_keys.load() for vault in vaults}) == 1
    assert actions(provision(vaults[0])) == {Action.UNCHANGED}
    keys = [vault.session.kms().describe_key(KeyId=name)["KeyMetadata"]["KeyId"]
            for vault in vaults for name in ("alias/test-card", "alias/test-fingerprint")]  # fmt: skip
    assert len(set(keys)) == 2


def test_administration_and_use_are_different_principals(empty_vault):
    principals = Principals(administration=(ADMIN,), use=(APP,))
    provision(empty_vault, principals=principals)
    kms = empty_vault.session.kms()
    key = kms.describe_key(KeyId="alias/test-card")["KeyMetadata"]["KeyId"]
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    administration, use, look = policy["Statement"]
    assert administration["Principal"]["AWS"] == [ADMIN]
    assert not {"kms:Decrypt", "kms:GenerateDataKey", "kms:*"} & set(administration["Action"])
    assert use["Principal"]["AWS"] == look["Principal"]["AWS"] == [APP]
    assert use["Condition"] == {"StringEquals": {"kms:EncryptionContext:*aws-kms-table*": "vault-test"}}
    assert actions(provision(empty_vault, principals=principals)) == {Action.UNCHANGED}


def test_without_principals_a_policy_is_left_as_it_is(empty_vault):
    provision(empty_vault, principals=Principals(administration=(ADMIN,), use=(APP,)))
    kms = empty_vault.session.kms()
    key = kms.describe_key(KeyId="alias/test-card")["KeyMetadata"]["KeyId"]
    before = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    provision(empty_vault)
    assert kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"] == before


def test_a_disabled_key_is_told_and_not_replaced(empty_vault):
    provision(empty_vault)
    kms = empty_vault.session.kms()
    key = kms.describe_key(KeyId="alias/test-card")["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    with pytest.raises(KeyUnusable):
        provision(empty_vault)


def test_a_key_named_by_id_is_not_invented(settings, empty_vault):
    settings.VAULT = settings.VAULT | {"CARD_KEY": "0b0e7a5c-8f1d-4c3b-9a55-6f1e2d3c4b5a"}
    with pytest.raises(KeyMissing):
        provision(current_vault())


# --- The commands -----------------------------------------------------------------------------------------------


def test_the_command_prints_a_line_for_each_change(empty_vault, capsys):
    call_command("vault_provision", "--dry-run")
    assert "to create  alias/test-card" in capsys.readouterr().out
    call_command("vault_provision")
    assert "created    alias/test-card" in capsys.readouterr().out
    call_command("vault_provision")
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {"unchanged"}


def test_the_command_prints_json(empty_vault, capsys):
    call_command("vault_provision", "--format", "json")
    report = json.loads(capsys.readouterr().out)
    assert report["dry_run"] is False
    assert {"resource", "action", "detail"} == set(report["changes"][0])


def test_the_command_refuses_one_principal_for_both(empty_vault):
    with pytest.raises(CommandError):
        call_command("vault_provision", "--use-principal", APP, "--admin-principal", APP)


def test_the_command_names_what_aws_refused(empty_vault):
    Wire(empty_vault).fail("CreateKey", "AccessDeniedException")
    with pytest.raises(CommandError, match="CreateKey: AccessDeniedException"):
        call_command("vault_provision")


def test_check_goes_round_and_leaves_nothing(any_vault, capsys):
    before = any_vault.session.dynamodb().scan(TableName=any_vault.config.TABLE)["Count"]
    call_command("vault_check")
    assert "The vault can be used." in capsys.readouterr().out
    assert any_vault.session.dynamodb().scan(TableName=any_vault.config.TABLE)["Count"] == before


@pytest.mark.parametrize(
    ("operation", "code", "hint"),
    [
        ("DescribeKey", "AccessDeniedException", "lacks this right"),
        ("GetItem", "ResourceNotFoundException", "vault_provision"),
        ("GenerateDataKey", "DisabledException", "Enable the KMS key"),
        ("TransactWriteItems", "ExpiredTokenException", "expired"),
        ("Decrypt", "IncorrectKeyException", "another key"),
    ],
)
def test_check_says_what_is_wrong_and_what_to_do(vault, wire, capsys, operation, code, hint):
    wire.fail(operation, code)
    with pytest.raises(CommandError):
        call_command("vault_check")
    screen = capsys.readouterr().out
    assert "FAILED  " in screen
    assert f"{operation}: {code}" in screen
    assert hint in screen
    assert len(screen.splitlines()) < 25


def test_check_of_an_empty_account_points_to_provisioning(empty_vault, capsys):
    with pytest.raises(CommandError):
        call_command("vault_check")
    assert "Run manage.py vault_provision." in capsys.readouterr().out
