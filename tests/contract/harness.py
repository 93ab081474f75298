"""Schemathesis, run over the real application in this process and within the transaction of the test.

Schemathesis works in threads of its own, one at a time, which are lent the connections of the test.
"""

import json
import os
import re
from dataclasses import dataclass, field

import schemathesis
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections
from hypothesis import strategies as st
from schemathesis import engine
from schemathesis.config import CacheConfig, SchemathesisConfig
from schemathesis.engine import events
from schemathesis.openapi.checks import RejectedPositiveData, UseAfterFree
from schemathesis.transport.wsgi import WSGITransport

from tests.cards import ALL_NUMBERS
from tests.contract.expectations import CHECKS, EXCUSED, EXCUSED_AT, MAY_ANSWER_DIGITS
from tests.contract.stock import Stock
from tests.factories import next_year

PHASES = ("examples", "coverage", "fuzzing", "stateful")
# `make contract` sets more of the one, and another of the other.
EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "0"))
SEED = int(os.environ.get("CONTRACT_SEED", "1"))

# What positive data is positive with: numbers that pass Luhn, and months that are not over.
schemathesis.openapi.format("pan", st.sampled_from(ALL_NUMBERS))
schemathesis.openapi.format("expiry", st.integers(0, 40).map(lambda years: f"{next_year().year + years}-11"))


DESCRIPTION = settings.BASE_DIR / "docs" / "openapi.json"


_send = WSGITransport.send
_OF_NETWORKS = frozenset({"max_redirects", "verify", "cert", "proxies"})


def _send_to_application(self, case, **options):
    """Schemathesis passes these with its probes too, and its client for WSGI refuses them: they are about networks."""
    return _send(self, case, **{name: each for name, each in options.items() if name not in _OF_NETWORKS})


WSGITransport.send = _send_to_application


class Application:
    """The WSGI application, in whichever thread, on the connections of the thread that made this."""

    def __init__(self, stock: Stock | None) -> None:
        self.stock = stock
        self._connections = {alias: connections[alias] for alias in connections}
        # Not as a server gets it: that would set up logging anew, and the scanner of leaks would hear less from then on.
        self._application = WSGIHandler()

    def __enter__(self):
        # As Django's own client for tests: the connection, and what the test did with it, outlives a request.
        for signal in (request_started, request_finished):
            signal.disconnect(close_old_connections)
        for connection in self._connections.values():
            connection.inc_thread_sharing()
        return self

    def __exit__(self, *_):
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)
        for connection in self._connections.values():
            connection.dec_thread_sharing()

    def lend(self):
        """Give this thread the connections of the test."""
        for alias, connection in self._connections.items():
            connections[alias] = connection

    def __call__(self, environ, start_response):
        self.lend()
        return self._application(environ, start_response)


@dataclass
class Report:
    """What came of it: a line for each thing that is wrong, none twice, and which statuses each operation answered."""

    found: dict[str, None] = field(default_factory=dict)
    answered: dict[str, set[int]] = field(default_factory=dict)

    @property
    def succeeded(self) -> set[str]:
        """The operations that were carried out at least once."""
        return {name for name, statuses in self.answered.items() if any(200 <= each < 300 for each in statuses)}

    def __str__(self) -> str:
        return "\n".join(self.found)


@schemathesis.check
def no_card_number(ctx, response, case):
    """No answer has a card number that could have been sent, but those whose job it is."""
    if response.status_code in (200, 207) and case.operation.label in MAY_ANSWER_DIGITS:
        return
    said = re.sub(r"[ -]", "", f"{response.text} {json.dumps(dict(response.headers))}")
    assert not [digits for digits in ALL_NUMBERS if digits in said], "A card number came back."


@schemathesis.check
def not_stored(ctx, response, case):
    """No store between here and the client may keep an answer."""
    assert response.headers.get("cache-control") == ["no-store"], "Cache-Control is missing."


def explore(*, headers, examples, stock=None, phases=PHASES, only=None) -> Report:
    """Everything that schemathesis finds, all of its checks enabled.

    With `stock`, positive data is about things that are there. `only` is the path of the operations that are asked.
    """
    config = SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "headers": headers,
            "checks": {"enabled": True, **CHECKS},
            "generation": {"deterministic": not EXAMPLES, "max-examples": EXAMPLES or examples},
            "phases": {name: {"enabled": name in phases} for name in PHASES},
        }
    )
    # It would keep what it finds in the repository.
    config.cache = CacheConfig(enabled=False)
    schema = schemathesis.openapi.from_dict(json.loads(DESCRIPTION.read_text()), config=config)
    with Application(stock) as application:
        schema.app = application
        schema = schema.include(path=only) if only else schema
        return _report(engine.from_schema(schema).execute())


@schemathesis.hook
def before_call(context, case, kwargs):
    """Let positive data be about what is there."""
    application = case.operation.app
    if application.stock is not None and case.meta is not None and case.meta.generation.mode.is_positive:
        application.lend()
        application.stock.fill(case)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """False for what is no failure, for a reason that `tests.contract.expectations` gives."""
    if isinstance(failure, UseAfterFree):
        # What is erased is the number. That there was a card, and that it is gone, can be asked for good.
        said = response.json()
        return said["status"] != "erased" or said["erased_at"] is None
    if isinstance(failure, RejectedPositiveData):
        return not (response.status_code == 400 and _is_excused(response.json()))
    return True


def _is_excused(problem) -> bool:
    """True if all that is wrong with data that fits the schema is what a schema cannot say."""
    if problem["code"] == "batch_refused":
        return all(_is_excused(row["problem"]) for row in problem["rows"])
    if problem["code"] != "invalid":
        return problem["code"] in EXCUSED
    return all(
        error["code"] in EXCUSED or (error.get("pointer") or error.get("parameter"), error["code"]) in EXCUSED_AT
        for error in problem["errors"]
    )


def _report(stream) -> Report:
    report = Report()
    for event in stream:
        if isinstance(event, events.ScenarioFinished):
            _read(event.recorder, report)
        elif isinstance(event, events.NonFatalError):
            report.found[f"{event.label}: error: {event.value}"] = None
        elif isinstance(event, events.FatalError):
            raise event.exception
    return report


def _read(recorder, report: Report) -> None:
    for key, node in recorder.cases.items():
        interaction = recorder.interactions.get(key)
        if interaction is not None and interaction.response is not None:
            report.answered.setdefault(node.value.operation.label, set()).add(interaction.response.status_code)
        for check in recorder.checks.get(key, ()):
            if check.failure_info is not None:
                failure = check.failure_info.failure
                about = f"{node.value.operation.label}: {check.name}: {failure.title}: {failure.message}"
                report.found[f"{about}\n{_sent(node.value)}\n{_said(interaction)}"] = None


def _sent(case) -> str:
    return f"  sent: {case.method} {case.path_parameters} {dict(case.query or {})} {dict(case.headers or {})} {case.body!r:.500}"


def _said(interaction) -> str:
    return (
        f"  said: {interaction.response.status_code} {interaction.response.text:.700}"
        if interaction
        else "  said: nothing"
    )
