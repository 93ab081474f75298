"""What goes wrong in a worker: AWS fails, connections are cut and the process dies, as the seed draws it."""

import random
from contextlib import suppress

from django.db import connections

from tests.faults import Moment, Point, acts
from tests.wire import Wire

#: How often a request to AWS fails.
RATE = 0.015
_KINDS = ("throttled", "broken", "silent", "refused", "lost", "lost for good", "half")
_THROTTLED = {"dynamodb": "ProvisionedThroughputExceededException", "kms": "ThrottlingException"}
_BROKEN = {"dynamodb": "InternalServerError", "kms": "KMSInternalException"}


class Faults:
    """Stands at the session of a vault and at both connections. Make it before the vault's clients are made."""

    def __init__(self, vault) -> None:
        self._source = random.Random()  # noqa: S311 - seeded for each operation
        self._wire = Wire(vault)
        self.heal()
        events = vault.session.botocore.get_component("event_emitter")
        events.register_first("before-send", self._before_call)
        events.register("response-received", self._after_call)
        for connection in connections.all():
            _Watch(self, connection)

    def begin(self, seed: str, *, rate: float, dies_at: int, cut_at: int) -> None:
        """From here on, until `end`. Steps are statements, commits, and requests to AWS and their answers.

        At `dies_at` the process is no more, and at `cut_at` its connection; 0 is never.
        """
        self._source.seed(seed)
        self._rate, self._dies_at, self._cut_at, self._step = rate, dies_at, cut_at, 0

    def end(self) -> None:
        """What was to die and did not get that far dies now: it was answered, and nobody heard of it."""
        if self._dies_at:
            acts.kill(None)
        self.heal()

    def heal(self) -> None:
        """Nothing happens any more."""
        self._wire.heal()
        self._rate = self._dies_at = self._cut_at = self._step = 0

    def step(self, connection=None, *, is_done: bool = False) -> None:
        """The program is at the next step; `is_done` if it learns now that the server did what it was asked."""
        self._step += 1
        if self._step == self._dies_at:
            acts.kill(None)
        if connection is not None and self._cut_at and self._step >= self._cut_at:
            self._cut_at = 0
            # On SQLite there is no connection that could be cut.
            with suppress(NotImplementedError):
                (acts.lose if is_done else acts.disconnect)(Moment(_ANYWHERE, connection=connection))

    def _before_call(self, event_name, **_):
        if getattr(self._wire._thread, "is_performing", False):
            return
        self.step()
        if self._source.random() >= self._rate:
            return
        _, service, operation = event_name.split(".")
        match self._source.choice(_KINDS):
            case "throttled":
                self._wire.fail(operation, _THROTTLED[service], times=1)
            case "broken":
                self._wire.fail(operation, _BROKEN[service], status=500, times=1)
            case "silent":
                self._wire.fail(operation, "Timeout", times=1)
            case "refused":
                self._wire.fail(operation, "Refused", times=1)
            case "lost":
                self._wire.lose_answer(operation)
            case "lost for good":
                self._wire.interrupt(operation)
            case "half" if operation == "BatchGetItem":
                self._wire.halve(operation)

    def _after_call(self, **_):
        self.step()


_ANYWHERE = Point("before", "call Decrypt")


class _Watch:
    """Tells of the statements and commits of a connection."""

    def __init__(self, faults: Faults, connection) -> None:
        self._faults, self._connection, self._commit = faults, connection, connection._commit
        connection.execute_wrappers.append(self._executed)
        connection._commit = self._committed

    def _executed(self, execute, sql, params, many, context):
        self._faults.step(self._connection)
        result = execute(sql, params, many, context)
        self._faults.step(self._connection, is_done=True)
        return result

    def _committed(self):
        self._faults.step(self._connection)
        self._commit()
        self._faults.step(self._connection, is_done=True)
