"""The wire to AWS in a test: counts the requests on it and lets some of them fail, below boto's own retries."""

import json
from collections import Counter
from dataclasses import dataclass

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError

from vault.backend import Vault


@dataclass
class Fault:
    """An answer that AWS gives instead of doing what it was asked."""

    code: str
    status: int
    left: float


class Wire:
    """Hooks on the session of a vault. Make it before the vault's clients are made.

    The embedded engine does not do what a fault has refused. Moto does, and only its answer is replaced: there a fault
    is an answer that got lost on the way.
    """

    def __init__(self, vault: Vault) -> None:
        self.calls: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self._faults: dict[str, Fault] = {}
        self._lost: Counter[str] = Counter()
        events = vault.session.botocore.get_component("event_emitter")
        events.register_first("before-send", self._before_send)
        events.register("response-received", self._received)

    def fail(self, operation: str, code: str, *, status: int = 400, times: float = float("inf")) -> None:
        """Let the next requests for an operation fail; `Timeout` as code raises instead of answering."""
        self._faults[operation] = Fault(code, status, times)

    def lose_answer(self, operation: str, times: int = 1) -> None:
        """AWS does what it is asked, and the answer never arrives."""
        self._lost[operation] += times

    def heal(self) -> None:
        self._faults.clear()

    def _before_send(self, request, event_name, **_):
        operation = event_name.rpartition(".")[2]
        self.calls[operation] += 1
        self.bodies.append(request.body or b"")
        fault = self._faults.get(operation)
        if fault is None or fault.left <= 0:
            return None
        fault.left -= 1
        if fault.code == "Timeout":
            raise ReadTimeoutError(endpoint_url=request.url)
        return _answer(request, fault)

    def _received(self, event_name, exception, **_):
        operation = event_name.rpartition(".")[2]
        if exception is None and self._lost[operation] > 0:
            self._lost[operation] -= 1
            raise ReadTimeoutError(endpoint_url="lost")


def _answer(request, fault):
    body = json.dumps({"__type": f"com.amazonaws#{fault.code}", "message": "injected"}).encode()

    class Raw:
        def stream(self, *_, **__):
            yield body

        def read(self, *_, **__):
            return body

    return AWSResponse(request.url, fault.status, {"Content-Type": "application/x-amz-json-1.0"}, Raw())


@pytest.fixture
def wire(vault) -> Wire:
    """The wire of this test's vault, before the first request."""
    return Wire(vault)
