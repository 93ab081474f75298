"""What the engine does not implement it refuses, and nothing reaches the network: sockets are closed in these tests."""

import io
import socket

import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.vault.embedded.sessions import ABSENT, TABLE, code_of, create_table, item, key, put, scan
from vault.embedded import ServiceNotEmbedded, database

RANGED = [{"AttributeName": "token", "KeyType": "HASH"}, {"AttributeName": "part", "KeyType": "RANGE"}]


@pytest.fixture(autouse=True)
def no_socket(monkeypatch):
    def refuse(*_, **__):
        pytest.fail("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


OTHER_SERVICES = [("s3", "list_buckets"), ("sts", "get_caller_identity"), ("dynamodbstreams", "list_streams")]


@pytest.mark.parametrize(("service", "operation"), OTHER_SERVICES, ids=[row[0] for row in OTHER_SERVICES])
def test_other_service_is_refused(session, service, operation):
    client = session.client(service)
    with pytest.raises(ServiceNotEmbedded):
        getattr(client, operation)()


UNKNOWN_OPERATIONS = [
    ("dynamodb", "update_item", {"TableName": TABLE, "Key": key("a")}),
    ("dynamodb", "query", {"TableName": TABLE}),
    ("dynamodb", "execute_statement", {"Statement": "SELECT * FROM cards"}),
    ("kms", "re_encrypt", {"CiphertextBlob": b"x", "DestinationKeyId": "x"}),
    ("kms", "generate_random", {"NumberOfBytes": 1}),
]


@pytest.mark.parametrize(
    ("service", "operation", "parameters"), UNKNOWN_OPERATIONS, ids=[row[1] for row in UNKNOWN_OPERATIONS]
)
def test_unknown_operation_is_refused(session, service, operation, parameters):
    client = session.client(service)
    assert code_of(getattr(client, operation), **parameters) == "UnknownOperationException"


UNKNOWN_PARAMETERS = [
    ("get_item", {"Key": key("a"), "ProjectionExpression": "sealed"}, "ProjectionExpression"),
    ("put_item", {"Item": item("a"), "ReturnConsumedCapacity": "TOTAL"}, "ReturnConsumedCapacity"),
    ("put_item", {"Item": item("a"), "Expected": {}}, "Expected"),
    ("scan", {"FilterExpression": "attribute_exists(sealed)"}, "FilterExpression"),
    ("scan", {"IndexName": "fingerprints"}, "IndexName"),
    ("update_table", {"StreamSpecification": {"StreamEnabled": True}}, "StreamSpecification"),
    ("update_table", {"SSESpecification": {"Enabled": True, "SSEType": "AES256"}}, "SSEType"),
    ("update_table", {"BillingMode": "PROVISIONED"}, "BillingMode"),
]


@pytest.mark.parametrize(
    ("operation", "parameters", "name"),
    UNKNOWN_PARAMETERS,
    ids=[f"{row[0]} {row[2]}" for row in UNKNOWN_PARAMETERS],
)
def test_unknown_parameter_is_refused_by_name(dynamodb, operation, parameters, name):
    with pytest.raises(ClientError) as refused:
        getattr(dynamodb, operation)(TableName=TABLE, **parameters)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert name in refused.value.response["Error"]["Message"]


def test_missing_parameter_is_refused_by_name(session):
    client = session.client("dynamodb", config=Config(parameter_validation=False))
    with pytest.raises(ClientError, match=r"ValidationException.*Key is required"):
        client.get_item(TableName=TABLE)


NESTED = [
    (
        "transact_write_items",
        {"TransactItems": [{"Update": {"TableName": TABLE, "Key": key("a"), "UpdateExpression": "x"}}]},
    ),
    ("transact_write_items", {"TransactItems": [{}]}),
    ("batch_get_item", {"RequestItems": {TABLE: {"Keys": [key("a")], "ProjectionExpression": "sealed"}}}),
    ("batch_write_item", {"RequestItems": {TABLE: [{}]}}),
]


@pytest.mark.parametrize(("operation", "parameters"), NESTED, ids=["update", "no action", "projection", "no request"])
def test_unknown_part_of_a_request_is_refused(dynamodb, operation, parameters):
    assert code_of(getattr(dynamodb, operation), **parameters) == "ValidationException"


OUT_OF_RANGE = [
    ("hash key over 2048 bytes", "get_item", {"TableName": TABLE, "Key": key("x" * 2049)}),
    ("page of no item", "scan", {"TableName": TABLE, "Limit": 0}),
    ("page of no table", "list_tables", {"Limit": 0}),
    ("no setting", "update_table", {"TableName": TABLE}),
    (
        "recovery of 36 days",
        "update_continuous_backups",
        {
            "TableName": TABLE,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 36},
        },
    ),
]


@pytest.mark.parametrize(
    ("operation", "parameters"), [row[1:] for row in OUT_OF_RANGE], ids=[row[0] for row in OUT_OF_RANGE]
)
def test_parameter_out_of_range_is_refused(session, dynamodb, operation, parameters):
    # botocore would refuse some of these itself.
    client = session.client("dynamodb", config=Config(parameter_validation=False))
    assert code_of(getattr(client, operation), **parameters) == "ValidationException"


def test_arn_of_another_account_is_unknown(dynamodb):
    arn = f"arn:aws:dynamodb:eu-central-1:999999999999:table/{TABLE}"
    assert code_of(dynamodb.list_tags_of_resource, ResourceArn=arn) == "ResourceNotFoundException"


def test_key_of_a_table_changes(session, dynamodb):
    def arn_after(**specification):
        dynamodb.update_table(TableName=TABLE, SSESpecification=specification)
        return dynamodb.describe_table(TableName=TABLE)["Table"].get("SSEDescription", {}).get("KMSMasterKeyArn")

    own = session.client("kms").create_key()["KeyMetadata"]
    assert arn_after(Enabled=True, SSEType="KMS").endswith("alias/aws/dynamodb")
    assert arn_after(Enabled=True, KMSMasterKeyId=own["KeyId"]) == own["Arn"]
    assert arn_after(Enabled=False) is None


TABLES = [
    ("provisioned", {"BillingMode": "PROVISIONED"}),
    ("bad name", {"TableName": "a b c"}),
    ("key of another type", {"AttributeDefinitions": [{"AttributeName": "token", "AttributeType": "BOOL"}]}),
    ("key without definition", {"KeySchema": RANGED}),
    ("range key alone", {"KeySchema": [{"AttributeName": "token", "KeyType": "RANGE"}]}),
    ("unknown master key", {"SSESpecification": {"Enabled": True, "KMSMasterKeyId": "alias/nowhere"}}),
]


@pytest.mark.parametrize("change", [row[1] for row in TABLES], ids=[row[0] for row in TABLES])
def test_table_that_breaks_a_rule_is_refused(session, change):
    client = session.client("dynamodb")
    request = {
        "TableName": TABLE,
        "KeySchema": RANGED[:1],
        "AttributeDefinitions": [{"AttributeName": "token", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    assert code_of(client.create_table, **request | change) == "ValidationException"
    assert client.list_tables()["TableNames"] == []


def test_messages_hold_no_value(dynamodb):
    dynamodb.put_item(TableName=TABLE, Item=item("hidden"))
    with pytest.raises(ClientError) as conditional:
        dynamodb.put_item(TableName=TABLE, Item=item("hidden"), **ABSENT)
    with pytest.raises(ClientError) as cancelled:
        dynamodb.transact_write_items(TransactItems=[put("hidden", **ABSENT)])
    assert "hidden" not in f"{conditional.value.response} {cancelled.value.response}"


class Body(io.BytesIO):
    def stream(self):
        yield self.read()


def throttle(request, **_):
    return AWSResponse(request.url, 400, {}, Body(b'{"__type": "ThrottlingException"}'))


def time_out(request, **_):
    raise ReadTimeoutError(endpoint_url=request.url)


FAULTS = [("answer", throttle, ClientError), ("exception", time_out, ReadTimeoutError)]


@pytest.mark.parametrize("event", ["before-send", "before-send.dynamodb", "before-send.dynamodb.PutItem"])
@pytest.mark.parametrize(("fault", "error"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_fault_injected_on_the_wire_stops_the_request(dynamodb, event, fault, error):
    dynamodb.meta.events.register(event, fault)
    with pytest.raises(error):
        dynamodb.put_item(TableName=TABLE, Item=item("a"))
    dynamodb.meta.events.unregister(event, fault)
    assert scan(dynamodb) == []


def test_answer_is_shaped_as_http(dynamodb):
    metadata = dynamodb.list_tables()["ResponseMetadata"]
    assert metadata["HTTPStatusCode"] == 200
    assert len(metadata["RequestId"]) == 36
    assert "x-amz-crc32" in metadata["HTTPHeaders"]


def test_unsigned_request_is_refused(session):
    client = session.client("kms", config=Config(signature_version=UNSIGNED))
    assert code_of(client.list_aliases) == "MissingAuthenticationTokenException"


def test_text_that_is_not_unicode_is_refused(dynamodb):
    assert (
        code_of(dynamodb.put_item, TableName=TABLE, Item=item("a") | {"x": {"S": "\ud800"}}) == "SerializationException"
    )


def test_body_that_is_not_json_is_refused(session, dynamodb):
    def spoil(request, **_):
        request.data = b"[" * 100_000

    dynamodb.meta.events.register("before-sign.dynamodb", spoil)
    assert code_of(dynamodb.list_tables) == "SerializationException"


def test_failing_files_are_retried_and_logged_by_name(session, directory, caplog):
    directory.mkdir()
    (directory / database.FILE_NAME).write_bytes(b"no database" * 100)
    client = session.client("dynamodb", config=Config(retries={"total_max_attempts": 2, "mode": "standard"}))
    with pytest.raises(ClientError) as refused:
        client.list_tables()
    assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == 1
    assert [record.getMessage() for record in caplog.records if record.name == "vault.embedded.wire"] == [
        "The embedded engine failed: SQLITE_NOTADB"
    ] * 2


def test_other_sessions_are_left_alone(dynamodb):
    other = botocore.session.Session().create_client(
        "dynamodb", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="s"
    )
    handlers = other.meta.events._emitter._handlers.prefix_search("before-send.dynamodb.ListTables")
    assert not any("vault" in getattr(handler, "__module__", "") for handler in handlers)


def test_ranged_table_keeps_items_apart(session):
    client = session.client("dynamodb")
    client.create_table(
        TableName="ranged",
        KeySchema=RANGED,
        AttributeDefinitions=[
            {"AttributeName": "token", "AttributeType": "N"},
            {"AttributeName": "part", "AttributeType": "B"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    keys = [{"token": {"N": "1"}, "part": {"B": part}} for part in (b"a", b"b", b"\x00")]
    for each in keys:
        client.put_item(TableName="ranged", Item=each)
    client.delete_item(TableName="ranged", Key={"token": {"N": "1.0"}, "part": {"B": b"b"}})
    pages = client.get_paginator("scan").paginate(TableName="ranged", Limit=1)
    assert [found["part"]["B"] for page in pages for found in page["Items"]] == [b"\x00", b"a"]


def test_tables_of_regions_are_apart(session, dynamodb):
    elsewhere = session.client("dynamodb", region_name="us-east-1")
    assert elsewhere.list_tables()["TableNames"] == []
    assert ":us-east-1:" in create_table(elsewhere)["TableArn"]


def test_table_names_are_paged(session):
    client = session.client("dynamodb")
    for name in ("one", "two", "three"):
        client.create_table(
            TableName=name,
            KeySchema=RANGED[:1],
            AttributeDefinitions=[{"AttributeName": "token", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    pages = list(client.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 2}))
    assert [page["TableNames"] for page in pages] == [["one", "three"], ["two"]]
