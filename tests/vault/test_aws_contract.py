"""What the vault relies on in DynamoDB and KMS, asserted on the embedded engine and on moto alike.

Races and key states are in `embedded/`: moto's conditional put is not atomic between threads, and it ignores states.
"""

import boto3
import pytest
from moto import mock_aws

from tests.vault.embedded.sessions import (
    ABSENT,
    PRESENT,
    REGION,
    TABLE,
    code_of,
    create_table,
    embedded_session,
    item,
    key,
    plain_session,
    put,
    scan,
)

CONTEXT = {"token": "tok1", "table": TABLE}


@pytest.fixture(autouse=True)
def vault_settings():
    """These tests stand below the vault: no settings, no provisioned vault."""


@pytest.fixture(params=["embedded", "moto"])
def aws_session(request, tmp_path):
    if request.param == "embedded":
        yield embedded_session(tmp_path)
    else:
        with mock_aws():
            yield boto3.session.Session(botocore_session=plain_session())


# Stands on a test in which moto deviates from AWS, with the deviation beside it.
embedded_only = pytest.mark.parametrize("aws_session", ["embedded"], indirect=True)


@pytest.fixture
def dynamodb(aws_session):
    client = aws_session.client("dynamodb")
    create_table(client)
    return client


@pytest.fixture
def kms(aws_session):
    return aws_session.client("kms")


@pytest.fixture
def key_arn(kms):
    return kms.create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def key_id(key_arn):
    # moto knows a key by its ARN in some operations only.
    return key_arn.rpartition("/")[2]


# Tables


def test_table_is_described_as_created(dynamodb):
    table = dynamodb.describe_table(TableName=TABLE)["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert table["KeySchema"] == [{"AttributeName": "token", "KeyType": "HASH"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TableArn"].startswith(f"arn:aws:dynamodb:{REGION}:")


def test_waiters_see_a_table_come_and_go(dynamodb):
    dynamodb.get_waiter("table_exists").wait(TableName=TABLE)
    assert dynamodb.list_tables()["TableNames"] == [TABLE]
    dynamodb.delete_table(TableName=TABLE)
    dynamodb.get_waiter("table_not_exists").wait(TableName=TABLE)
    assert dynamodb.list_tables()["TableNames"] == []


def test_table_is_encrypted_under_the_given_key(aws_session, key_arn):
    dynamodb = aws_session.client("dynamodb")
    create_table(dynamodb, SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key_arn})
    sse = dynamodb.describe_table(TableName=TABLE)["Table"]["SSEDescription"]
    assert sse == {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key_arn}


def test_protected_table_is_not_deleted(dynamodb):
    dynamodb.update_table(TableName=TABLE, DeletionProtectionEnabled=True)
    assert code_of(dynamodb.delete_table, TableName=TABLE) == "ValidationException"
    dynamodb.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=TABLE)
    assert code_of(dynamodb.describe_table, TableName=TABLE) == "ResourceNotFoundException"


def test_point_in_time_recovery_is_off_until_enabled(dynamodb):
    def status():
        backups = dynamodb.describe_continuous_backups(TableName=TABLE)["ContinuousBackupsDescription"]
        return backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]

    assert status() == "DISABLED"
    dynamodb.update_continuous_backups(
        TableName=TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    assert status() == "ENABLED"


def test_table_carries_tags(dynamodb):
    arn = dynamodb.describe_table(TableName=TABLE)["Table"]["TableArn"]
    tags = [{"Key": "schema", "Value": "1"}]
    dynamodb.tag_resource(ResourceArn=arn, Tags=tags)
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == tags


UNKNOWN_TABLE = [
    ("describe_table", {}, "ResourceNotFoundException"),
    ("delete_table", {}, "ResourceNotFoundException"),
    ("put_item", {"Item": item("a")}, "ResourceNotFoundException"),
    ("get_item", {"Key": key("a")}, "ResourceNotFoundException"),
    ("delete_item", {"Key": key("a")}, "ResourceNotFoundException"),
    ("scan", {}, "ResourceNotFoundException"),
    ("describe_continuous_backups", {}, "TableNotFoundException"),
]


@pytest.mark.parametrize(("operation", "parameters", "code"), UNKNOWN_TABLE, ids=[row[0] for row in UNKNOWN_TABLE])
def test_unknown_table_is_refused(aws_session, operation, parameters, code):
    dynamodb = aws_session.client("dynamodb")
    assert code_of(getattr(dynamodb, operation), TableName="nowhere", **parameters) == code


def test_table_is_created_once(dynamodb):
    assert code_of(create_table, dynamodb=dynamodb) == "ResourceInUseException"


# Items


def test_item_is_read_as_written(dynamodb):
    dynamodb.put_item(TableName=TABLE, Item=item("a"))
    assert dynamodb.get_item(TableName=TABLE, Key=key("a"), ConsistentRead=True)["Item"] == item("a")
    assert "Item" not in dynamodb.get_item(TableName=TABLE, Key=key("b"), ConsistentRead=True)


def test_every_kind_of_value_is_kept(dynamodb):
    values = {
        "s": {"S": "é"},
        "n": {"N": "-12.5"},
        "b": {"B": b"\x00"},
        "t": {"BOOL": False},
        "z": {"NULL": True},
        "ss": {"SS": ["a", "b"]},
        "l": {"L": [{"N": "1"}, {"M": {"x": {"S": ""}}}]},
    }
    dynamodb.put_item(TableName=TABLE, Item=key("a") | values)
    assert dynamodb.get_item(TableName=TABLE, Key=key("a"))["Item"] == key("a") | values


def test_put_under_a_condition_writes_once(dynamodb):
    dynamodb.put_item(TableName=TABLE, Item=item("a"), **ABSENT)
    code = code_of(dynamodb.put_item, TableName=TABLE, Item=item("a", version="2"), **ABSENT)
    assert code == "ConditionalCheckFailedException"
    assert dynamodb.get_item(TableName=TABLE, Key=key("a"))["Item"] == item("a")


def test_failed_condition_gives_the_stored_item_on_request(dynamodb):
    dynamodb.put_item(TableName=TABLE, Item=item("a"))
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as refused:
        dynamodb.put_item(TableName=TABLE, Item=item("a", "2"), ReturnValuesOnConditionCheckFailure="ALL_OLD", **ABSENT)
    assert refused.value.response["Item"]["version"] == {"N": "1"}


def test_put_and_delete_return_the_old_item_on_request(dynamodb):
    assert "Attributes" not in dynamodb.put_item(TableName=TABLE, Item=item("a"), ReturnValues="ALL_OLD")
    replaced = dynamodb.put_item(TableName=TABLE, Item=item("a", "2"), ReturnValues="ALL_OLD")
    deleted = dynamodb.delete_item(TableName=TABLE, Key=key("a"), ReturnValues="ALL_OLD")
    assert replaced["Attributes"] == item("a")
    assert deleted["Attributes"] == item("a", "2")


def test_delete_under_a_condition_spares_another_version(dynamodb):
    dynamodb.put_item(TableName=TABLE, Item=item("a", version="2"))
    condition = {
        "ConditionExpression": "#v = :v",
        "ExpressionAttributeNames": {"#v": "version"},
        "ExpressionAttributeValues": {":v": {"N": "1"}},
    }
    code = code_of(dynamodb.delete_item, TableName=TABLE, Key=key("a"), **condition)
    assert code == "ConditionalCheckFailedException"
    assert dynamodb.get_item(TableName=TABLE, Key=key("a"))["Item"] == item("a", version="2")


def test_deleting_what_is_not_there_succeeds(dynamodb):
    dynamodb.delete_item(TableName=TABLE, Key=key("a"))
    assert scan(dynamodb) == []


CONDITIONS = [
    ("attribute_exists(#v)", True),
    ("attribute_not_exists(#v)", False),
    ("attribute_exists(#m)", False),
    ("#v = :one", True),
    ("#v <> :one", False),
    ("#v < :ten", True),
    ("#v <= :one", True),
    ("#v > :ten", False),
    ("#v >= :one", True),
    ("#m = :one", False),
    ("#m <> :one", True),
    ("#m < :one", False),
    ("NOT #v = :one", False),
    ("NOT #v = :one OR #v < :ten", True),
    ("#v = :one OR #v = :ten AND #v = :ten", True),
    ("(#v = :one OR #v = :ten) AND #v = :ten", False),
    ("attribute_exists(#v) and not (#v > :ten)", True),
    ("attribute_not_exists(schema_version)", True),
]


@pytest.mark.parametrize(("expression", "holds"), CONDITIONS, ids=[expression for expression, _ in CONDITIONS])
def test_condition(dynamodb, expression, holds):
    dynamodb.put_item(TableName=TABLE, Item=item("a", version="1"))
    names = {"#v": "version", "#m": "missing"}
    values = {":one": {"N": "1"}, ":ten": {"N": "10"}}
    condition = {
        "ConditionExpression": expression,
        "ExpressionAttributeNames": {name: names[name] for name in names if name in expression},
        "ExpressionAttributeValues": {name: values[name] for name in values if name in expression},
    }
    if not condition["ExpressionAttributeValues"]:
        del condition["ExpressionAttributeValues"]
    code = code_of(dynamodb.delete_item, TableName=TABLE, Key=key("a"), **condition)
    assert code == ("accepted" if holds else "ConditionalCheckFailedException")


REFUSED_ITEMS = [
    ("no key", {"version": {"N": "1"}}),
    ("key of another type", {"token": {"N": "1"}}),
    ("empty key", {"token": {"S": ""}}),
    ("larger than 400 KB", {"token": {"S": "a"}, "sealed": {"B": b"x" * 400 * 1024}}),
]


@pytest.mark.parametrize("refused", [row[1] for row in REFUSED_ITEMS], ids=[row[0] for row in REFUSED_ITEMS])
def test_item_that_breaks_a_rule_is_refused(dynamodb, refused):
    assert code_of(dynamodb.put_item, TableName=TABLE, Item=refused) == "ValidationException"
    assert scan(dynamodb) == []


def test_key_with_another_attribute_is_refused(dynamodb):
    assert code_of(dynamodb.get_item, TableName=TABLE, Key=item("a")) == "ValidationException"


# Batches


def test_batch_writes_and_reads(dynamodb):
    names = [f"{number}" for number in range(25)]
    dynamodb.put_item(TableName=TABLE, Item=item("old"))
    writes = [{"PutRequest": {"Item": item(name)}} for name in names[1:]] + [{"DeleteRequest": {"Key": key("old")}}]
    assert dynamodb.batch_write_item(RequestItems={TABLE: writes})["UnprocessedItems"] == {}
    keys = [key(name) for name in [*names, "old"]]
    answer = dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}})
    assert sorted(found["token"]["S"] for found in answer["Responses"][TABLE]) == sorted(names[1:])
    assert answer["UnprocessedKeys"] == {}


REFUSED_BATCHES = [
    ("write, two of one key", "batch_write_item", {TABLE: [{"PutRequest": {"Item": item("a")}}] * 2}),
    ("read, two of one key", "batch_get_item", {TABLE: {"Keys": [key("a")] * 2}}),
    ("read, too many", "batch_get_item", {TABLE: {"Keys": [key(f"{n}") for n in range(101)]}}),
]


@pytest.mark.parametrize(
    ("operation", "requests"), [row[1:] for row in REFUSED_BATCHES], ids=[row[0] for row in REFUSED_BATCHES]
)
def test_batch_that_breaks_a_rule_is_refused(dynamodb, operation, requests):
    assert code_of(getattr(dynamodb, operation), RequestItems=requests) == "ValidationException"
    assert scan(dynamodb) == []


@embedded_only  # moto accepts more than 25
def test_batch_of_too_many_writes_is_refused(dynamodb):
    writes = [{"PutRequest": {"Item": item(f"{number}")}} for number in range(26)]
    assert code_of(dynamodb.batch_write_item, RequestItems={TABLE: writes}) == "ValidationException"
    assert scan(dynamodb) == []


# Transactions


def test_transaction_writes_all(dynamodb):
    dynamodb.put_item(TableName=TABLE, Item=item("old"))
    check = {"ConditionCheck": {"TableName": TABLE, "Key": key("c"), **ABSENT}}
    delete = {"Delete": {"TableName": TABLE, "Key": key("old"), **PRESENT}}
    dynamodb.transact_write_items(TransactItems=[put("a", **ABSENT), put("b"), delete, check])
    assert sorted(scan(dynamodb)) == ["a", "b"]


def test_cancelled_transaction_writes_nothing_and_says_why(dynamodb):
    dynamodb.put_item(TableName=TABLE, Item=item("taken"))
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as refused:
        dynamodb.transact_write_items(TransactItems=[put("a"), put("taken", **ABSENT), put("b", **ABSENT)])
    codes = [reason["Code"] for reason in refused.value.response["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed", "None"]
    assert scan(dynamodb) == ["taken"]


REFUSED_TRANSACTIONS = [
    ("two actions on one item", [put("a"), {"Delete": {"TableName": TABLE, "Key": key("a")}}], "ValidationException"),
    ("too many", [put(f"{number}") for number in range(101)], "ValidationException"),
    ("unknown table", [put("a") | {"Put": {"TableName": "nowhere", "Item": item("a")}}], "ResourceNotFoundException"),
]


@pytest.mark.parametrize(
    ("actions", "code"), [row[1:] for row in REFUSED_TRANSACTIONS], ids=[row[0] for row in REFUSED_TRANSACTIONS]
)
def test_transaction_that_breaks_a_rule_is_refused(dynamodb, actions, code):
    assert code_of(dynamodb.transact_write_items, TransactItems=actions) == code
    assert scan(dynamodb) == []


@embedded_only  # moto ignores ClientRequestToken
def test_transaction_repeated_under_its_token_writes_once(dynamodb):
    request = {"TransactItems": [put("a", **ABSENT)], "ClientRequestToken": "t"}
    dynamodb.transact_write_items(**request)
    dynamodb.transact_write_items(**request)
    assert scan(dynamodb) == ["a"]


@embedded_only  # moto ignores ClientRequestToken
def test_token_used_for_another_transaction_is_refused(dynamodb):
    dynamodb.transact_write_items(TransactItems=[put("a")], ClientRequestToken="t")
    code = code_of(dynamodb.transact_write_items, TransactItems=[put("b")], ClientRequestToken="t")
    assert code == "IdempotentParameterMismatchException"
    assert scan(dynamodb) == ["a"]


# Scans


@pytest.fixture
def names(dynamodb):
    names = [f"{number:02}" for number in range(30)]
    for name in names:
        dynamodb.put_item(TableName=TABLE, Item=item(name))
    return names


@pytest.mark.parametrize("size", [1, 7, 30, 100])
def test_pages_hold_each_item_once(dynamodb, names, size):
    pages = list(dynamodb.get_paginator("scan").paginate(TableName=TABLE, PaginationConfig={"PageSize": size}))
    assert all(page["Count"] <= size for page in pages)
    assert sorted(found["token"]["S"] for page in pages for found in page["Items"]) == names


def test_segments_hold_each_item_once(dynamodb, names):
    segments = [scan(dynamodb, Segment=segment, TotalSegments=4, Limit=3) for segment in range(4)]
    assert sorted(name for segment in segments for name in segment) == names
    assert all(len(segment) < len(names) for segment in segments)


def test_scan_goes_on_after_a_key_that_was_deleted(dynamodb, names):
    first = dynamodb.scan(TableName=TABLE, Limit=10)
    dynamodb.delete_item(TableName=TABLE, Key=first["LastEvaluatedKey"])
    rest = dynamodb.scan(TableName=TABLE, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert sorted(found["token"]["S"] for page in (first, rest) for found in page["Items"]) == names


# Keys


def test_data_key_returns_from_its_ciphertext(kms, key_arn):
    made = kms.generate_data_key(KeyId=key_arn, KeySpec="AES_256", EncryptionContext=CONTEXT)
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT, KeyId=key_arn)
    assert made["KeyId"] == opened["KeyId"] == key_arn
    assert len(made["Plaintext"]) == 32
    assert opened["Plaintext"] == made["Plaintext"]
    assert made["Plaintext"] not in made["CiphertextBlob"]


def test_data_key_without_plaintext_is_opened_later(kms, key_arn):
    made = kms.generate_data_key_without_plaintext(KeyId=key_arn, NumberOfBytes=64)
    assert "Plaintext" not in made
    assert len(kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"]) == 64


def test_plaintext_returns_from_its_ciphertext(kms, key_arn):
    blob = kms.encrypt(KeyId=key_arn, Plaintext=b"secret", EncryptionContext=CONTEXT)["CiphertextBlob"]
    turned = dict(reversed(CONTEXT.items()))
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=turned)["Plaintext"] == b"secret"


WRONG_CONTEXTS = [
    ("another value", CONTEXT | {"token": "tok2"}),
    ("a missing name", {"table": TABLE}),
    ("one name more", CONTEXT | {"more": "1"}),
    ("none", {}),
]


@pytest.mark.parametrize("context", [row[1] for row in WRONG_CONTEXTS], ids=[row[0] for row in WRONG_CONTEXTS])
def test_wrong_context_opens_nothing(kms, key_arn, context):
    made = kms.generate_data_key(KeyId=key_arn, KeySpec="AES_256", EncryptionContext=CONTEXT)
    code = code_of(kms.decrypt, CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context, KeyId=key_arn)
    assert code == "InvalidCiphertextException"


def test_alias_leads_to_its_key_and_moves(kms, key_arn):
    other = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/vault", TargetKeyId=key_arn)
    assert kms.describe_key(KeyId="alias/vault")["KeyMetadata"]["Arn"] == key_arn
    kms.update_alias(AliasName="alias/vault", TargetKeyId=other)
    assert kms.generate_data_key(KeyId="alias/vault", KeySpec="AES_256")["KeyId"] == other


def test_aliases_of_a_key_are_listed(kms, key_arn):
    kms.create_alias(AliasName="alias/vault", TargetKeyId=key_arn)
    aliases = kms.list_aliases(KeyId=key_arn)["Aliases"]
    assert [alias["AliasName"] for alias in aliases] == ["alias/vault"]
    assert key_arn.endswith(aliases[0]["TargetKeyId"])


UNKNOWN_KEYS = [
    ("id", "00000000-0000-4000-8000-000000000000"),
    ("arn", f"arn:aws:kms:{REGION}:000000000000:key/00000000-0000-4000-8000-000000000000"),
    ("alias", "alias/nowhere"),
]


@pytest.mark.parametrize("name", [row[1] for row in UNKNOWN_KEYS], ids=[row[0] for row in UNKNOWN_KEYS])
def test_unknown_key_is_refused(kms, name):
    assert code_of(kms.describe_key, KeyId=name) == "NotFoundException"
    assert code_of(kms.generate_data_key, KeyId=name, KeySpec="AES_256") == "NotFoundException"


def test_alias_is_created_once(kms, key_arn):
    kms.create_alias(AliasName="alias/vault", TargetKeyId=key_arn)
    assert code_of(kms.create_alias, AliasName="alias/vault", TargetKeyId=key_arn) == "AlreadyExistsException"


def test_rotation_is_off_until_enabled(kms, key_id):
    assert kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key_id)
    assert kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"] is True


@embedded_only  # moto does not report the period
def test_rotation_has_a_period(kms, key_id):
    kms.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=90)
    assert kms.get_key_rotation_status(KeyId=key_id)["RotationPeriodInDays"] == 90


def test_policy_and_tags_are_kept(kms, key_arn):
    kms.put_key_policy(KeyId=key_arn, PolicyName="default", Policy='{"Version": "2012-10-17"}')
    kms.tag_resource(KeyId=key_arn, Tags=[{"TagKey": "schema", "TagValue": "1"}])
    assert kms.get_key_policy(KeyId=key_arn, PolicyName="default")["Policy"] == '{"Version": "2012-10-17"}'
    assert kms.list_resource_tags(KeyId=key_arn)["Tags"] == [{"TagKey": "schema", "TagValue": "1"}]


STATES = [("disable_key", "Disabled"), ("schedule_key_deletion", "PendingDeletion"), ("enable_key", "Enabled")]


@pytest.mark.parametrize(("operation", "state"), STATES, ids=[row[0] for row in STATES])
def test_state_is_described(kms, key_id, operation, state):
    getattr(kms, operation)(KeyId=key_id)
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == state


def test_cancelled_deletion_leaves_the_key_disabled(kms, key_id):
    kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    kms.cancel_key_deletion(KeyId=key_id)
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Disabled"


def test_mac_is_verified(kms):
    mac_key = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["Arn"]
    request = {"KeyId": mac_key, "MacAlgorithm": "HMAC_SHA_256", "Message": b"message"}
    mac = kms.generate_mac(**request)["Mac"]
    assert mac == kms.generate_mac(**request)["Mac"]
    assert kms.verify_mac(**request, Mac=mac)["MacValid"] is True
    assert code_of(kms.verify_mac, **request, Mac=b"x" * 32) == "KMSInvalidMacException"
