"""The points at which something can happen, and how a process is made to stop at them."""

import json
import logging
import re
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from tests.faults.acts import ACTS
from tests.wire import every_session

#: Statements that write, and into which table.
_WRITE = re.compile(r"\s*(?:(?:INSERT|REPLACE)[\w ]* INTO|UPDATE|DELETE FROM)\s+[`\"]?(\w+)", re.IGNORECASE)
_LINE = re.compile(r"(?P<act>[a-z]+)(?::(?P<arguments>\S+))? (?P<side>before|after) (?P<of>.+?)(?: #(?P<time>\d+|\*))?")
_POINTS = re.compile(r"call \w+|event [\w.]+ \w+|(?:COMMIT|write) of \w+")


@dataclass(frozen=True, slots=True)
class Point:
    """One moment of a program.

    - `call OPERATION`: a request to AWS, each attempt of it; after it means that AWS did what it was asked
    - `event OPERATION OUTCOME`: an event of the audit log, such as `tokenize intent`; after it, it is committed
    - `write of TABLE`: a statement that writes
    - `COMMIT of TABLE`: the end of a transaction that wrote there, be it a single statement
    """

    side: str
    of: str

    def __post_init__(self):
        if self.side not in ("before", "after") or not _POINTS.fullmatch(self.of):
            raise ValueError(f"There is no such point: {self}")
        if self.of.startswith("event") and self.side == "before":
            raise ValueError("Nobody knows of an event before it is written.")

    def __str__(self):
        return f"{self.side} {self.of}"


@dataclass(frozen=True, slots=True)
class Moment:
    """A point that was reached: with which request to AWS, or on which connection to a database."""

    point: Point
    request: Any = None
    connection: Any = None


class Faults:
    """The faults of a process: at which points what happens. `reached` counts the points that were passed."""

    def __init__(self, lines=()):
        self.reached = Counter()
        self._faults = []
        self._lock = threading.Lock()
        self._for_good = ExitStack()
        for line in lines:
            self.add(line)

    def add(self, line):
        """Add a fault, by the line that describes it. Raises `ValueError` for one that says nothing."""
        read = _LINE.fullmatch(line)
        if read is None or read["act"] not in ACTS:
            raise ValueError(f"No fault: {line}")
        arguments = read["arguments"].split(":") if read["arguments"] else []
        self.at(Point(read["side"], read["of"]), partial(_act, ACTS[read["act"]], arguments), time=read["time"] or "1")

    def at(self, point, act, *, time="1"):
        """Call `act` with the moment at which `point` is reached for so many times from now on; `*` is every time."""
        with self._lock:
            first = self.reached[point]
            self._faults.append((point, None if time == "*" else first + int(time), act))

    def clear(self):
        """Nothing happens any more."""
        with self._lock:
            self._faults.clear()

    def reach(self, side, of, **about):
        """The program is at a point: whatever should happen there happens. Gives what an act gives."""
        point = Point(side, of)
        with self._lock:
            self.reached[point] += 1
            acts = [act for where, time, act in self._faults if where == point and time in (None, self.reached[point])]
        given = [act(Moment(point, **about)) for act in acts]
        return next((each for each in given if each is not None), None)

    # --- Hooks -------------------------------------------------------------------------------------------------------

    def install(self):
        """Hook into this process for the rest of its life, and into those that it forks off."""
        # Kept: a context that nobody holds on to is left.
        self._for_good.enter_context(self.installed())

    @contextmanager
    def installed(self):
        """Hook into what this process does: in sessions of AWS that are made from now on, and in every connection."""
        with every_session(self._listen_to_aws), self._events_heard(), self._connections_watched():
            yield self

    def _listen_to_aws(self, session):
        events = session.get_component("event_emitter")
        events.register_first("before-send", self._before_call)
        events.register("response-received", self._after_call)

    def _before_call(self, request, event_name, **_):
        return self.reach("before", f"call {event_name.rpartition('.')[2]}", request=request)

    def _after_call(self, event_name, parsed_response, **_):
        if parsed_response is not None and "Error" not in parsed_response:
            self.reach("after", f"call {event_name.rpartition('.')[2]}")

    @contextmanager
    def _events_heard(self):
        # Not a handler: `logging.config` would take it off again.
        handle = logging.Logger.callHandlers

        @wraps(handle)
        def hear(logger, record):
            handle(logger, record)
            if logger.name == "vault.audit":
                event = json.loads(record.getMessage())
                self.reach("after", f"event {event['operation']} {event['outcome']}")

        logging.Logger.callHandlers = hear
        try:
            yield
        finally:
            logging.Logger.callHandlers = handle

    @contextmanager
    def _connections_watched(self):
        watched = []

        def watch(connection, **_):
            if connection not in watched:
                watched.append(connection)
                _Watch(self, connection).begin()

        for connection in connections.all(initialized_only=True):
            watch(connection)
        connection_created.connect(watch, weak=False)
        try:
            yield
        finally:
            connection_created.disconnect(watch)
            for connection in watched:
                vars(connection).pop("_commit", None)
                vars(connection).pop("_rollback", None)
                connection.execute_wrappers[:] = [
                    each for each in connection.execute_wrappers if not isinstance(each, _Watch)
                ]


class _Watch:
    """Knows which tables a transaction has written to."""

    def __init__(self, faults, connection):
        self._faults = faults
        self._connection = connection
        self._written = {}
        self._commit, self._rollback = connection._commit, connection._rollback

    def begin(self):
        # First: `connection.execute_wrapper` takes off the last one, whichever that is.
        self._connection.execute_wrappers.insert(0, self)
        self._connection._commit = self._watched_commit
        self._connection._rollback = self._watched_rollback

    def __call__(self, execute, sql, params, many, context):
        write = _WRITE.match(sql)
        if write is None:
            return execute(sql, params, many, context)
        table = write[1]
        self._reach("before", f"write of {table}")
        if not self._connection.in_atomic_block:
            self._reach("before", f"COMMIT of {table}")
        result = execute(sql, params, many, context)
        self._reach("after", f"write of {table}")
        if self._connection.in_atomic_block:
            self._written[table] = True
        else:
            self._reach("after", f"COMMIT of {table}")
        return result

    def _watched_commit(self):
        written, self._written = self._written, {}
        for table in written:
            self._reach("before", f"COMMIT of {table}")
        self._commit()
        for table in written:
            self._reach("after", f"COMMIT of {table}")

    def _watched_rollback(self):
        self._written = {}
        self._rollback()

    def _reach(self, side, of):
        self._faults.reach(side, of, connection=self._connection)


def _act(act, arguments, moment):
    return act(moment, *arguments)
