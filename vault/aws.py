"""The clients that talk to AWS, and what their errors mean."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError as NoConnection,
    HTTPClientError,
    NoCredentialsError,
    SSLError,
)

from vault import embedded
from vault.exceptions import RecordTampered, Tampering, VaultError, VaultSealed, VaultUnavailable
from vault.gate import Gate
from vault.guard import refuse_plaintext

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient

logger = logging.getLogger(__name__)

# In these botocore searches every action for the ARN of a table, whose account may have an endpoint of its own. Tables
# go by name here, the search finds none, and it takes a twentieth of the time of keeping a thousand cards.
_OF_MANY_ITEMS: Final = ("TransactWriteItems", "BatchGetItem")

#: For how many seconds nobody looks for credentials again after there were none.
CREDENTIALS_PAUSE: Final = 5.0


class AWSSession:
    """The clients of one region. Build it after fork, once per process; clients may be shared between threads.

    Whoever asks for one gets the same: a connection that one of them opened serves all, and a client takes longer to
    build than most calls to answer.

    :param embedded_dir: answer from the SQLite engine in this folder instead of AWS
    :param decrypt_key: the KMS key that a Decrypt names when its caller names none, as AWS's item encryptor does
    :param gate: how many calls may be on their way at once, of all clients of this session together
    """

    def __init__(
        self,
        *,
        region: str,
        decrypt_key: str,
        config: Config,
        profile: str = "",
        endpoint_url: str = "",
        embedded_dir: Path | None = None,
        gate: Gate | None = None,
    ) -> None:
        session = botocore.session.Session(profile=profile or None)
        session.set_config_variable("region", region)
        if embedded_dir is not None:
            session.set_credentials("embedded", "embedded")
            embedded.install(session, embedded_dir)
        session.register("before-call", refuse_plaintext)
        session.register("before-parameter-build.kms.Decrypt", _KeyIdOnDecrypt(decrypt_key))
        events = session.get_component("event_emitter")
        # Before boto's own rules, which give up at once.
        events.register_first("needs-retry", _RenewCredentials(session))
        if gate is not None:
            # Last: what another handler stops or answers takes no place.
            events.register_last("before-call", gate.enter)
            # First: what another handler raises does not keep one.
            events.register_first("after-call", gate.leave)
            events.register_first("after-call-error", gate.leave)
        self.botocore = session
        self._session = boto3.session.Session(botocore_session=session)
        self._config = config
        self._endpoint_url = endpoint_url or None
        # boto3 builds one client at a time.
        self._lock = threading.Lock()
        self._dynamodb: DynamoDBClient | None = None
        self._kms: dict[str, KMSClient] = {}
        self._asks_again_at = 0.0
        self._without_credentials = ""

    def dynamodb(self) -> DynamoDBClient:
        """The client of the tables. Raises `VaultSealed` while there are no credentials."""
        with self._lock:
            if self._dynamodb is None:
                self._require_credentials()
                # Validation takes a fifth of the time of writing a hundred cards, and its errors quote values. What is
                # malformed DynamoDB refuses.
                config = self._config.merge(Config(parameter_validation=False))
                client = self._session.client("dynamodb", config=config, endpoint_url=self._endpoint_url)
                for operation in _OF_MANY_ITEMS:
                    client.meta.service_model.operation_model(operation).operation_context_parameters = []
                self._dynamodb = client
            return self._dynamodb

    def kms(self, *, decrypt_key: str = "") -> KMSClient:
        """A client; with `decrypt_key` a Decrypt that names no key names that one.

        Raises `VaultSealed` while there are no credentials.
        """
        with self._lock:
            if decrypt_key not in self._kms:
                self._require_credentials()
                client = self._session.client("kms", config=self._config, endpoint_url=self._endpoint_url)
                if decrypt_key:
                    # Before the session's own, which then finds that a key is named.
                    client.meta.events.register_first(
                        "before-parameter-build.kms.Decrypt", _KeyIdOnDecrypt(decrypt_key)
                    )
                self._kms[decrypt_key] = client
            return self._kms[decrypt_key]

    def _require_credentials(self) -> None:
        """Called with the lock."""
        # A client that is built without has none for good, and clients are kept. Where credentials come from may just
        # not be up yet, and is asked again; but not by everybody, who would wait for it one after the other.
        if time.monotonic() < self._asks_again_at:
            raise _sealed(self._without_credentials)
        try:
            with aws_boundary():
                if self.botocore.get_credentials() is None:
                    raise NoCredentialsError
        except VaultError as error:
            self._asks_again_at = time.monotonic() + CREDENTIALS_PAUSE
            self._without_credentials = error.aws_answer
            raise

    def key_arn(self, name: str) -> str:
        """The ARN of the KMS key that a name stands for now; raises `VaultSealed` or `VaultUnavailable`."""
        with aws_boundary():
            return self.kms().describe_key(KeyId=name)["KeyMetadata"]["Arn"]

    def key_policy(self, name: str) -> str:
        """The policy of a KMS key as JSON; raises `VaultSealed` or `VaultUnavailable`."""
        arn = self.key_arn(name)
        with aws_boundary():
            return self.kms().get_key_policy(KeyId=arn, PolicyName="default")["Policy"]

    def require_key(self, name: str) -> None:
        """Return if the KMS key is there and enabled; raises `VaultSealed` or `VaultUnavailable`."""
        with aws_boundary():
            metadata = self.kms().describe_key(KeyId=name)["KeyMetadata"]
        if metadata["KeyState"] != "Enabled":
            raise _sealed("DescribeKey: DisabledException")


def _sealed(answer: str) -> VaultSealed:
    sealed = VaultSealed()
    sealed.aws_answer = answer
    return sealed


def client_config(*, connect_timeout: float, read_timeout: float, max_attempts: int, max_connections: int) -> Config:
    """How long to wait, in seconds, and how often to ask. The defaults of boto3 are 60 seconds and no keep-alive."""
    return Config(  # type: ignore[call-arg] # the stubs lack the first one
        # AWS_ENDPOINT_URL and endpoint_url in a profile would send cards elsewhere, past settings.VAULT and its checks.
        ignore_configured_endpoint_urls=True,
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": max_attempts},
        max_pool_connections=max_connections,
        tcp_keepalive=True,
    )


def put_new(dynamodb: DynamoDBClient, *, table: str, key: str, item: Any) -> bool:
    """Write an item where there is none under its `key` attribute; False, and nothing is written, if there is one.

    Errors of AWS come as they are: see `aws_boundary`.
    """
    try:
        dynamodb.put_item(
            TableName=table,
            Item=item,
            ConditionExpression="attribute_not_exists(#key)",
            ExpressionAttributeNames={"#key": key},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


class _KeyIdOnDecrypt:
    """Without a KeyId, KMS opens whatever any key of the account has wrapped: a foreign item would be accepted."""

    def __init__(self, key_id: str) -> None:
        self._key_id = key_id

    def __call__(self, **event: Any) -> None:
        event["params"].setdefault("KeyId", self._key_id)


class _RenewCredentials:
    """Asks for credentials anew, once for a request, when AWS says that they have expired.

    boto renews those of a role shortly before their end, and by the clock of this machine. If that is wrong, or if they
    were revoked, it would use them on and on.
    """

    def __init__(self, session: botocore.session.Session) -> None:
        self._session = session

    def __call__(self, *, attempts: int, response: tuple[Any, Mapping[str, Any]] | None, **_: Any) -> float | None:
        code = response[1].get("Error", {}).get("Code") if response else None
        credentials = self._session.get_credentials()
        if attempts > 1 or code not in _EXPIRED or not isinstance(credentials, RefreshableCredentials):
            return None
        try:
            # botocore has no public way to do this; a test would notice.
            with credentials._refresh_lock:  # type: ignore[attr-defined]  # noqa: SLF001
                credentials._protected_refresh(is_mandatory=True)  # type: ignore[attr-defined]  # noqa: SLF001
        except Exception as error:  # noqa: BLE001 - whatever a source of credentials raises; AWS's own answer stands
            logger.error("The credentials could not be renewed (%s)", type(error).__name__)  # noqa: TRY400
            return None
        # At once: what is sent again is signed anew.
        return 0


# --- What errors mean ----------------------------------------------------------------------------------------------

_UNAVAILABLE: Final = frozenset(
    [
        "InternalServerError",
        "InternalFailure",
        "InternalFailureException",
        "KMSInternalException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "DependencyTimeoutException",
        "KeyUnavailableException",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
        "500",
        "502",
        "503",
        "504",
    ]
)
_EXPIRED: Final = frozenset({"ExpiredTokenException", "ExpiredToken"})
# What a wrong clock is answered with. AWS bears five minutes.
_SIGNATURE: Final = frozenset({"InvalidSignatureException", "RequestExpired", "SignatureDoesNotMatch"})
_BORNE: Final = timedelta(minutes=5)
CLOCK_WRONG: Final = "ClockWrong"
CREDENTIALS_STILLBORN: Final = "CredentialsStillExpired"
_TAMPERED: Final = {
    "InvalidCiphertextException": Tampering.SIGNATURE,
    "IncorrectKeyException": Tampering.FOREIGN_KEY,
}


def classify(error: BaseException) -> VaultError:
    """The state that an error of AWS stands for.

    Whatever is not known to pass by itself or to say something about one item means that the vault cannot be opened.
    """
    if isinstance(error, VaultError):
        return error
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        state = _state(code, status)
        # The code alone: messages of AWS quote ARNs, and validation errors quote values.
        state.aws_answer = f"{error.operation_name}: {code}"
        if code in _SIGNATURE and (minutes := _minutes_behind(error.response)):
            side = "behind" if minutes > 0 else "ahead of"
            logger.error("The clock of this machine is %s that of AWS by %d minutes", side, abs(minutes))
            state.aws_answer = f"{error.operation_name}: {CLOCK_WRONG} {abs(minutes)}"
    elif isinstance(error, RuntimeError):
        # What botocore raises if credentials that it was given just now have expired already.
        state = VaultSealed()
        state.aws_answer = CREDENTIALS_STILLBORN
    else:
        # A certificate that does not verify will not verify at the next attempt either.
        is_passing = isinstance(error, HTTPClientError | NoConnection) and not isinstance(error, SSLError)
        state = VaultUnavailable() if is_passing else VaultSealed()
        state.aws_answer = type(error).__name__
    logger.warning("AWS refused or did not answer (%s)", state.aws_answer)
    return state


def _minutes_behind(response: Mapping[str, Any]) -> int:
    """By how many minutes this machine's clock is behind AWS's, which dates its answers; 0 for what AWS bears."""
    dated = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        behind = parsedate_to_datetime(dated) - datetime.now(UTC)
    except (TypeError, ValueError):
        return 0
    return round(behind.total_seconds() / 60) if abs(behind) > _BORNE else 0


def _state(code: str, status: int) -> VaultError:
    if code in _TAMPERED:
        return RecordTampered(_TAMPERED[code])
    return VaultUnavailable() if code in _UNAVAILABLE or status >= 500 else VaultSealed()  # noqa: PLR2004 - HTTP


@contextmanager
def aws_boundary() -> Iterator[None]:
    """Nothing of AWS passes upward but as a `VaultError`; the original, which may quote values, is cut off."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise classify(error) from None
    except RuntimeError as error:
        # Subclasses, such as RecursionError, are errors of ours.
        if type(error) is not RuntimeError:
            raise
        raise classify(error) from None
