"""What goes wrong in a worker: AWS fails, at random from the seed, and the process dies at a step that was drawn."""

import json
import os
import random
import signal

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError
from django.db import connections

#: How often a request to AWS fails, and how.
RATE = 0.015
_KINDS = ("throttled", "broken", "silent", "lost")
_THROTTLED = {"dynamodb": "ProvisionedThroughputExceededException", "kms": "ThrottlingException"}
_BROKEN = {"dynamodb": "InternalServerError", "kms": "KMSInternalException"}


class Faults:
    """Stands at the session of a vault and at both connections. Make it before the vault's clients are made."""

    def __init__(self, vault) -> None:
        self._source = random.Random()  # noqa: S311 - seeded for each operation
        self._rate = 0.0
        self._dies_at = 0
        self._step = 0
        events = vault.session.botocore.get_component("event_emitter")
        events.register_first("before-send", self._before_send)
        events.register("response-received", self._received)
        for connection in connections.all():
            connection.execute_wrappers.append(self._executed)
            self._around_commit(connection)

    def begin(self, seed: str, *, rate: float, dies_at: int) -> None:
        """From here on, until `end`. `dies_at` counts statements, commits, and requests to AWS and their answers."""
        self._source.seed(seed)
        self._rate, self._dies_at, self._step = rate, dies_at, 0

    def end(self) -> None:
        """What was to die and did not get that far dies now: it was answered, and nobody heard of it."""
        if self._dies_at:
            _die()
        self._rate = 0.0

    def _pass(self) -> None:
        self._step += 1
        if self._step == self._dies_at:
            _die()

    def _before_send(self, request, event_name, **_):
        self._pass()
        if self._source.random() >= self._rate:
            return None
        service = event_name.split(".")[1]
        match self._source.choice(_KINDS):
            case "throttled":
                return _answer(request, 400, _THROTTLED[service])
            case "broken":
                return _answer(request, 500, _BROKEN[service])
            case "silent":
                raise ReadTimeoutError(endpoint_url="silent")
        # AWS does what it is asked, and then nothing arrives.
        self._loses = True
        return None

    _loses = False

    def _received(self, exception, **_):
        loses, self._loses = self._loses, False
        self._pass()
        if loses and exception is None:
            raise ReadTimeoutError(endpoint_url="lost")

    def _executed(self, execute, sql, params, many, context):
        self._pass()
        return execute(sql, params, many, context)

    def _around_commit(self, connection) -> None:
        commit = connection._commit

        def committing():
            self._pass()
            commit()
            self._pass()

        connection._commit = committing


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _answer(request, status, code):
    body = json.dumps({"__type": f"com.amazonaws#{code}", "message": "injected"}).encode()

    class Raw:
        def stream(self, *_, **__):
            yield body

        def read(self, *_, **__):
            return body

    return AWSResponse(request.url, status, {"Content-Type": "application/x-amz-json-1.0"}, Raw())
