"""The wire to AWS in a test: counts the requests on it and lets some of them fail, below boto's own retries."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial, wraps
from typing import TYPE_CHECKING

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.hooks import first_non_none_response
from botocore.httpsession import URLLib3Session

if TYPE_CHECKING:
    # Faults are set up in processes in which Django is not yet.
    from vault.backend import Vault

# Codes that raise instead of answering.
_RAISED = {"Timeout": ReadTimeoutError, "Refused": EndpointConnectionError}


@dataclass
class Fault:
    """An answer that AWS gives instead of doing what it was asked."""

    code: str
    status: int
    left: float
    headers: dict[str, str] = field(default_factory=dict)

    def answer(self, request):
        if raised := _RAISED.get(self.code):
            raise raised(endpoint_url=request.url)
        # As AWS does, it quotes what nobody outside should see.
        said = {"__type": f"com.amazonaws#{self.code}", "message": "arn:aws:injected"}
        return _answer(request, said, status=self.status, headers=self.headers)


class Wire:
    """Hooks on the session of a vault. Make it before the vault's clients are made.

    The embedded engine does not do what a fault has refused. Moto does, and only its answer is replaced: there a fault
    is an answer that got lost on the way.

    Without a vault it listens to nothing yet: `every_session(wire.listen)` has it listen to whatever a process makes.
    """

    def __init__(self, vault: Vault | None = None) -> None:
        self.calls: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self._faults: dict[str, Fault] = {}
        self._lost: Counter[str] = Counter()
        self._interrupted: Counter[str] = Counter()
        self._halved: Counter[str] = Counter()
        self._thread = threading.local()
        #: Access keys that AWS calls expired.
        self.expired: set[str] = set()
        #: How much later it is for AWS than for this machine. Five minutes are borne.
        self.ahead = timedelta()
        if vault is not None:
            self.listen(vault.session.botocore)

    def listen(self, session: botocore.session.Session) -> None:
        """Hook into a session, before anybody else."""
        events = session.get_component("event_emitter")
        events.register_first("before-send", partial(self._before_send, events))
        events.register("response-received", self._received)

    def fail(self, operation: str, code: str, *, status: int = 400, times: float = float("inf")) -> None:
        """Let the next requests for an operation fail; `Timeout` and `Refused` as code raise instead of answering."""
        self._faults[operation] = Fault(code, status, times)

    def lose_answer(self, operation: str, times: float = 1) -> None:
        """AWS does what it is asked and the answer never arrives: boto waits in vain, and asks again."""
        self._lost[operation] += times

    def interrupt(self, operation: str, times: float = 1) -> None:
        """AWS does what it is asked, and whoever asked learns nothing of it and gives up."""
        self._interrupted[operation] += times

    def halve(self, operation: str, times: float = 1) -> None:
        """A batch of reads is answered for the first half of its keys; the rest is unprocessed. One key is left out."""
        self._halved[operation] += times

    def heal(self) -> None:
        for faults in (self._faults, self._lost, self._interrupted, self._halved):
            faults.clear()

    def _before_send(self, events, request, event_name, **_):
        if getattr(self._thread, "is_performing", False):
            return None
        operation = event_name.rpartition(".")[2]
        self.calls[operation] += 1
        self.bodies.append(request.body or b"")
        if refused := self._refuse_signature(request):
            return refused
        fault = self._faults.get(operation)
        if fault is not None and fault.left > 0:
            fault.left -= 1
            return fault.answer(request)
        if _spend(self._lost, operation):
            answer = self._perform(events, request, event_name)
            if answer.status_code == 200:
                # For a double that knows what AWS did.
                events.emit(event_name.replace("before-send", "answer-lost"), request=request, answer=answer)
            raise ReadTimeoutError(endpoint_url=request.url)
        if _spend(self._halved, operation):
            return _half(request, self._perform(events, request, event_name))
        return None

    def _refuse_signature(self, request):
        signed = datetime.strptime(_text(request.headers["X-Amz-Date"]), "%Y%m%dT%H%M%S%z")
        now = datetime.now(UTC) + self.ahead
        if abs(now - signed) > timedelta(minutes=5):
            date = {"Date": format_datetime(now, usegmt=True)}
            return Fault("InvalidSignatureException", 400, 1, headers=date).answer(request)
        if _text(request.headers["Authorization"]).partition("Credential=")[2].partition("/")[0] in self.expired:
            return Fault("ExpiredTokenException", 400, 1).answer(request)
        return None

    def _perform(self, events, request, event_name):
        """The answer of whoever answers this session, or of the network."""
        self._thread.is_performing = True
        try:
            answer = first_non_none_response(events.emit(event_name, request=request))
            answer = answer if answer is not None else URLLib3Session().send(request)
            # The embedded engine does its work when its answer is read.
            _ = answer.content
        finally:
            self._thread.is_performing = False
        return answer

    def _received(self, event_name, exception, **_):
        if exception is None and _spend(self._interrupted, event_name.rpartition(".")[2]):
            raise ReadTimeoutError(endpoint_url="lost")


def _spend(left, operation):
    if left[operation] <= 0:
        return False
    left[operation] -= 1
    return True


def _half(request, answer):
    """An answer to BatchGetItem that leaves out the second half of the keys, as DynamoDB does when it is busy."""
    given, said = json.loads(request.body)["RequestItems"], json.loads(answer.content)
    said["UnprocessedKeys"] = {}
    for table, wanted in given.items():
        later = wanted["Keys"][len(wanted["Keys"]) // 2 :]
        said["UnprocessedKeys"][table] = wanted | {"Keys": later}
        found = said["Responses"].get(table, [])
        said["Responses"][table] = [item for item in found if {name: item[name] for name in later[0]} not in later]
    return _answer(request, said)


def _text(header):
    return header.decode() if isinstance(header, bytes) else header


def _answer(request, said, *, status=200, headers=None):
    body = json.dumps(said).encode()

    class Raw:
        def stream(self, *_, **__):
            yield body

        def read(self, *_, **__):
            return body

    headers = HTTPHeaders.from_dict({"Content-Type": "application/x-amz-json-1.0"} | (headers or {}))
    return AWSResponse(request.url, status, headers, Raw())


@contextmanager
def every_session(listen: Callable[[botocore.session.Session], None]):
    """Call `listen` with every session of botocore that is made from now on, here and in processes forked off."""
    make = botocore.session.Session.__init__

    @wraps(make)
    def make_and_listen(session, *arguments, **options):
        make(session, *arguments, **options)
        listen(session)

    botocore.session.Session.__init__ = make_and_listen
    try:
        yield
    finally:
        botocore.session.Session.__init__ = make


@pytest.fixture
def wire(vault) -> Wire:
    """The wire of this test's vault, before the first request."""
    return Wire(vault)
