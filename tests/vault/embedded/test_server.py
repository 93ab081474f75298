"""The stand-in for AWS: a process that any client of AWS may talk to."""

import http.client
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from django.core.management import CommandError, call_command

from tests.vault.embedded.sessions import ABSENT, REGION, TABLE, code_of, create_table, item, key, scan
from tests.vault.embedded.standins import standing_in
from vault.embedded import server
from vault.embedded.server import EmbeddedServer
from vault.management.commands.vault_embedded import ADDRESS_REFUSED, FILE_REFUSED, REAL_CARDS_REFUSED, ROLES_REFUSED


def client(service, url, *, access_key="access"):
    return boto3.client(
        service, endpoint_url=url, region_name=REGION, aws_access_key_id=access_key, aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip


@pytest.fixture
def answering(directory):
    """The server in this process, and its address."""
    with EmbeddedServer(("127.0.0.1", 0), directory) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made, f"http://127.0.0.1:{made.server_port}"
        made.stop()
        thread.join()


def test_it_does_what_the_engine_in_process_does_with_the_same_files(answering, directory, session):
    _, url = answering
    dynamodb, kms = client("dynamodb", url), client("kms", url)
    create_table(dynamodb)
    dynamodb.put_item(TableName=TABLE, Item=item("a"), **ABSENT)
    assert code_of(dynamodb.put_item, TableName=TABLE, Item=item("a"), **ABSENT) == "ConditionalCheckFailedException"
    assert scan(session.client("dynamodb")) == ["a"]
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    sealed = kms.encrypt(KeyId=arn, Plaintext=b"secret", EncryptionContext={"a": "b"})["CiphertextBlob"]
    opened = session.client("kms").decrypt(CiphertextBlob=sealed, EncryptionContext={"a": "b"})
    assert opened["Plaintext"] == b"secret"


def test_of_many_at_once_one_is_first(answering):
    _, url = answering
    dynamodb = client("dynamodb", url)
    create_table(dynamodb)
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(code_of, dynamodb.put_item, TableName=TABLE, Item=item("a"), **ABSENT) for _ in range(64)]
    assert [call.result() for call in calls].count("accepted") == 1


def asked(url, method="POST", body=b"", **headers):
    """The status and the content of an answer to whatever is sent."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)) as connection:
        connection.request(method, "/", body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()


SIGNED = "AWS4-HMAC-SHA256 Credential=access/20260101/eu-central-1/dynamodb/aws4_request, Signature=x"
SCAN, PUT = "DynamoDB_20120810.Scan", "DynamoDB_20120810.PutItem"
NONSENSE = [
    ({"method": "GET"}, 200, b"healthy"),
    ({"method": "PUT"}, 501, b""),
    ({}, 400, b"UnknownOperationException"),
    ({"X_Amz_Target": "S3.ListBuckets"}, 400, b"UnknownOperationException"),
    ({"X_Amz_Target": "DynamoDB_20120810.Query"}, 400, b"UnknownOperationException"),
    ({"X_Amz_Target": SCAN, "body": b"{}"}, 400, b"MissingAuthenticationTokenException"),
    ({"X_Amz_Target": SCAN, "Authorization": SIGNED, "body": b"[1]"}, 400, b"SerializationException"),
    ({"X_Amz_Target": SCAN, "Authorization": SIGNED, "body": b"\xff"}, 400, b"SerializationException"),
    ({"X_Amz_Target": SCAN, "Authorization": SIGNED, "body": b'{"TableName": []}'}, 500, b"InternalServerError"),
    ({"X_Amz_Target": PUT, "Authorization": SIGNED, "body": b'{"TableName": "t", "Item": 5}'}, 500, b"InternalServerError"),
    ({"X_Amz_Target": SCAN, "Content_Length": str(16 * 1024**2 + 1)}, 413, b"RequestEntityTooLarge"),
    ({"X_Amz_Target": SCAN, "Content_Length": "-1"}, 413, b"RequestEntityTooLarge"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "status", "code"), NONSENSE, ids=[str(row[0])[:60] for row in NONSENSE])
def test_nonsense_is_refused_and_the_next_request_answered(answering, sent, status, code):
    _, url = answering
    found, content = asked(url, **sent)
    assert found == status
    assert code in content
    assert asked(url, method="GET")[0] == 200


def test_what_was_begun_is_finished_before_it_stops(answering, monkeypatch):
    made, url = answering
    dynamodb = client("dynamodb", url)
    create_table(dynamodb)
    has_begun, may_go_on = threading.Event(), threading.Event()
    service = made.services["DynamoDB_20120810"]
    answer = type(service).answer

    def slowly(*arguments):
        has_begun.set()
        may_go_on.wait(10)
        return answer(*arguments)

    monkeypatch.setattr(type(service), "answer", slowly)
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(code_of, dynamodb.put_item, TableName=TABLE, Item=item("a"))
        assert has_begun.wait(10)
        stopping = pool.submit(made.stop)
        time.sleep(0.2)
        assert not stopping.done()
        may_go_on.set()
        stopping.result()
        assert writing.result() == "accepted"


def test_it_does_not_wait_for_ever(answering, monkeypatch):
    made, _ = answering
    monkeypatch.setattr(server, "_DRAIN_SECONDS", 0.1)
    made.count(1)
    start = time.monotonic()
    made.stop()
    assert time.monotonic() - start < 5


# --- The command -------------------------------------------------------------------------------------------------------


def test_a_process_answers_by_role_keeps_what_it_took_and_ends_at_sigterm(directory):
    everything = [{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}]
    with standing_in(directory, roles={"operator": everything, "nobody": []}) as stand_in:
        operator = client("dynamodb", stand_in.url, access_key="operator")
        create_table(operator)
        operator.put_item(TableName=TABLE, Item=item("a"))
        nobody = client("dynamodb", stand_in.url, access_key="nobody")
        assert code_of(nobody.get_item, TableName=TABLE, Key=key("a")) == "AccessDeniedException"
        stand_in.process.send_signal(signal.SIGTERM)
        assert stand_in.process.wait(10) == 0
        assert "Traceback" not in stand_in.log.read_text()
    with standing_in(directory) as again:
        assert scan(client("dynamodb", again.url)) == ["a"]


def test_it_does_not_run_where_real_cards_are(settings, tmp_path):
    for allowed in ({"EMBEDDED_ALLOWED": False}, {}):
        settings.VAULT = {"EMBEDDED_DIR": str(tmp_path / "none"), **allowed}
        with pytest.raises(CommandError) as refused:
            # A port that cannot be: what is not refused here must not begin to wait.
            call_command("vault_embedded", port=70_000)
        assert str(refused.value) == REAL_CARDS_REFUSED
    assert not (tmp_path / "none").exists()


def test_what_it_cannot_start_with_is_said(settings, tmp_path):
    settings.VAULT = {"EMBEDDED_DIR": str(tmp_path / "none"), "EMBEDDED_ALLOWED": True}
    (tmp_path / "list.json").write_text("[]")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refusals = [
            ({"roles": tmp_path / "list.json"}, ROLES_REFUSED),
            ({"roles": tmp_path / "none.json"}, FILE_REFUSED),
            ({"port": taken.getsockname()[1]}, ADDRESS_REFUSED),
            ({"port": 70_000}, ADDRESS_REFUSED),
        ]
        for options, said in refusals:
            with pytest.raises(CommandError) as refused:
                call_command("vault_embedded", **({"port": 0} | options))
            assert str(refused.value) == said
