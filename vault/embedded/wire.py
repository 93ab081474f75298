"""The AWS JSON protocol: a signed HTTP request in, an HTTP response out, and between them one SQLite transaction."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import uuid
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from vault.embedded.database import Database

logger = logging.getLogger(__name__)

_BAD_REQUEST: Final = 400
_INTERNAL_ERROR: Final = 500
# Authorization: AWS4-HMAC-SHA256 Credential=<access key id>/<date>/<region>/<service>/aws4_request, …
_CREDENTIAL_SCOPE = re.compile(r"Credential=([^/]+)/\d{8}/([a-z0-9-]+)/")


class AWSError(Exception):
    """An error as AWS would answer it. Messages are constants: no value of a request is ever part of one."""

    def __init__(
        self, code: str, message: str = "", *, extra: Mapping[str, Any] | None = None, status: int = _BAD_REQUEST
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.extra = extra or {}
        self.status = status


def invalid(message: str) -> AWSError:
    """The error for a request that breaks a rule of the API, or uses a part of it that is not implemented."""
    return AWSError("ValidationException", message)


@dataclass(frozen=True, slots=True)
class Shape:
    """The members of a structure that are implemented; one that lists its choices takes those values alone."""

    required: Collection[str] = ()
    optional: Collection[str] = ()
    choices: Mapping[str, Collection[object]] = field(default_factory=dict)

    def check(self, given: Mapping[str, Any]) -> None:
        """Raise a ValidationException that names the member which is missing or not implemented."""
        for name in self.required:
            if name not in given:
                raise invalid(f"{name} is required.")
        for name, value in given.items():
            if name in self.choices:
                if value not in self.choices[name]:
                    raise invalid(f"This value of {name} is not supported by the embedded engine.")
            elif name not in self.required and name not in self.optional:
                raise invalid(f"{name} is not supported by the embedded engine.")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, inside its transaction."""

    connection: sqlite3.Connection
    directory: Path
    access_key: str
    region: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """What answers an operation: a function of the call, the shape it accepts, and whether it writes."""

    run: Callable[[Call], Mapping[str, Any]]
    shape: Shape
    writes: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """One AWS service, as botocore meets it on its `before-send` event.

    :param name: as it stands in the actions of policies
    :param require: asked before an operation, inside its transaction, with its action; refuses by raising `AWSError`
    """

    name: str
    database: Database
    target: str
    error_prefix: str
    internal_error: str
    operations: Mapping[str, Operation]
    require: Callable[[str, Call], None] | None = None

    def answer(self, request: AWSPreparedRequest) -> AWSResponse:
        """The response to `request`, which is performed when the response is first read."""
        return _Pending(request.url, lambda: self._perform(request))

    def _perform(self, request: AWSPreparedRequest) -> AWSResponse:
        # A refusal is a response too, so that botocore parses and retries it as usual.
        try:
            return _response(request.url, 200, self._run(request))
        except AWSError as error:
            body = {"__type": self.error_prefix + error.code, "message": error.message, **error.extra}
            return _response(request.url, error.status, body)

    def _run(self, request: AWSPreparedRequest) -> Mapping[str, Any]:
        name = self._operation(request)
        operation = self.operations[name]
        access_key, region = _identity(request)
        parameters = _parameters(request)
        operation.shape.check(parameters)
        transaction = self.database.write if operation.writes else self.database.read
        try:
            with transaction() as connection:
                call = Call(connection, self.database.directory, access_key, region, parameters)
                if self.require is not None:
                    self.require(f"{self.name}:{name}", call)
                return operation.run(call)
        except UnicodeEncodeError:
            raise AWSError("SerializationException", "A string is not valid Unicode.") from None
        except (sqlite3.Error, OSError) as error:
            # The text of these errors names files and columns; the name of the code says as much, and no more.
            logger.error("The embedded engine failed: %s", _name(error))  # noqa: TRY400 - no traceback, see above
            message = "The embedded engine could not read or write its files."
            raise AWSError(self.internal_error, message, status=_INTERNAL_ERROR) from None

    def _operation(self, request: AWSPreparedRequest) -> str:
        target, _, name = _header(request, "X-Amz-Target").partition(".")
        if target != self.target or name not in self.operations:
            raise AWSError("UnknownOperationException", "The embedded engine does not implement this operation.")
        return name


def _parameters(request: AWSPreparedRequest) -> dict[str, Any]:
    try:
        parameters = json.loads(request.body or b"{}")  # type: ignore[arg-type]
    except (ValueError, RecursionError):
        parameters = None
    if not isinstance(parameters, dict):
        raise AWSError("SerializationException", "The body is not a JSON object.")
    return parameters


def _identity(request: AWSPreparedRequest) -> tuple[str, str]:
    """The access key and the region of a request."""
    # The scope names the region whatever the endpoint is called; a request without one was never signed.
    scope = _CREDENTIAL_SCOPE.search(_header(request, "Authorization"))
    if scope is None:
        raise AWSError("MissingAuthenticationTokenException", "The request is not signed.")
    return scope.group(1), scope.group(2)


def _header(request: AWSPreparedRequest, name: str) -> str:
    value = request.headers.get(name, "")
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


def _name(error: sqlite3.Error | OSError) -> str:
    return str(getattr(error, "sqlite_errorname", None) or type(error).__name__)


class _Pending(AWSResponse):
    """A response made when botocore reads it.

    botocore calls every handler of `before-send` and takes the first answer. If that is another one, a fault injected
    by a test above all, this one is never read and the request is never performed.
    """

    def __init__(self, url: str, perform: Callable[[], AWSResponse]) -> None:
        self.url = url
        self._perform = perform

    def __getattr__(self, name: str) -> Any:
        # Called for what `__init__` did not set, so once.
        if name not in {"status_code", "headers", "raw", "_content"}:
            raise AttributeError(name)
        vars(self).update(vars(self._perform()))
        return vars(self)[name]


class _Body(BytesIO):
    """The part of a urllib3 response that botocore reads."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


def _response(url: str, status: int, answer: Mapping[str, Any]) -> AWSResponse:
    body = json.dumps(answer, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "Content-Length": str(len(body)),
        "x-amzn-RequestId": str(uuid.uuid4()),
        "x-amz-crc32": str(zlib.crc32(body)),
    }
    return AWSResponse(url, status, HTTPHeaders.from_dict(headers), _Body(body))
