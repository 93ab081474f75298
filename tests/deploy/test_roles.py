"""What each role may do, of everything that can be done to keys and items: this, and nothing more."""

import pytest

from tests.deploy.policies import ACCOUNT, REGION, VALUES, role_policies, template
from vault.embedded import access
from vault.embedded.iam import Request, is_allowed

ROLES = role_policies()
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0b0e7a5c-8f1d-4c3b-9a55-6f1e2d3c4b5a"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/billing-vault"
CARD_CONTEXT = {"kms:encryptioncontext:*aws-kms-table*": ["billing-vault"]}
FINGERPRINT_CONTEXT = {
    "kms:encryptioncontext:purpose": ["fingerprint"],
    "kms:encryptioncontext:table": ["billing-vault"],
    "kms:encryptioncontext:version": ["1"],
}
JOBS = ("card", "fingerprint", "audit", "certificate")
ITEMS = {"card": "tok1_a", "print": "fp2_b", "secret": "fingerprint-key#1", "seal": "audit-seal#00000001"}
# Whatever KMS and DynamoDB do with a key or an item, and more than the product asks of them.
KMS = {name for name in access._NEEDS if name.startswith("kms:")} | {
    "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:CreateGrant", "kms:UntagResource", "kms:DeleteAlias",
    "kms:GenerateRandom", "kms:ReplicateKey", "kms:UpdateKeyDescription",
}  # fmt: skip
DYNAMODB = {name for name in access._NEEDS if name.startswith("dynamodb:")} | {
    "dynamodb:Query", "dynamodb:PartiQLSelect",
    "dynamodb:ExportTableToPointInTime", "dynamodb:RestoreTableToPointInTime", "dynamodb:CreateBackup",
}  # fmt: skip
OF_ITEMS = {
    f"dynamodb:{name}Item" for name in ("Get", "Put", "Delete", "Update", "ConditionCheck", "BatchGet", "BatchWrite")
}

KEEP = {
    "kms:GenerateDataKey card", "kms:Decrypt fingerprint", "kms:GenerateMac certificate",
    *(f"dynamodb:{action} {item}" for action in ("BatchGetItem", "PutItem", "DeleteItem") for item in ("card", "print")),
    "dynamodb:GetItem secret",
}  # fmt: skip
OPEN = {"kms:Decrypt card"}
LOOK = {f"kms:{action} {job}" for action in ("DescribeKey", "ListResourceTags") for job in JOBS} | {
    "kms:GetKeyRotationStatus card", "kms:GetKeyRotationStatus fingerprint", "kms:GetKeyPolicy card",
}  # fmt: skip
READ = {f"dynamodb:{action} {item}" for action in ("BatchGetItem", "GetItem") for item in ITEMS}
MAY = {
    "web": KEEP,
    "data-access": KEEP | OPEN | {"kms:VerifyMac certificate"},
    "operator": KEEP
    | OPEN
    | LOOK
    | READ
    | {"kms:VerifyMac certificate", "kms:VerifyMac audit", "kms:GenerateDataKeyWithoutPlaintext fingerprint"}
    | {"kms:DisableKey card", "kms:EnableKeyRotation card", "kms:UpdateAlias card"}
    | {"dynamodb:PutItem secret", "dynamodb:DeleteItem secret"}
    | {"dynamodb:Scan", "dynamodb:DescribeTable", "dynamodb:DescribeContinuousBackups"},
    "seal": {"kms:GenerateMac audit", "kms:VerifyMac audit", "dynamodb:BatchGetItem seal", "dynamodb:PutItem seal"},
    "purge": OPEN
    | READ
    | {"kms:Decrypt fingerprint", "kms:GenerateMac certificate"}
    | {"dynamodb:DeleteItem card", "dynamodb:DeleteItem print", "dynamodb:Scan", "dynamodb:DescribeTable"},
    "events": set(),
}


def requests():
    """Everything that can be done to what is the vault's, by what it is called above."""
    for action in KMS:
        for job in JOBS:
            context = FINGERPRINT_CONTEXT if job == "fingerprint" else CARD_CONTEXT if job == "card" else {}
            yield f"{action} {job}", Request(action, KEY, key_of(job) | context)
    for action in DYNAMODB:
        if action not in OF_ITEMS:
            yield action, Request(action, TABLE)
    for action in OF_ITEMS:
        for item, name in ITEMS.items():
            yield f"{action} {item}", Request(action, TABLE, {"dynamodb:leadingkeys": [name]})


def key_of(job, *, table="billing-vault"):
    return {"aws:resourcetag/vault-key": [job], "aws:resourcetag/vault-table": [table]}


def test_there_is_a_row_for_each_role():
    assert set(MAY) == set(ROLES)


@pytest.mark.parametrize("role", MAY)
def test_each_role_may_do_what_it_does_and_nothing_more(role):
    assert {name for name, request in requests() if is_allowed(ROLES[role], request)} == MAY[role]


USES = [
    ("kms:GenerateDataKey", "card", CARD_CONTEXT),
    ("kms:Decrypt", "card", CARD_CONTEXT),
    ("kms:Decrypt", "fingerprint", FINGERPRINT_CONTEXT),
    ("kms:GenerateDataKeyWithoutPlaintext", "fingerprint", FINGERPRINT_CONTEXT),
    ("kms:GenerateMac", "audit", {}),
    ("kms:GenerateMac", "certificate", {}),
]


@pytest.mark.parametrize(("action", "job", "context"), USES)
@pytest.mark.parametrize("role", ROLES)
def test_no_key_of_another_table_region_or_account_and_no_other_context(role, action, job, context):
    foreign = {
        "table": Request(action, KEY, key_of(job, table="other-vault") | context),
        "untagged": Request(action, KEY, context),
        "region": Request(action, KEY.replace(REGION, "us-east-1"), key_of(job) | context),
        "account": Request(action, KEY.replace(ACCOUNT, "111111111111"), key_of(job) | context),
    }
    for name, value in context.items():
        if "version" not in name:
            foreign[name] = Request(action, KEY, key_of(job) | context | {name: [f"{value[0]}-other"]})
    assert [name for name, request in foreign.items() if is_allowed(ROLES[role], request)] == []


def test_web_opens_no_card_whatever_else_it_is_given():
    everything = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    opening = [Request(action, KEY, key_of("card") | CARD_CONTEXT) for action in ("kms:Decrypt", "kms:ReEncryptFrom")]
    assert not any(is_allowed([*ROLES["web"], everything], request) for request in opening)


def test_an_operator_makes_card_keys_and_calls_no_key_something_else():
    tags = {"aws:requesttag/vault-key": ["card"], "aws:requesttag/vault-table": ["billing-vault"]}
    audit, other = tags | {"aws:requesttag/vault-key": ["audit"]}, tags | {"aws:requesttag/vault-table": ["others"]}
    may = {role for role in ROLES if is_allowed(ROLES[role], Request("kms:CreateKey", "*", tags))}
    assert may == {"operator"}
    refused = [
        Request("kms:CreateKey", "*", {}),
        Request("kms:CreateKey", "*", audit),
        Request("kms:CreateKey", "*", other),
        Request("kms:TagResource", KEY, tags | key_of("card")),
        Request("kms:TagResource", KEY, tags | key_of("fingerprint")),
        Request("kms:TagResource", KEY, audit),
        Request("kms:UpdateAlias", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/billing-vault-audit"),
    ]
    assert is_allowed(ROLES["operator"], Request("kms:TagResource", KEY, tags))
    assert is_allowed(
        ROLES["operator"], Request("kms:UpdateAlias", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/billing-vault-card")
    )
    assert [request for request in refused if is_allowed(ROLES["operator"], request)] == []


def test_a_batch_with_one_foreign_item_is_refused():
    mixed = {"dynamodb:leadingkeys": ["tok1_a", "audit-seal#00000001"]}
    assert not is_allowed(ROLES["web"], Request("dynamodb:BatchGetItem", TABLE, mixed))


def test_a_request_that_names_no_item_is_refused_where_items_decide():
    # What is asked of all values is true of none at all; AWS says so of ForAllValues.
    restricted = {
        action: [name for name in ROLES if f"{action} card" in MAY[name] and f"{action} seal" not in MAY[name]]
        for action in OF_ITEMS
    }
    assert restricted["dynamodb:PutItem"] == ["web", "data-access", "operator"]
    for action, names in restricted.items():
        assert [name for name in names if is_allowed(ROLES[name], Request(action, TABLE))] == []
    assert not any(is_allowed(ROLES["seal"], Request(action, TABLE)) for action in OF_ITEMS)


def test_names_follow_the_parameter():
    other = role_policies(VALUES | {"Name": "shop"})
    assert "billing" not in str(other)
    assert set(other) == set(ROLES)


def test_a_role_is_for_tasks_of_this_account_and_its_arn_is_exported():
    written = template("roles.yaml")
    roles = {name: each for name, each in written["Resources"].items() if each["Type"] == "AWS::IAM::Role"}
    exports = {each["Value"]["Fn::GetAtt"]: each["Export"]["Name"]["Fn::Sub"] for each in written["Outputs"].values()}
    for name, each in roles.items():
        (statement,) = each["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        assert exports[f"{name}.Arn"] == f"{each['Properties']['RoleName']['Fn::Sub']}-role-arn"
