"""What a role may do with the engine: the rights that each operation needs, and that nothing is done without them."""

import json
import logging

import pytest

from tests.vault.embedded.sessions import TABLE, code_of, create_table, embedded_session, item, key, put, scan
from vault.embedded import Roles, access
from vault.embedded.access import RolesRefused
from vault.embedded.engine import services

REGION = "eu-central-1:000000000000"
CARDS = f"arn:aws:dynamodb:{REGION}:table/{TABLE}"
KEYS = f"arn:aws:kms:{REGION}:key/*"
REFUSED = "AccessDeniedException"
CONTEXT = {"*aws-kms-table*": TABLE, "token": "a"}


def allow(actions, resource, **condition):
    return {"Effect": "Allow", "Action": actions, "Resource": resource, "Condition": condition}


def in_role(directory, *statements):
    """The clients of somebody with these statements."""
    session = embedded_session(directory, roles=Roles({"access": [{"Statement": list(statements)}]}))
    return session.client("dynamodb"), session.client("kms")


@pytest.fixture
def made(directory, dynamodb, kms):
    """A table with two items and two keys, of which one is for cards."""
    for name in ("tok1_a", "audit-seal#1"):
        dynamodb.put_item(TableName=TABLE, Item=item(name))
    arns = [
        kms.create_key(Tags=[{"TagKey": "vault-key", "TagValue": kind}])["KeyMetadata"]["Arn"]
        for kind in ("card", "audit")
    ]
    kms.create_alias(AliasName="alias/card", TargetKeyId=arns[0])
    return arns


def test_every_operation_needs_a_right(directory):
    operations = {f"{name}:{each}" for name, service in services(directory).items() for each in service.operations}
    assert operations == set(access._NEEDS)


def test_an_operation_that_nobody_thought_of_is_refused_to_everybody(directory, made, monkeypatch):
    monkeypatch.delitem(access._NEEDS, "dynamodb:Scan")
    dynamodb, _ = in_role(directory, allow("*", "*"))
    assert code_of(dynamodb.scan, TableName=TABLE) == REFUSED


def test_without_roles_everybody_may_do_everything(dynamodb, made):
    assert sorted(scan(dynamodb)) == ["audit-seal#1", "tok1_a"]


def test_who_is_in_no_file_is_nobody(directory, made):
    session = embedded_session(directory, roles=Roles({"another": [{"Statement": [allow("*", "*")]}]}))
    assert code_of(session.client("dynamodb").scan, TableName=TABLE) == "UnrecognizedClientException"
    assert code_of(session.client("kms").list_aliases) == "UnrecognizedClientException"


ITEMS = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["tok1_*"]}}
READS = [
    ("get_item", {"Key": key("tok1_a")}, "accepted"),
    ("get_item", {"Key": key("audit-seal#1")}, REFUSED),
    ("put_item", {"Item": item("tok1_b")}, "accepted"),
    ("put_item", {"Item": item("audit-seal#1")}, REFUSED),
    ("delete_item", {"Key": key("audit-seal#1")}, REFUSED),
    ("delete_item", {"Key": key("tok1_a")}, REFUSED),
    ("scan", {}, REFUSED),
    ("describe_table", {}, REFUSED),
]


@pytest.mark.parametrize(("operation", "parameters", "code"), READS, ids=[f"{row[0]} {row[1]}"[:40] for row in READS])
def test_items_by_the_beginning_of_their_keys(directory, dynamodb, made, operation, parameters, code):
    before = sorted(scan(dynamodb))
    narrow, _ = in_role(directory, allow(["dynamodb:GetItem", "dynamodb:PutItem"], CARDS, **ITEMS))
    assert code_of(getattr(narrow, operation), TableName=TABLE, **parameters) == code
    added = ["tok1_b"] if (operation, code) == ("put_item", "accepted") else []
    assert sorted(scan(dynamodb)) == before + added


def test_another_table_is_another_resource(directory, made):
    dynamodb, _ = in_role(directory, allow("dynamodb:*", f"{CARDS}-of-another"))
    assert code_of(dynamodb.get_item, TableName=TABLE, Key=key("tok1_a")) == REFUSED


BATCHES = [
    ("batch_get_item", ["tok1_a"], "accepted"),
    ("batch_get_item", ["tok1_a", "audit-seal#1"], REFUSED),
    ("batch_write_item", ["tok1_c"], "accepted"),
    ("batch_write_item", ["tok1_c", "audit-seal#2"], REFUSED),
]


@pytest.mark.parametrize(("operation", "names", "code"), BATCHES)
def test_a_batch_is_refused_as_a_whole(directory, dynamodb, made, operation, names, code):
    narrow, _ = in_role(directory, allow(["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"], CARDS, **ITEMS))
    requests = {
        "batch_get_item": {TABLE: {"Keys": [key(name) for name in names]}},
        "batch_write_item": {TABLE: [{"PutRequest": {"Item": item(name)}} for name in names]},
    }
    before = set(scan(dynamodb))
    assert code_of(getattr(narrow, operation), RequestItems=requests[operation]) == code
    assert set(scan(dynamodb)) - before == (set(names) - before if code == "accepted" else set())


DELETE = {"Delete": {"TableName": TABLE, "Key": key("tok1_a")}}
CHECK = {
    "ConditionCheck": {
        "TableName": TABLE, "Key": key("tok1_a"), "ConditionExpression": "attribute_exists(#t)",
        "ExpressionAttributeNames": {"#t": "token"},
    }
}  # fmt: skip
TRANSACTIONS = [
    ([put("tok1_b")], "accepted"),
    ([put("tok1_b"), put("tok1_c")], "accepted"),
    ([put("tok1_b"), put("audit-seal#2")], REFUSED),
    ([put("tok1_b"), DELETE], REFUSED),
    ([put("tok1_b"), CHECK], REFUSED),
]


@pytest.mark.parametrize(("actions", "code"), TRANSACTIONS, ids=["put", "puts", "a foreign item", "delete", "check"])
def test_a_transaction_needs_the_rights_of_its_parts(directory, dynamodb, made, actions, code):
    narrow, _ = in_role(directory, allow("dynamodb:PutItem", CARDS, **ITEMS))
    before = scan(dynamodb)
    assert code_of(narrow.transact_write_items, TransactItems=actions) == code
    assert len(scan(dynamodb)) - len(before) == (len(actions) if code == "accepted" else 0)


CARD_KEY = {
    "StringEquals": {"aws:ResourceTag/vault-key": "card", "kms:EncryptionContext:*aws-kms-table*": TABLE},
}


def test_keys_by_tag_and_encryption_context(directory, kms, made):
    card, audit = made
    _, narrow = in_role(directory, allow(["kms:GenerateDataKey", "kms:Decrypt"], KEYS, **CARD_KEY))
    wanted = {"KeySpec": "AES_256", "EncryptionContext": CONTEXT}
    assert narrow.generate_data_key(KeyId="alias/card", **wanted)["KeyId"] == card
    assert code_of(narrow.generate_data_key, KeyId=audit, **wanted) == REFUSED
    assert code_of(narrow.generate_data_key, KeyId=card, KeySpec="AES_256") == REFUSED
    foreign = CONTEXT | {"*aws-kms-table*": "others"}
    assert code_of(narrow.generate_data_key, KeyId=card, KeySpec="AES_256", EncryptionContext=foreign) == REFUSED
    assert code_of(narrow.encrypt, KeyId=card, Plaintext=b"x", EncryptionContext=CONTEXT) == REFUSED


def test_whoever_may_seal_only_opens_nothing_by_any_name_of_the_key(directory, kms, made):
    card, _ = made
    _, sealing = in_role(directory, allow("kms:GenerateDataKey", KEYS, **CARD_KEY))
    blob = sealing.generate_data_key(KeyId=card, KeySpec="AES_256", EncryptionContext=CONTEXT)["CiphertextBlob"]
    for named in ({}, {"KeyId": card}, {"KeyId": "alias/card"}, {"KeyId": card.rpartition("/")[2]}):
        assert code_of(sealing.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT, **named) == REFUSED
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["KeyId"] == card


def test_a_key_is_born_with_tags_that_its_maker_may_give(directory, made):
    tags = {"StringEquals": {"aws:RequestTag/vault-key": "card"}}
    _, narrow = in_role(directory, allow("kms:CreateKey", "*", **tags), allow("kms:TagResource", KEYS, **tags))
    card, audit = ([{"TagKey": "vault-key", "TagValue": kind}] for kind in ("card", "audit"))
    assert code_of(narrow.create_key, Tags=card) == "accepted"
    assert code_of(narrow.create_key, Tags=audit) == REFUSED
    assert code_of(narrow.create_key) == REFUSED
    _, untagged = in_role(directory, allow("kms:CreateKey", "*"))
    assert code_of(untagged.create_key, Tags=card) == REFUSED


def test_an_alias_is_moved_by_who_may_touch_it_and_both_keys(directory, kms, made):
    card, audit = made
    alias = f"arn:aws:kms:{REGION}:alias/card"
    _, narrow = in_role(
        directory,
        allow("kms:UpdateAlias", alias),
        allow("kms:UpdateAlias", KEYS, StringEquals={"aws:ResourceTag/vault-key": "card"}),
    )
    new = kms.create_key(Tags=[{"TagKey": "vault-key", "TagValue": "card"}])["KeyMetadata"]["Arn"]
    assert code_of(narrow.update_alias, AliasName="alias/card", TargetKeyId=audit) == REFUSED
    assert kms.describe_key(KeyId="alias/card")["KeyMetadata"]["Arn"] == card
    assert code_of(narrow.update_alias, AliasName="alias/card", TargetKeyId=new) == "accepted"
    assert code_of(narrow.create_alias, AliasName="alias/other", TargetKeyId=new) == REFUSED


def test_what_is_not_there_is_said_not_to_be_there(directory, made):
    dynamodb, kms = in_role(directory, allow("dynamodb:*", f"{CARDS}*"))
    assert code_of(kms.describe_key, KeyId="alias/none") == "NotFoundException"
    assert code_of(dynamodb.get_item, TableName=f"{TABLE}2", Key=key("a")) == "ResourceNotFoundException"


def test_what_was_judged_is_logged_without_naming_an_item(directory, made, caplog):
    caplog.set_level(logging.INFO, logger="vault.embedded.access")
    dynamodb, _ = in_role(directory, allow("dynamodb:GetItem", CARDS))
    code_of(dynamodb.get_item, TableName=TABLE, Key=key("tok1_a"))
    code_of(dynamodb.scan, TableName=TABLE)
    assert caplog.messages == ["access may dynamodb:GetItem", "access may not dynamodb:Scan"]


FILES = ["", "[]", '{"web": {}}', '{"web": [[]]}', '{"web": [{"Action": "*"}]}', "[" * 100_000]


@pytest.mark.parametrize("content", FILES, ids=lambda text: text[:24])
def test_a_file_that_says_something_else_is_refused(tmp_path, content):
    file = tmp_path / "roles.json"
    file.write_text(content)
    with pytest.raises(RolesRefused):
        Roles.load(file)


def test_roles_are_read_from_a_file(tmp_path, directory, made):
    file = tmp_path / "roles.json"
    file.write_text(json.dumps({"access": [{"Statement": [allow("dynamodb:Scan", CARDS)]}]}))
    session = embedded_session(directory, roles=Roles.load(file))
    assert len(scan(session.client("dynamodb"))) == 2


def test_a_table_is_made_and_described_by_its_name(directory):
    dynamodb, _ = in_role(directory, allow(["dynamodb:CreateTable", "dynamodb:DescribeTable"], CARDS))
    assert create_table(dynamodb)["TableArn"] == CARDS
    assert code_of(dynamodb.delete_table, TableName=TABLE) == REFUSED


def test_tags_of_a_table_are_of_its_arn(directory, made):
    dynamodb, _ = in_role(directory, allow("dynamodb:ListTagsOfResource", CARDS))
    assert code_of(dynamodb.list_tags_of_resource, ResourceArn=CARDS) == "accepted"
    assert code_of(dynamodb.tag_resource, ResourceArn=CARDS, Tags=[{"Key": "a", "Value": "b"}]) == REFUSED
