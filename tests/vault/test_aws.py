import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)
from hypothesis import given, settings, strategies as st

from tests.wire import Fault
from vault import guard
from vault.aws import AWSSession, aws_boundary, classify, client_config
from vault.exceptions import PlaintextRefused, RecordTampered, TokenNotFound, VaultSealed, VaultUnavailable
from vault.gate import Gate
from vault.redaction import contains_pan

URL = "https://kms.example"


def client_error(code, status=400):
    return ClientError(
        {"Error": {"Code": code, "Message": "arn:secret"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Op"
    )


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (client_error("ThrottlingException"), VaultUnavailable),
        (client_error("ProvisionedThroughputExceededException"), VaultUnavailable),
        (client_error("KMSInternalException", 500), VaultUnavailable),
        (client_error("SomethingNew", 503), VaultUnavailable),
        (ReadTimeoutError(endpoint_url=URL), VaultUnavailable),
        (ConnectionClosedError(endpoint_url=URL), VaultUnavailable),
        (EndpointConnectionError(endpoint_url=URL), VaultUnavailable),
        (client_error("AccessDeniedException"), VaultSealed),
        (client_error("DisabledException"), VaultSealed),
        (client_error("KMSInvalidStateException"), VaultSealed),
        (client_error("NotFoundException"), VaultSealed),
        (client_error("ResourceNotFoundException"), VaultSealed),
        (client_error("ExpiredTokenException"), VaultSealed),
        (client_error("SomethingNew"), VaultSealed),
        (NoCredentialsError(), VaultSealed),
        (SSLError(endpoint_url=URL, error="x"), VaultSealed),
        (client_error("InvalidCiphertextException"), RecordTampered),
        (client_error("IncorrectKeyException"), RecordTampered),
        (TokenNotFound(), TokenNotFound),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
def test_what_errors_of_aws_mean(error, state):
    assert type(classify(error)) is state


def test_nothing_of_the_original_error_passes_the_boundary(caplog):
    with caplog.at_level(logging.DEBUG), pytest.raises(VaultSealed) as caught, aws_boundary():
        raise client_error("AccessDeniedException")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "AccessDeniedException" in caplog.text
    assert "arn:secret" not in caplog.text + str(caught.value)


def test_waiting_is_short_and_bounded():
    config = client_config(connect_timeout=1, read_timeout=3, max_attempts=4, max_connections=8)
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (1, 3, 4)


def test_threads_that_ask_for_a_client_get_one_and_the_same(monkeypatch):
    session = aws_session(monkeypatch)
    with ThreadPoolExecutor(8) as threads:
        asked = list(
            threads.map(lambda _: (session.dynamodb(), session.kms(), session.kms(decrypt_key="k")), range(32))
        )
    assert len(set(asked)) == 1
    assert len(set(asked[0])) == 3


@pytest.mark.parametrize("operation", ["TransactWriteItems", "BatchGetItem"])
def test_what_is_not_looked_for_in_requests_for_many_items_changes_no_address(monkeypatch, operation):
    arguments = {
        "TransactWriteItems": {"TransactItems": [{"Put": {"TableName": "cards", "Item": {}}}]},
        "BatchGetItem": {"RequestItems": {"cards": {"Keys": []}}},
    }[operation]
    ours = aws_session(monkeypatch).dynamodb()
    plain = aws_session(monkeypatch).botocore.create_client("dynamodb")
    addresses, searched = [], []
    for client in (ours, plain):
        model = client.meta.service_model.operation_model(operation)
        searched.append(bool(model.operation_context_parameters))
        addresses.append(client._resolve_endpoint_ruleset(model, arguments, {"client_region": "eu-central-1"})[0])
    assert addresses[0] == addresses[1]
    assert searched == [False, True]


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL_DYNAMODB"])
def test_no_variable_of_the_environment_sends_cards_elsewhere(monkeypatch, name):
    monkeypatch.setenv(name, "http://127.0.0.1:4566")
    session = aws_session(monkeypatch)
    assert session.kms().meta.endpoint_url == "https://kms.eu-central-1.amazonaws.com"
    assert session.dynamodb().meta.endpoint_url == "https://dynamodb.eu-central-1.amazonaws.com"


def test_no_profile_sends_cards_elsewhere(monkeypatch, tmp_path):
    profile = tmp_path / "config"
    profile.write_text(
        "[profile shop]\nendpoint_url = http://127.0.0.1:4566\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profile))
    session = aws_session(monkeypatch, profile="shop")
    assert session.kms().meta.endpoint_url == "https://kms.eu-central-1.amazonaws.com"


def aws_session(monkeypatch, **options):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    config = client_config(connect_timeout=1, read_timeout=1, max_attempts=1, max_connections=1)
    return AWSSession(region="eu-central-1", decrypt_key="", config=config, **options)


ROLE = """
<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials>
    <AccessKeyId>KEYOFTHEROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
    <Expiration>2999-01-01T00:00:00Z</Expiration>
  </Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>
"""


@pytest.fixture
def identity(monkeypatch, tmp_path):
    """A role as a pod of Kubernetes has it."""
    token = tmp_path / "token"
    token.write_text("header.payload.signature")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/shop")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """A machine without credentials, of which some can be given."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path / "AWS_CONFIG_FILE"


@pytest.mark.parametrize(
    ("profile", "answer"),
    [("", "NoCredentialsError"), ("[default]\ncredential_process = false\n", "CredentialRetrievalError")],
    ids=["none", "source-fails"],
)
def test_credentials_that_are_not_there_yet_are_looked_for_again(nobody, monkeypatch, profile, answer):
    """As when a machine has just started. boto has a client go on without credentials for good."""
    nobody.write_text(profile)
    config = client_config(connect_timeout=1, read_timeout=1, max_attempts=1, max_connections=1)
    session = AWSSession(region="eu-central-1", decrypt_key="", config=config)
    signed = []

    def answer_kms(request, **_):
        signed.append(request.headers["Authorization"])
        return Fault("NotFoundException", 400, 1).answer(request)

    session.botocore.register("before-send.kms", answer_kms)
    monkeypatch.setattr("vault.aws.CREDENTIALS_PAUSE", 0)
    for build in (session.kms, session.dynamodb):
        with pytest.raises(VaultSealed) as caught:
            build()
        assert caught.value.aws_answer == answer
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "SINCENOW")
    with pytest.raises(VaultSealed) as caught:
        session.require_key("alias/x")
    assert caught.value.aws_answer == "DescribeKey: NotFoundException"
    assert b"Credential=SINCENOW/" in signed[0]


def test_while_there_are_none_not_everybody_looks_for_them(nobody, tmp_path):
    """A source that does not answer takes seconds to say so, and one waits behind the other."""
    asked = tmp_path / "asked"
    nobody.write_text(f"[default]\ncredential_process = sh -c 'echo >> {asked}; false'\n")
    config = client_config(connect_timeout=1, read_timeout=1, max_attempts=1, max_connections=1)
    session = AWSSession(region="eu-central-1", decrypt_key="", config=config)
    for build in (session.kms, session.dynamodb, session.kms):
        with pytest.raises(VaultSealed) as caught:
            build()
        assert caught.value.aws_answer == "CredentialRetrievalError"
    assert asked.read_text() == "\n"


@pytest.mark.parametrize("gate", [None, Gate(1)], ids=["unlimited", "one-call"])
def test_a_role_is_assumed_by_a_token(identity, gate):
    """Credentials come from STS through the same session, past the guard, and within the call that needs them."""
    config = client_config(connect_timeout=1, read_timeout=1, max_attempts=1, max_connections=1)
    session = AWSSession(region="eu-central-1", decrypt_key="", config=config, gate=gate)
    signed = []

    def answer_sts(request, **_):
        return AWSResponse(request.url, 200, {}, SimpleNamespace(stream=lambda *_, **__: [ROLE.encode()]))

    def answer_kms(request, **_):
        signed.append(request.headers["Authorization"])
        return Fault("NotFoundException", 400, 1).answer(request)

    session.botocore.register("before-send.sts", answer_sts)
    session.botocore.register("before-send.kms", answer_kms)
    with pytest.raises(VaultSealed):
        session.require_key("alias/x")
    assert b"Credential=KEYOFTHEROLE/" in signed[0]


def test_a_form_that_carries_a_card_number_is_stopped_as_well(monkeypatch, canary):
    sts = aws_session(monkeypatch).botocore.create_client("sts")
    with pytest.raises(PlaintextRefused):
        sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/shop", RoleSessionName=canary("session name"))


def test_a_card_number_that_is_a_number_is_stopped_as_well(monkeypatch, canary):
    session = aws_session(monkeypatch)
    number = int(canary("limit"))
    calls = [
        lambda: session.dynamodb().scan(TableName="vault", Limit=number),
        lambda: session.kms().generate_random(NumberOfBytes=number),
        lambda: session.botocore.create_client("sts").get_session_token(DurationSeconds=number),
    ]
    for call in calls:
        with pytest.raises(PlaintextRefused):
            call()


@pytest.mark.parametrize("unseen", ["\f", "\b"])
def test_a_card_number_between_escapes_of_json_is_stopped_as_well(monkeypatch, canary, unseen):
    digits = canary("table")
    name = unseen.join(digits[start : start + 4] for start in range(0, len(digits), 4))
    with pytest.raises(PlaintextRefused):
        aws_session(monkeypatch).dynamodb().scan(TableName=f'"{name}\\')


@settings(max_examples=500, deadline=None)
@given(st.from_regex(guard._NAME, fullmatch=True))
def test_in_what_the_guard_passes_by_redaction_sees_no_number(name):
    assert not contains_pan(name)


def test_a_number_in_what_is_nearly_a_name_is_stopped(monkeypatch, canary):
    number = canary("name")
    scan = aws_session(monkeypatch).dynamodb().scan
    for name in (f"fp1_{number}", f"tok1_{number}", f"fp1_{'a' * 64} {number}"):
        with pytest.raises(PlaintextRefused):
            scan(TableName=name)


# --- The guard on the wire: nothing that is not sealed leaves, whoever builds the request -------------------------

READABLE = {"token": {"S": "t"}, "pan": {"S": "hidden"}}


@pytest.fixture
def sealed_item(vault, canary):
    from vault.pan import PAN

    (kept,) = vault.store.keep([PAN(canary("guard"))])
    return vault.session.dynamodb().get_item(TableName=vault.config.TABLE, Key={"token": {"S": kept.token.text}})[
        "Item"
    ]


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("put_item", lambda table, item: {"TableName": table, "Item": item}),
        ("batch_write_item", lambda table, item: {"RequestItems": {table: [{"PutRequest": {"Item": item}}]}}),
        ("transact_write_items", lambda table, item: {"TransactItems": [{"Put": {"TableName": table, "Item": item}}]}),
    ],
    ids=["put", "batch", "transaction"],
)
@pytest.mark.parametrize("change", ["readable", "extra", "text-payload", "unsigned", "plain-bytes", "not-in-blocks"])
def test_a_write_that_is_not_sealed_is_stopped(vault, wire, sealed_item, canary, operation, arguments, change):
    item = {
        "readable": READABLE,
        "extra": sealed_item | {"pan": {"S": "x"}},
        "text-payload": sealed_item | {"payload": {"S": "x"}},
        # As bytes it travels in base64, where nobody sees a card number.
        "plain-bytes": sealed_item | {"payload": {"B": f'{{"pan":"{canary("payload")}"}}'.ljust(48).encode()}},
        "not-in-blocks": sealed_item | {"payload": {"B": b"x" * 47}},
        "unsigned": {name: value for name, value in sealed_item.items() if name != "*amzn-ddb-map-sig*"},
    }[change]
    sent = wire.calls.total()
    with pytest.raises(PlaintextRefused):
        getattr(vault.session.dynamodb(), operation)(**arguments(vault.config.TABLE, item))
    assert wire.calls.total() == sent


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("update_item", {"Key": {"token": {"S": "t"}}, "TableName": "vault-test"}),
        ("execute_statement", {"Statement": "INSERT INTO t VALUE {'a': ?}", "Parameters": [{"S": "x"}]}),
        ("batch_execute_statement", {"Statements": [{"Statement": "DELETE FROM t"}]}),
        ("execute_transaction", {"TransactStatements": [{"Statement": "DELETE FROM t"}]}),
        ("transact_write_items", {"TransactItems": [{"Update": {"TableName": "t", "Key": {"token": {"S": "t"}},
                                                               "UpdateExpression": "SET a = b"}}]}),
    ],
    ids=["update", "partiql", "partiql-batch", "partiql-transaction", "transaction-update"],
)  # fmt: skip
def test_other_ways_of_writing_are_stopped(vault, wire, operation, arguments):
    with pytest.raises(PlaintextRefused):
        getattr(vault.session.dynamodb(), operation)(**arguments)
    assert wire.calls.total() == 0


def test_a_card_number_in_any_request_is_stopped(vault, wire, canary):
    digits = canary("stray")
    with pytest.raises(PlaintextRefused):
        vault.session.kms().generate_data_key(
            KeyId=vault.config.CARD_KEY, NumberOfBytes=32, EncryptionContext={"a": digits}
        )
    with pytest.raises(PlaintextRefused):
        vault.session.dynamodb().get_item(TableName=vault.config.TABLE, Key={"token": {"S": digits}})
    assert wire.calls.total() == 0


def test_a_card_number_in_bytes_is_stopped_too(vault, wire, canary):
    digits = canary("bytes").encode()
    with pytest.raises(PlaintextRefused):
        vault.session.kms().encrypt(KeyId=vault.config.CARD_KEY, Plaintext=digits)
    with pytest.raises(PlaintextRefused):
        vault.session.dynamodb().put_item(
            TableName=vault.config.TABLE,
            Item={
                "token": {"S": "t"},
                "schema_version": {"N": "1"},
                "created_at": {"S": "x"},
                "wrapped_key": {"B": digits},
            },
        )
    assert wire.calls.total() == 0


def test_the_sealed_item_itself_may_be_written(vault, sealed_item):
    vault.session.dynamodb().put_item(TableName=vault.config.TABLE, Item=sealed_item)


def test_decrypt_always_names_a_key(vault, wire):
    kms = vault.session.kms()
    blob = kms.generate_data_key(KeyId=vault.config.FINGERPRINT_KEY, NumberOfBytes=32)["CiphertextBlob"]
    with pytest.raises(kms.exceptions.IncorrectKeyException):
        kms.decrypt(CiphertextBlob=blob)
    assert kms.decrypt(CiphertextBlob=blob, KeyId=vault.config.FINGERPRINT_KEY)["Plaintext"]


def test_a_missing_or_disabled_key_is_told(vault):
    kms = vault.session.kms()
    vault.session.require_key(vault.config.CARD_KEY)
    kms.disable_key(KeyId=kms.describe_key(KeyId=vault.config.CARD_KEY)["KeyMetadata"]["KeyId"])
    for name in (vault.config.CARD_KEY, "alias/nowhere"):
        with pytest.raises(VaultSealed):
            vault.session.require_key(name)
