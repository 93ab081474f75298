"""The stacks, made in an account of moto, and the product against them. What moto cannot make is in `tests.deploy.account`."""

import json
import os
from io import StringIO

import boto3
import pytest
from django.core.management import call_command
from moto import mock_aws
from moto.cloudformation import parsing

from tests.deploy.account import AFTER, BEFORE, LEFT_OUT, REGION, exports, make_stacks
from tests.deploy.templates import order, resources, template
from vault.backend import _vaults

TABLE = "billing-vault"
KEYS = ["card", "fingerprint", "audit", "certificate"]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}


@pytest.fixture(scope="module")
def account():
    """An account with every stack; looked at by each test and changed by none but the last."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in CREDENTIALS.items():
            patch.setitem(os.environ, name, value)
        make_stacks()
        yield exports()


def policy_of(key):
    return json.loads(boto3.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"])["Statement"]


# What moto makes


def test_every_stack_is_made(account):
    made = boto3.client("cloudformation").describe_stacks()["Stacks"]
    assert {stack["StackName"] for stack in made} == {f"billing-{stack}" for stack in order()}
    assert {stack["StackStatus"] for stack in made} == {"CREATE_COMPLETE"}


def test_every_export_has_a_value(account):
    wanted = {
        output["Export"]["Name"]["Fn::Sub"].replace("${Name}", "billing")
        for stack in order()
        for output in template(stack).get("Outputs", {}).values()
    }
    assert set(account) == wanted
    assert all(account.values())


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_what_is_left_out_is_used_and_unknown_to_moto(kind):
    assert resources(kind)
    assert parsing.resource_class_from_type(kind) is None


def test_what_is_made_otherwise_is_used():
    assert all(resources(kind) for kind in BEFORE | AFTER)


# Keys


@pytest.mark.parametrize("name", KEYS)
def test_key_has_its_alias_and_tags(account, name):
    kms = boto3.client("kms")
    key = kms.describe_key(KeyId=f"alias/billing-vault-{name}")["KeyMetadata"]
    assert key["Arn"] == account[f"billing-{name}-key-arn"]
    tags = kms.list_resource_tags(KeyId=key["KeyId"])["Tags"]
    assert {tag["TagKey"]: tag["TagValue"] for tag in tags} == {"vault-key": name, "vault-table": TABLE}


@pytest.mark.parametrize(
    ("name", "spec", "is_rotated"),
    [
        ("card", "SYMMETRIC_DEFAULT", True),
        ("fingerprint", "SYMMETRIC_DEFAULT", True),
        ("audit", "HMAC_256", False),
        ("certificate", "HMAC_256", False),
    ],
)
def test_key_is_of_its_kind(account, name, spec, is_rotated):
    kms = boto3.client("kms")
    key = kms.describe_key(KeyId=f"alias/billing-vault-{name}")["KeyMetadata"]
    assert key["KeySpec"] == spec
    assert kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"] is is_rotated


# The second lock: who may do what with a key, whatever the roles say.
USES = {
    ("card", "kms:GenerateDataKey"): {"web", "data-access", "operator"},
    ("card", "kms:Decrypt"): {"data-access", "operator", "purge"},
    ("fingerprint", "kms:Decrypt"): {"web", "data-access", "operator", "purge"},
    ("fingerprint", "kms:GenerateDataKeyWithoutPlaintext"): {"operator"},
    ("audit", "kms:GenerateMac"): {"seal"},
    ("audit", "kms:VerifyMac"): {"seal", "operator"},
    ("certificate", "kms:GenerateMac"): {"web", "data-access", "operator", "purge"},
    ("certificate", "kms:VerifyMac"): {"data-access", "operator"},
}
ADMINISTER = {"kms:PutKeyPolicy", "kms:DisableKey", "kms:ScheduleKeyDeletion"}


def test_keys_are_used_by_their_roles_alone(account):
    found = {}
    for name in KEYS:
        for statement in policy_of(account[f"billing-{name}-key-arn"]):
            roles = statement.get("Condition", {}).get("ArnEquals", {}).get("aws:PrincipalArn", [])
            for action in () if statement["Sid"] == "Administration" else statement["Action"]:
                found[name, action] = {role.rpartition("/billing-")[2] for role in roles}
    assert found == USES


@pytest.mark.parametrize("name", KEYS)
def test_administrators_of_a_key_do_not_use_it(account, name):
    administration, *uses = policy_of(account[f"billing-{name}-key-arn"])
    assert set(administration["Action"]) >= ADMINISTER
    used = {action for (_, action) in USES} | {"kms:Encrypt", "kms:ReEncryptFrom", "kms:CreateGrant"}
    assert not used.intersection(administration["Action"])
    assert not any(set(use["Action"]) & set(administration["Action"]) for use in uses)


def test_every_role_that_a_key_policy_names_is_there(account):
    roles = {role["Arn"] for role in boto3.client("iam").list_roles()["Roles"]}
    for name in KEYS:
        for statement in policy_of(account[f"billing-{name}-key-arn"])[1:]:
            assert set(statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]) <= roles


# Table, database, secrets


def test_table_is_encrypted_protected_and_recoverable(account):
    dynamodb = boto3.client("dynamodb")
    table = dynamodb.describe_table(TableName=TABLE)["Table"]
    assert table["KeySchema"] == [{"AttributeName": "token", "KeyType": "HASH"}]
    assert table["DeletionProtectionEnabled"] is True
    assert table["SSEDescription"]["KMSMasterKeyArn"] == account["billing-storage-key-arn"]
    backups = dynamodb.describe_continuous_backups(TableName=TABLE)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_database_is_out_of_reach_and_kept(account):
    (database,) = boto3.client("rds").describe_db_instances()["DBInstances"]
    told = {
        name: database[name] for name in ("MultiAZ", "StorageEncrypted", "DeletionProtection", "PubliclyAccessible")
    }
    assert told == {"MultiAZ": True, "StorageEncrypted": True, "DeletionProtection": True, "PubliclyAccessible": False}
    assert database["BackupRetentionPeriod"] == 35
    subnets = {each["SubnetIdentifier"] for each in database["DBSubnetGroup"]["Subnets"]}
    assert subnets == set(account["billing-isolated-subnets"].split(","))


def test_database_takes_encrypted_connections_alone(account):
    parameters = boto3.client("rds").describe_db_parameters(DBParameterGroupName="billing")["Parameters"]
    values = {each["ParameterName"]: each["ParameterValue"] for each in parameters}
    assert values["require_secure_transport"] == "1"
    # Without it the triggers of the audit log cannot be made.
    assert values["log_bin_trust_function_creators"] == "1"


@pytest.mark.parametrize(
    ("secret", "user"), [("orders", "billing"), ("audit", "billing_audit"), ("migrate", "billing_migrate")]
)
def test_users_of_the_database_have_passwords_of_their_own(account, secret, user):
    value = boto3.client("secretsmanager").get_secret_value(SecretId=account[f"billing-{secret}-password-arn"])
    kept = json.loads(value["SecretString"])
    assert kept["username"] == user
    assert kept["password"].isalnum()
    assert len(kept["password"]) == 48


# Network


def groups():
    return {group["GroupId"]: group for group in boto3.client("ec2").describe_security_groups()["SecurityGroups"]}


def test_internet_reaches_the_public_load_balancer_alone(account):
    open_to_all = {
        group
        for group, rules in groups().items()
        for rule in rules["IpPermissions"]
        if rules["VpcId"] == account["billing-vpc-id"] and {"CidrIp": "0.0.0.0/0"}.items() <= _first(rule["IpRanges"])
    }
    assert open_to_all == {account["billing-public-load-balancer-group-id"]}


def _first(ranges):
    return ranges[0].items() if ranges else {}.items()


def test_database_is_reached_by_tasks_alone(account):
    rules = groups()[account["billing-database-group-id"]]["IpPermissions"]
    tasks = {account[f"billing-{group}-group-id"] for group in ("web", "data-access", "task", "events")}
    assert {pair["GroupId"] for rule in rules for pair in rule["UserIdGroupPairs"]} == tasks
    assert not any(rule["IpRanges"] for rule in rules)


def test_database_has_no_route_out(account):
    tables = boto3.client("ec2").describe_route_tables()["RouteTables"]
    isolated = set(account["billing-isolated-subnets"].split(","))
    ours = [t for t in tables if isolated & {link.get("SubnetId") for link in t["Associations"]}]
    assert ours
    assert all(route["GatewayId"] == "local" for table in ours for route in table["Routes"])


# The trail's bucket


def test_nobody_deletes_from_the_bucket_of_the_trail(account):
    s3, bucket = boto3.client("s3"), account["billing-trail-bucket"]
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"].items() >= {"Mode": "COMPLIANCE", "Days": 400}.items()
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


@pytest.mark.parametrize("bucket", ["trail", "access-log"])
def test_bucket_is_reached_by_tls_alone(account, bucket):
    policy = boto3.client("s3").get_bucket_policy(Bucket=account[f"billing-{bucket}-bucket"])["Policy"]
    (refused,) = [each for each in json.loads(policy)["Statement"] if each["Effect"] == "Deny"]
    assert refused["Principal"] == "*"
    assert refused["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(refused["Resource"]) == 2


# The product in this account


@pytest.mark.either
@pytest.mark.django_db
def test_product_finds_nothing_to_change_but_the_fingerprint_secret(account, settings, vault_settings):
    settings.VAULT = (
        vault_settings
        | {"BACKEND": "aws", "REGION": REGION, "TABLE": TABLE}
        | {f"{name.upper()}_KEY": f"alias/billing-vault-{name}" for name in KEYS}
    )
    _vaults.clear()
    output = StringIO()
    call_command("vault_provision", "--format", "json", stdout=output)
    changes = json.loads(output.getvalue())["changes"]
    assert [each["detail"] for each in changes if each["action"] != "unchanged"] == ["fingerprint secret"]
    # Two rotations, four tags, and of the table four properties and the secret.
    assert len(changes) == 11

    output = StringIO()
    call_command("vault_check", stdout=output)
    assert "The vault can be used." in output.getvalue()
    call_command("vault_audit", "seal", stdout=StringIO())
